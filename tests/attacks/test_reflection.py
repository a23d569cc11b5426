"""Reflected messages: what one side sealed never opens at that side, nor on another channel (docs/protocol.md §5.1)."""

from dataclasses import replace

import pytest

from group_protocol.errors import DecodingError, VerificationError
from group_protocol.frames import Items, encode_frame
from group_protocol.messages import SealedAnswer, SealedRequest
from measure.paper_baseline.http_form import DATA_PATH, TICKET_PATH
from measure.paper_baseline.messages import DataMessage, TicketAnswer
from measure.paper_baseline.slave import accept_ticket, prepare_ticket_request
from tests.attacks.edge import POLICY_VIOLATION, REFUSED, Edge
from tests.attacks.interceptor import intercepting
from tests.attacks.papers_flow import PapersFlow

pytestmark = [pytest.mark.network, pytest.mark.processes]

NEXT_SEQS = range(4)


@pytest.mark.parametrize("source", ["/getTicket", "/assoc", "/data"])
async def test_masters_answer_sent_back_as_a_request_is_refused_on_every_path(edge: Edge, source: str) -> None:
    device = await edge.member()
    requests = {
        "/getTicket": device.m3,
        "/assoc": device.session.control.seal_request(device.association().encode()),
        "/data": device.seal_items(device.record()),
    }
    answer = SealedAnswer.from_body(await edge.exchange(source, requests[source].to_body()))
    async with edge.master.unchanged():
        for path in ("/getTicket", "/assoc", "/rotate", "/data"):
            for seq in NEXT_SEQS:
                reflected = SealedRequest(device.session.sid, seq, answer.sealed)
                assert await edge.ask(path, reflected.to_body()) == REFUSED, (path, seq)


async def test_m3_sent_back_to_the_slave_as_m4_is_refused(edge: Edge) -> None:
    device = await edge.invited()
    handshake = device.begin()
    m3 = await edge.begin(handshake)
    async with edge.master.unchanged():
        with pytest.raises(VerificationError):
            handshake.receive_ticket(SealedAnswer(m3.sealed))


async def test_slaves_request_sent_back_to_it_as_the_answer_is_refused(edge: Edge) -> None:
    device = await edge.member()
    for channel in (device.session.control, device.session.data):
        request = channel.seal_request(device.association().encode())
        with pytest.raises(VerificationError):
            channel.open_answer(request.seq, SealedAnswer(request.sealed))


async def test_slaves_m1_sent_back_to_it_as_m2_is_refused(edge: Edge) -> None:
    device = await edge.invited()
    m1 = device.begin().start()
    async with intercepting(edge, on_answer=lambda *_: m1.to_body()) as middle:
        device.bench = middle
        with pytest.raises(DecodingError):
            await device.open_session()
        assert middle.paths == ["/keysSession"]


async def test_request_moved_to_another_channel_is_refused(edge: Edge) -> None:
    device = await edge.member()
    on_control = device.session.control.seal_request(device.association().encode())
    on_data = device.seal_items(device.record())
    async with edge.master.unchanged():
        assert await edge.ask("/data", on_control.to_body()) == REFUSED
        for path in ("/assoc", "/rotate", "/getTicket"):
            for seq in NEXT_SEQS:
                assert await edge.ask(path, replace(on_data, seq=seq).to_body()) == REFUSED
        opening = device.session.sid + bytes(8) + on_data.sealed
        assert await edge.close_code_after(opening) == POLICY_VIOLATION


async def test_stream_messages_reflected_to_either_side_are_refused(edge: Edge) -> None:
    device = await edge.member()
    stream = await device.open_stream()
    first = await stream.socket.receive(timeout=10)
    own = device.session.stream_out.seal(encode_frame(Items((device.record(),))))
    with pytest.raises(VerificationError):
        device.session.stream_in.open(bytes(8) + own[8:])
    before = await edge.master.state()
    await stream.socket.send_bytes((1).to_bytes(8, "big") + first.data[8:])
    assert await stream.receive_close_code() == POLICY_VIOLATION
    assert (await edge.master.state()).tables == before.tables


async def test_masters_ticket_reflected_as_a_reading_succeeds_against_the_papers_flow(paper: PapersFlow) -> None:
    """One key and one IV for both directions and all messages: the master takes its own ticket for a reading."""
    session = await paper.client.share_session_key(paper.device)
    answer = await paper.client.exchange(TICKET_PATH, prepare_ticket_request(paper.device))
    ticket = accept_ticket(session, answer)
    await paper.client.associate(paper.device, session, ticket)

    reflected = DataMessage(paper.device.object_id, TicketAnswer.decode(answer).encrypted)
    await paper.client.exchange(DATA_PATH, reflected.encode())

    assert paper.readings == [ticket.encode()]
