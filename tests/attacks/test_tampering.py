"""Truncated, bit-flipped and over-long fields of every message in every suite, on the wire.

Every message is let through unharmed at the end, so that what was refused was refused for the change alone.
"""

from copy import copy
from dataclasses import replace
from itertools import chain, product
from typing import Any

import pytest

from group_protocol.channels import RequestSender
from group_protocol.errors import LocalProtocolError, RemoteProtocolError
from group_protocol.frames import Items, Open, encode_frame
from group_protocol.messages import SealedAnswer, SealedRequest, parse_keys_session_answer
from group_protocol.messages_rotation import RotationCall
from group_protocol.suites import Suite
from measure.paper_baseline.ciphers import BLOCK_BYTES
from measure.paper_baseline.http_form import DATA_PATH
from measure.paper_baseline.messages import DataMessage
from measure.paper_baseline.slave import prepare_data_message
from tests.attacks.edge import POLICY_VIOLATION, REFUSED, Edge
from tests.attacks.papers_flow import PapersFlow
from tests.attacks.spoiling import EVERYTHING, FLIPS, LENGTHS, misnumbered_bodies, spoiled_bodies

pytestmark = [pytest.mark.network, pytest.mark.processes]

ALL_SUITES = pytest.mark.parametrize("suite", Suite)


def refuse_all_spoiled_answers(channel: RequestSender, seq: int, answer: bytes) -> None:
    for _, spoiled in spoiled_bodies(answer, EVERYTHING):
        with pytest.raises(RemoteProtocolError):
            channel.open_answer(seq, SealedAnswer.from_body(spoiled))
    channel.open_answer(seq, SealedAnswer.from_body(answer))


async def refuse_all_spoiled(edge: Edge, path: str, body: bytes) -> None:
    """Whatever is wrong with a sealed request, the answer is the same and nothing has changed."""
    async with edge.master.unchanged():
        for how, spoiled in chain(spoiled_bodies(body, EVERYTHING), misnumbered_bodies(body)):
            assert await edge.ask(path, spoiled) == REFUSED, (path, how)


@ALL_SUITES
async def test_m1_with_a_field_cut_or_too_long_is_refused(edge: Edge, suite: Suite) -> None:
    device = await edge.invited(suite)
    async with edge.master.unchanged():
        for how, spoiled in spoiled_bodies(device.begin().start().to_body(), LENGTHS):
            assert await edge.ask("/keysSession", spoiled) == REFUSED, how
    await device.open_session()


@ALL_SUITES
@pytest.mark.parametrize("how", FLIPS)
async def test_m1_with_a_flipped_bit_is_refused_or_its_m2_is(edge: Edge, suite: Suite, how: str) -> None:
    """M1 is signed by nobody: a flipped bit makes it somebody else's M1, whose M2 the slave does not take."""
    device = await edge.invited(suite)
    async with edge.master.unchanged():
        for field in ("sn", "share"):
            slave = device.begin()
            m1 = slave.start()
            change: dict[str, Any] = {field: FLIPS[how](getattr(m1, field))}
            answer = await edge.ask("/keysSession", replace(m1, **change).to_body())
            if answer != REFUSED:
                with pytest.raises(RemoteProtocolError):
                    slave.receive_keys_session(parse_keys_session_answer(answer.body))
    await device.open_session()


@ALL_SUITES
async def test_m2_with_a_spoiled_field_makes_the_slave_stop(edge: Edge, suite: Suite) -> None:
    """The handshake ends at the first bad M2, so each change meets the true M2's own slave, copied."""
    device = await edge.invited(suite)
    slave = device.begin()
    m2 = await edge.exchange("/keysSession", slave.start().to_body())
    async with edge.master.unchanged():
        for how, spoiled in spoiled_bodies(m2, EVERYTHING):
            victim = copy(slave)
            with pytest.raises(RemoteProtocolError):
                victim.receive_keys_session(parse_keys_session_answer(spoiled))
            assert victim._session is None, how
    assert isinstance(slave.receive_keys_session(parse_keys_session_answer(m2)), SealedRequest)


@ALL_SUITES
async def test_m3_with_a_spoiled_field_is_refused_and_leaves_the_exchange_open(edge: Edge, suite: Suite) -> None:
    device = await edge.invited(suite)
    slave, m3 = await device.ask_for_keys()
    await refuse_all_spoiled(edge, "/getTicket", m3.to_body())
    slave.receive_ticket(SealedAnswer.from_body(await edge.exchange("/getTicket", m3.to_body())))


@ALL_SUITES
async def test_m4_with_a_spoiled_field_makes_the_slave_stop(edge: Edge, suite: Suite) -> None:
    device = await edge.invited(suite)
    slave, m3 = await device.ask_for_keys()
    m4 = await edge.exchange("/getTicket", m3.to_body())
    for how, spoiled in spoiled_bodies(m4, EVERYTHING):
        victim = copy(slave)
        with pytest.raises(RemoteProtocolError):
            victim.receive_ticket(SealedAnswer.from_body(spoiled))
        with pytest.raises(LocalProtocolError):
            _ = victim.session, how
    slave.receive_ticket(SealedAnswer.from_body(m4))


