"""Replayed stream records: on their own socket, on another, in another session, out of order, and to the slave."""

import aiohttp
import pytest

from group_protocol.channels import SlaveSession
from group_protocol.errors import RemoteProtocolError, ReplayError
from group_protocol.frames import Items, Open, encode_frame
from tests.attacks.edge import POLICY_VIOLATION, Edge
from tests.support.running_master import Device, DeviceStream

pytestmark = [pytest.mark.network, pytest.mark.processes]


class RecordedStream:
    """A device's stream on which every message in either direction is kept."""

    def __init__(self, edge: Edge, device: Device) -> None:
        self._edge = edge
        self.device = device
        self.sent: list[bytes] = []
        self.received: list[bytes] = []

    @property
    def session(self) -> SlaveSession:
        return self.device.session

    async def open(self) -> aiohttp.ClientWebSocketResponse:
        socket = await self._edge.http.ws_connect(f"{self._edge.url}/stream")
        await self._send(socket, self.session.stream_opening(encode_frame(Open())))
        return socket

    async def say(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await self._send(socket, self.session.stream_out.seal(encode_frame(Items((self.device.record(),)))))

    async def _send(self, socket: aiohttp.ClientWebSocketResponse, message: bytes) -> None:
        self.sent.append(message)
        await socket.send_bytes(message)
        answer = await socket.receive(timeout=10)
        self.received.append(answer.data)
        self.session.stream_in.open(answer.data)


async def record(edge: Edge, frames: int = 3) -> tuple[RecordedStream, aiohttp.ClientWebSocketResponse]:
    stream = RecordedStream(edge, await edge.member())
    socket = await stream.open()
    for _ in range(frames):
        await stream.say(socket)
    return stream, socket


async def close_code(stream: RecordedStream, socket: aiohttp.ClientWebSocketResponse) -> int | None:
    return await DeviceStream(stream.session, socket).receive_close_code()


@pytest.mark.parametrize("which", [1, 2, 3], ids=["first", "middle", "newest"])
async def test_message_sent_again_on_its_own_stream_closes_it_and_is_stored_once(edge: Edge, which: int) -> None:
    stream, socket = await record(edge)
    before = await edge.master.state()
    await socket.send_bytes(stream.sent[which])
    assert await close_code(stream, socket) == POLICY_VIOLATION
    assert (await edge.master.state()).tables["records"] == before.tables["records"]


async def test_message_out_of_order_closes_the_stream_and_is_not_stored(edge: Edge) -> None:
    stream, socket = await record(edge, frames=1)
    before = await edge.master.state()
    _, skipped = (stream.session.stream_out.seal(encode_frame(Items((stream.device.record(),)))) for _ in range(2))
    await socket.send_bytes(skipped)
    assert await close_code(stream, socket) == POLICY_VIOLATION
    assert (await edge.master.state()).tables["records"] == before.tables["records"]


async def test_whole_recorded_stream_on_another_socket_is_refused_while_the_first_lives(edge: Edge) -> None:
    stream, socket = await record(edge)
    async with edge.master.unchanged():
        assert await edge.close_code_after(*stream.sent[:1]) == POLICY_VIOLATION
        assert await edge.close_code_after(*stream.sent) == POLICY_VIOLATION
    await stream.say(socket)
    await socket.close()


async def test_recorded_stream_is_refused_after_it_has_ended(edge: Edge) -> None:
    stream, socket = await record(edge)
    await socket.close()
    async with edge.master.unchanged():
        assert await edge.close_code_after(*stream.sent) == POLICY_VIOLATION


async def test_recorded_opening_in_another_session_claims_nothing_there(edge: Edge) -> None:
    stream, socket = await record(edge)
    await socket.close()
    other = await edge.member()
    async with edge.master.unchanged():
        moved = other.session.sid + stream.sent[0][16:]
        assert await edge.close_code_after(moved, *stream.sent[1:]) == POLICY_VIOLATION
    own = await other.open_stream()
    await own.receive_ack()
    await own.socket.close()


async def test_recorded_message_inside_another_stream_closes_it_and_is_not_stored(edge: Edge) -> None:
    stream, socket = await record(edge)
    await socket.close()
    own = await (await edge.member()).open_stream()
    await own.receive_ack()
    before = await edge.master.state()
    await own.socket.send_bytes(stream.sent[1])
    assert await own.receive_close_code() == POLICY_VIOLATION
    assert (await edge.master.state()).tables["records"] == before.tables["records"]


async def test_recorded_stream_of_an_older_session_is_refused_in_the_devices_new_one(edge: Edge) -> None:
    stream, _ = await record(edge)
    await stream.device.open_session()
    async with edge.master.unchanged():
        assert await edge.close_code_after(*stream.sent) == POLICY_VIOLATION
        assert await edge.close_code_after(stream.session.sid + stream.sent[0][16:]) == POLICY_VIOLATION


async def test_masters_messages_replayed_or_reordered_are_refused_by_the_slave(edge: Edge) -> None:
    stream, socket = await record(edge)
    await socket.close()
    for message in stream.received:
        with pytest.raises(ReplayError):
            stream.session.stream_in.open(message)
    other = await edge.member()
    for message in stream.received:
        with pytest.raises(RemoteProtocolError):
            other.session.stream_in.open(message)
