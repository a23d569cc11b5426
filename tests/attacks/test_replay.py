"""Replayed M1 to M6, /rotate and /data: in the same session, in another one, and of a session that is over.

Inside its session a repeated request gets the stored answer, byte for byte, and is not processed again
(docs/protocol.md §3.4, §5.2): so a lost answer does no harm, and a replay no more.
"""

from dataclasses import replace

import pytest

from group_protocol.errors import Reason, VerificationError
from group_protocol.limits import REPLAY_WINDOW
from group_protocol.messages import KeysSessionAnswer, SealedAnswer, SealedRequest, parse_keys_session_answer
from group_protocol.messages_rotation import RotationCall
from group_protocol.suites import Suite
from group_protocol.tickets import MembershipState
from measure.paper_baseline.ciphers import encrypt
from measure.paper_baseline.client import PaperClient
from measure.paper_baseline.errors import MasterRefused
from measure.paper_baseline.http_form import DATA_PATH, KEY_SESSION_PATH
from measure.paper_baseline.messages import DataMessage
from measure.paper_baseline.relay import relay_to
from measure.paper_baseline.slave import prepare_key_session_request
from tests.attacks.edge import REFUSED, Edge
from tests.attacks.interceptor import intercepting
from tests.attacks.papers_flow import PapersFlow
from tests.support.running_master import Device

pytestmark = [pytest.mark.network, pytest.mark.processes]

FAR_AHEAD = 1_000


async def rotation_request(device: Device, edge: Edge) -> tuple[SealedRequest, RotationCall]:
    new, deadline = edge.new_key(), device.ticket.deadline_unix_s
    digest = device.domain.rotation_digest(device.gid, device.oid, new.address, deadline)
    call = RotationCall(new.public_key, deadline, device.key.sign_digest(digest), new.sign_digest(digest))
    return device.session.control.seal_request(call.encode()), call


@pytest.mark.parametrize("suite", Suite)
async def test_replayed_m1_opens_an_exchange_that_the_recorder_cannot_finish(edge: Edge, suite: Suite) -> None:
    device = await edge.invited(suite)
    handshake = device.begin()
    m1 = handshake.start().to_body()
    first = parse_keys_session_answer(await edge.exchange("/keysSession", m1))
    m3 = handshake.receive_keys_session(first)
    assert isinstance(first, KeysSessionAnswer)
    assert isinstance(m3, SealedRequest)
    async with edge.master.unchanged():
        again = parse_keys_session_answer(await edge.exchange("/keysSession", m1))
        assert isinstance(again, KeysSessionAnswer)
        assert not {first.sid, first.mn, first.share} & {again.sid, again.mn, again.share}
        assert await edge.ask("/getTicket", replace(m3, sid=again.sid).to_body()) == REFUSED
    await edge.exchange("/getTicket", m3.to_body())


@pytest.mark.parametrize("suite", Suite)
async def test_replayed_m2_is_refused_by_the_slave(edge: Edge, suite: Suite) -> None:
    device = await edge.invited(suite)
    recorded = await edge.exchange("/keysSession", device.begin().start().to_body())
    async with intercepting(edge, on_answer=lambda *_: recorded) as middle, edge.master.unchanged():
        device.bench = middle
        with pytest.raises(VerificationError):
            await device.open_session()
        assert middle.paths == ["/keysSession"]


async def test_replayed_m3_gets_its_old_answer_and_nothing_is_done_twice(edge: Edge) -> None:
    device = await edge.invited()
    _, m3 = await device.ask_for_keys()
    m4 = await edge.ask("/getTicket", m3.to_body())
    assert m4.status == 200
    async with edge.master.unchanged():
        assert await edge.ask("/getTicket", m3.to_body()) == m4


async def test_m3_of_an_ended_session_is_refused_and_the_new_session_lives(edge: Edge) -> None:
    device = await edge.member()
    recorded = device.m3
    await device.open_session()
    async with edge.master.unchanged():
        assert await edge.ask("/getTicket", recorded.to_body()) == REFUSED
        assert await edge.ask("/getTicket", replace(recorded, sid=device.session.sid).to_body()) == REFUSED
    assert (await device.send(device.record())).last_seq == 1


async def test_replayed_m4_is_refused_by_the_slave(edge: Edge) -> None:
    device = await edge.enrolled()
    recorded = await edge.exchange("/getTicket", device.m3.to_body())

    def answer(path: str, body: bytes) -> bytes:
        return recorded if path == "/getTicket" else body

    async with intercepting(edge, on_answer=answer) as middle:
        device.bench = middle
        with pytest.raises(VerificationError):
            await device.open_session()