@ALL_SUITES
async def test_m5_and_m6_with_a_spoiled_field_are_refused(edge: Edge, suite: Suite) -> None:
    device = await edge.enrolled(suite)
    request = device.session.control.seal_request(device.association().encode())
    await refuse_all_spoiled(edge, "/assoc", request.to_body())
    m6 = await edge.exchange("/assoc", request.to_body())
    refuse_all_spoiled_answers(device.session.control, request.seq, m6)


@ALL_SUITES
async def test_rotation_with_a_spoiled_field_is_refused_and_so_is_its_answer(edge: Edge, suite: Suite) -> None:
    device = await edge.member(suite)
    new, deadline = edge.new_key(), device.ticket.deadline_unix_s
    digest = device.domain.rotation_digest(device.gid, device.oid, new.address, deadline)
    call = RotationCall(new.public_key, deadline, device.key.sign_digest(digest), new.sign_digest(digest))
    request = device.session.control.seal_request(call.encode())
    await refuse_all_spoiled(edge, "/rotate", request.to_body())
    answer = await edge.exchange("/rotate", request.to_body())
    refuse_all_spoiled_answers(device.session.control, request.seq, answer)


@ALL_SUITES
async def test_data_with_a_spoiled_field_is_refused_and_so_is_its_answer(edge: Edge, suite: Suite) -> None:
    device = await edge.member(suite)
    request = device.seal_items(device.record())
    await refuse_all_spoiled(edge, "/data", request.to_body())
    answer = await edge.exchange("/data", request.to_body())
    refuse_all_spoiled_answers(device.session.data, request.seq, answer)


@ALL_SUITES
async def test_stream_opening_with_a_spoiled_field_claims_nothing(edge: Edge, suite: Suite) -> None:
    device = await edge.member(suite)
    opening = device.session.stream_opening(encode_frame(Open()))
    parts = {"sid": slice(0, 16), "seq": slice(16, 24), "sealed": slice(24, None)}
    async with edge.master.unchanged():
        for part, how in product(parts, EVERYTHING):
            at = parts[part]
            spoiled = opening[: at.start] + EVERYTHING[how](opening[at]) + (opening[at.stop :] if at.stop else b"")
            if spoiled != opening:
                assert await edge.close_code_after(spoiled) == POLICY_VIOLATION, (part, how)
    async with edge.http.ws_connect(f"{edge.url}/stream") as socket:
        await socket.send_bytes(opening)
        device.session.stream_in.open((await socket.receive(timeout=10)).data)


@pytest.mark.parametrize("how", [*FLIPS, *LENGTHS])
async def test_stream_record_spoiled_on_the_way_closes_the_stream_and_is_not_stored(edge: Edge, how: str) -> None:
    device = await edge.member()
    stream = await device.open_stream()
    await stream.receive_ack()
    message = device.session.stream_out.seal(encode_frame(Items((device.record(),))))
    before = await edge.master.state()
    await stream.socket.send_bytes(message[:8] + EVERYTHING[how](message[8:]))
    assert await stream.receive_close_code() == POLICY_VIOLATION
    assert (await edge.master.state()).tables["records"] == before.tables["records"]


async def test_bit_flipped_on_the_wire_succeeds_against_the_papers_flow(paper: PapersFlow) -> None:
    reading = b"t=000000 hr=072;t=000001 hr=073;t=000002 hr=074;"
    membership = await paper.client.join(paper.device)
    message = DataMessage.decode(prepare_data_message(paper.device, membership.session, membership.ticket, reading))
    flipped = bytearray(message.encrypted)
    flipped[BLOCK_BYTES + reading[2 * BLOCK_BYTES :].index(b"074")] ^= ord("0") ^ ord("1")

    await paper.client.exchange(DATA_PATH, replace(message, encrypted=bytes(flipped)).encode())

    assert paper.readings[0].endswith(b"hr=174;")


async def test_reading_cut_on_the_wire_succeeds_against_the_papers_flow(paper: PapersFlow) -> None:
    """Whole blocks that end like a padding are a whole message: what was cut off is not missed."""
    reading = b"t=000000 hr=072;" + b"\x10" * 16 + b"t=000002 ALARM!!"
    membership = await paper.client.join(paper.device)
    message = DataMessage.decode(prepare_data_message(paper.device, membership.session, membership.ticket, reading))

    cut = replace(message, encrypted=message.encrypted[: 2 * BLOCK_BYTES])
    await paper.client.exchange(DATA_PATH, cut.encode())

    assert paper.readings == [b"t=000000 hr=072;"]