async def test_replayed_m5_gets_its_old_answer_and_makes_no_second_transaction(edge: Edge) -> None:
    device = await edge.enrolled()
    request = device.session.control.seal_request(device.association().encode())
    m6 = await edge.ask("/assoc", request.to_body())
    assert m6.status == 200
    async with edge.master.unchanged():
        assert await edge.ask("/assoc", request.to_body()) == m6
        assert await edge.ask("/assoc", replace(request, seq=request.seq + 1).to_body()) == REFUSED


@pytest.mark.parametrize("path", ["/assoc", "/rotate", "/data"])
async def test_request_of_one_session_is_refused_in_every_other(edge: Edge, path: str) -> None:
    device, attacker = await edge.member(), await edge.member()
    requests = {
        "/assoc": device.session.control.seal_request(device.association().encode()),
        "/rotate": (await rotation_request(device, edge))[0],
        "/data": device.seal_items(device.record()),
    }
    recorded = requests[path]
    async with edge.master.unchanged():
        assert await edge.ask(path, replace(recorded, sid=attacker.session.sid).to_body()) == REFUSED
    await device.open_session()
    async with edge.master.unchanged():
        assert await edge.ask(path, recorded.to_body()) == REFUSED
        assert await edge.ask(path, replace(recorded, sid=device.session.sid).to_body()) == REFUSED


async def test_replayed_rotation_gets_its_old_answer_and_rotates_nothing_again(edge: Edge) -> None:
    device = await edge.member()
    request, call = await rotation_request(device, edge)
    first = await edge.ask("/rotate", request.to_body())
    assert first.status == 200
    async with edge.master.unchanged():
        assert await edge.ask("/rotate", request.to_body()) == first
        result = await device.ask_control("/rotate", call.encode())  # the same wish anew does no harm either
        assert (result.state, result.reason) == (MembershipState.ACTIVE, Reason.NONE)


async def test_replayed_data_gets_its_old_answer_and_is_stored_once(edge: Edge) -> None:
    device = await edge.member()
    request = device.seal_items(device.record())
    first = await edge.ask("/data", request.to_body())
    assert first.status == 200
    async with edge.master.unchanged():
        assert await edge.ask("/data", request.to_body()) == first
        for seq in (request.seq + 1, request.seq + FAR_AHEAD, request.seq + 2**16):
            assert await edge.ask("/data", replace(request, seq=seq).to_body()) == REFUSED


async def test_replayed_data_behind_the_window_is_refused(edge: Edge) -> None:
    device = await edge.member()
    recorded = device.seal_items(device.record())
    await device.send_request(recorded)
    for _ in range(REPLAY_WINDOW):
        await device.send(device.record(seq=1))
    async with edge.master.unchanged():
        assert await edge.ask("/data", recorded.to_body()) == REFUSED


@pytest.mark.parametrize("path", ["/assoc", "/data"])
async def test_replayed_answer_is_refused_by_the_slave(edge: Edge, path: str) -> None:
    device = await edge.member()
    channel = device.session.control if path == "/assoc" else device.session.data
    plaintext = device.association().encode()
    first, second = channel.seal_request(plaintext), channel.seal_request(plaintext)
    recorded = SealedAnswer.from_body(await edge.exchange(path, first.to_body()))
    await edge.exchange(path, second.to_body())
    with pytest.raises(VerificationError):
        channel.open_answer(second.seq, recorded)


async def test_replayed_data_succeeds_against_the_papers_flow(paper: PapersFlow) -> None:
    async with relay_to("127.0.0.1", paper.port) as relay, PaperClient("127.0.0.1", relay.port) as slave:
        membership = await slave.join(paper.device)
        await slave.send_reading(paper.device, membership, b"hr=072")
    recorded = bytes(relay.conversations[-1].sent).split(b"\r\n\r\n", 1)[1]

    await paper.client.exchange(DATA_PATH, recorded)

    assert paper.readings == [b"hr=072"] * 2


async def test_replayed_key_request_shuts_the_slave_out_and_succeeds_against_the_papers_flow(paper: PapersFlow) -> None:
    """A session is found by the object id that a request names, and the newest request wins."""
    membership = await paper.client.join(paper.device)
    recorded = prepare_key_session_request(paper.device)

    await paper.client.exchange(KEY_SESSION_PATH, recorded)

    message = DataMessage(paper.device.object_id, encrypt(membership.session, b"t=000000 hr=072;")).encode()
    with pytest.raises(MasterRefused):
        await paper.client.exchange(DATA_PATH, message)
    assert paper.readings == []
