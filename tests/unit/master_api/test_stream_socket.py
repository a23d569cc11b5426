"""A stream's WebSocket behind the handshake, against aiohttp's client and against bytes by hand (RFC 6455)."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from group_protocol.errors import DecodingError
from group_protocol.limits import STREAM_MESSAGE_MAX_BYTES
from master_api import stream_socket
from master_api.stream_socket import (
    BYTES_MAX,
    MESSAGES_MAX,
    RECEIVED_MAX_BYTES,
    UNSENT_MAX_BYTES,
    Pulse,
    StreamSocket,
    accept_stream,
    binary_message,
)

ROOM_BYTES = 1_000_000
UPGRADE = (
    b"GET /stream HTTP/1.1\r\nHost: m\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class Served:
    """A server that takes one connection over."""

    def __init__(self) -> None:
        self.socket: asyncio.Future[StreamSocket] = asyncio.get_running_loop().create_future()
        self.is_over = asyncio.Event()
        self.port = 0

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.WebSocketResponse(compress=False)
        socket = await accept_stream(request, response)
        assert socket is not None
        self.socket.set_result(socket)
        await self.is_over.wait()
        socket.let_go()
        return response


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    served = Served()
    runner = web.ServerRunner(web.Server(served.serve))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.port = runner.addresses[0][1]
    try:
        yield served
    finally:
        served.is_over.set()
        await runner.cleanup()


@asynccontextmanager
async def sockets() -> AsyncIterator[tuple[StreamSocket, aiohttp.ClientWebSocketResponse]]:
    """Both ends of a WebSocket."""
    async with (
        serving() as served,
        aiohttp.ClientSession() as client,
        client.ws_connect(f"ws://127.0.0.1:{served.port}/", autoping=False) as peer,
    ):
        yield await served.socket, peer
        served.is_over.set()


class Bytes:
    """A peer by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, first_byte: int, payload: bytes = b"") -> None:
        """One frame, masked with zeros."""
        assert len(payload) < 126
        self.writer.write(bytes([first_byte, 0x80 | len(payload), 0, 0, 0, 0]) + payload)
        await self.writer.drain()

    async def frame(self) -> tuple[int, bytes]:
        """The next short frame that comes."""
        async with asyncio.timeout(5):
            first_byte, length = await self.reader.readexactly(2)
            return first_byte, await self.reader.readexactly(length)


@asynccontextmanager
async def bytes_and_socket() -> AsyncIterator[tuple[StreamSocket, Bytes]]:
    async with serving() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        try:
            yield await served.socket, Bytes(reader, writer)
        finally:
            writer.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


async def until_it_has(socket: StreamSocket, count: int) -> None:
    """Wait until so many messages have come, or none will come any more."""
    await until(lambda: len(socket._received) >= count or socket._is_over)


async def send_all(socket: StreamSocket, peer: aiohttp.ClientWebSocketResponse, count: int) -> list[bytes]:
    sent = [bytes([at % 256]) * 100 for at in range(count)]
    for message in sent:
        await peer.send_bytes(message)
    await until_it_has(socket, count)
    return sent


async def test_messages_that_wait_come_together_and_in_order() -> None:
    async with sockets() as (socket, peer):
        sent = await send_all(socket, peer, 40)
        assert socket.take(ROOM_BYTES) == sent
        assert socket.take(ROOM_BYTES) == []
        assert not socket.has_more


async def test_messages_are_told_of_by_a_call_once_they_can_be_taken() -> None:
    async with sockets() as (socket, peer):
        taken: list[bytes] = []
        has_come = asyncio.Event()

        def take() -> None:
            taken.extend(socket.take(ROOM_BYTES))
            has_come.set()

        socket.on_received = take
        await peer.send_bytes(b"one")
        await asyncio.wait_for(has_come.wait(), 5)
        assert taken == [b"one"]


async def test_messages_are_taken_up_to_the_room_and_the_rest_next_time() -> None:
    async with sockets() as (socket, peer):
        sent = await send_all(socket, peer, 10)
        assert socket.take(250) == sent[:3]
        assert socket.take(0) == sent[3:4]
        assert socket.take(ROOM_BYTES) == sent[4:]


async def test_one_turn_takes_no_more_messages_and_bytes_than_its_bounds() -> None:
    async with sockets() as (socket, peer):
        sent = [b"x"] * (MESSAGES_MAX + 5)
        for message in sent:
            await peer.send_bytes(message)
        await until_it_has(socket, len(sent))
        assert len(socket.take(ROOM_BYTES)) == MESSAGES_MAX
        assert socket.has_more
        assert len(socket.take(ROOM_BYTES)) == 5
        large = [bytes(BYTES_MAX // 2)] * 3
        for message in large:
            await peer.send_bytes(message)
        await until_it_has(socket, 3)
        assert len(socket.take(ROOM_BYTES)) == 2


async def test_message_in_fragments_with_a_ping_between_is_one_message() -> None:
    async with bytes_and_socket() as (socket, peer):
        await peer.send(0x02, b"one, ")
        await peer.send(0x89, b"ping")
        await peer.send(0x00, b"two, ")
        await peer.send(0x80, b"three")
        assert await peer.frame() == (0x8A, b"ping")
        await until_it_has(socket, 1)
        assert socket.take(ROOM_BYTES) == [b"one, two, three"]


async def test_close_behind_messages_is_seen_after_them_and_answered_with_its_code() -> None:
    async with bytes_and_socket() as (socket, peer):
        await peer.send(0x82, b"last")
        await peer.send(0x88, struct.pack(">H", 1001))
        await peer.send(0x82, b"behind the close")
        await until_it_has(socket, 2)
        assert (socket.has_more, socket.is_read_to_end) == (True, False)
        assert socket.take(ROOM_BYTES) == [b"last"]
        assert (socket.has_more, socket.is_read_to_end) == (True, True)
        socket.send(b"an ACK")
        await socket.close(1000)
        assert await peer.frame() == (0x82, b"an ACK")
        assert await peer.frame() == (0x88, struct.pack(">H", 1001))
        assert await peer.reader.read() == b""


async def test_connection_that_ends_without_a_close_is_read_to_its_end() -> None:
    async with bytes_and_socket() as (socket, peer):
        has_ended = asyncio.Event()
        socket.on_received = lambda: has_ended.set() if socket.is_closing else None
        await peer.send(0x82, b"last")
        await until_it_has(socket, 1)
        peer.writer.close()
        await asyncio.wait_for(has_ended.wait(), 5)
        assert socket.take(ROOM_BYTES) == [b"last"]
        assert socket.is_read_to_end
        await socket.close(1000)


async def test_text_is_refused_behind_the_messages_before_it() -> None:
    async with bytes_and_socket() as (socket, peer):
        await peer.send(0x82, b"good")
        await peer.send(0x81, b"hello")
        await until_it_has(socket, 2)
        assert socket.take(ROOM_BYTES) == [b"good"]
        assert not socket.is_read_to_end
        with pytest.raises(DecodingError):
            socket.take(ROOM_BYTES)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (bytes([0x82, 0xFF, *struct.pack(">Q", STREAM_MESSAGE_MAX_BYTES + 1), 0, 0, 0, 0]), 1009),
        (bytes([0xF2, 0x80, 0, 0, 0, 0]), 1002),
        (bytes([0x80, 0x80, 0, 0, 0, 0]), 1002),
        (bytes([0x88, 0x81, 0, 0, 0, 0, 1]), 1002),
    ],
    ids=["too-large", "reserved-bits", "nothing-to-continue", "close-of-one-byte"],
)
async def test_what_is_no_websocket_message_ends_it_with_the_code_that_says_so(sent: bytes, code: int) -> None:
    async with bytes_and_socket() as (socket, peer):
        peer.writer.write(sent)
        await until_it_has(socket, 1)
        assert socket.is_read_to_end
        closing = asyncio.create_task(socket.close(1000))
        assert await peer.frame() == (0x88, struct.pack(">H", code))
        await peer.send(0x88)
        peer.writer.close()
        await closing


async def test_transport_is_not_read_while_too_much_waits_and_is_again_once_that_is_taken() -> None:
    async with sockets() as (socket, peer):
        message = bytes(30_000)
        for _ in range(RECEIVED_MAX_BYTES // len(message) + 1):
            await peer.send_bytes(message)
        await until(lambda: not socket.is_listening)
        while socket.take(ROOM_BYTES):
            pass
        assert not socket._is_paused
        await peer.send_bytes(b"more")
        await until_it_has(socket, 1)
        assert socket.take(ROOM_BYTES) == [b"more"]


async def test_pings_to_which_nobody_reads_the_answers_are_answered_no_further() -> None:
    async with bytes_and_socket() as (socket, peer):
        socket.send(bytes(20_000_000))  # more than both kernels hold
        unsent_bytes = socket._transport.get_write_buffer_size()
        assert unsent_bytes > UNSENT_MAX_BYTES
        for _ in range(1_000):
            await peer.send(0x89, bytes(100))
        await peer.send(0x82, b"behind the pings")
        await until_it_has(socket, 1)
        assert socket._transport.get_write_buffer_size() <= unsent_bytes


async def test_close_lets_go_of_a_peer_that_does_not_answer_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_socket, "_CLOSE_S", 0.05)
    async with bytes_and_socket() as (socket, peer):
        await socket.close(1008)
        assert socket.is_closing
        assert await peer.frame() == (0x88, struct.pack(">H", 1008))
        assert await peer.reader.read() == b""


async def test_what_the_peer_does_not_take_goes_down_with_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_socket, "_CLOSE_S", 0.05)
    async with bytes_and_socket() as (socket, peer):
        has_ended = asyncio.Event()
        socket.send(bytes(20_000_000))
        socket.let_go()
        socket.on_received = has_ended.set
        await asyncio.wait_for(has_ended.wait(), 5)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await peer.reader.readexactly(20_000_000)


async def test_nothing_is_sent_after_the_close() -> None:
    async with bytes_and_socket() as (socket, peer):
        closing = asyncio.create_task(socket.close(1000))
        await peer.frame()
        socket.send(b"too late")
        socket.ping()
        await peer.send(0x88)
        await closing
        assert await peer.reader.read() == b""


@pytest.mark.parametrize("length", [0, 125, 126, 65_535, 65_536])
async def test_binary_message_of_any_length_is_what_a_peer_reads(length: int) -> None:
    async with sockets() as (socket, peer):
        payload = bytes(at % 251 for at in range(length))
        assert binary_message(payload).endswith(payload)
        socket.send(payload)
        assert (await peer.receive(timeout=5)).data == payload


async def test_silent_peer_is_asked_and_kept_if_it_answers() -> None:
    async with sockets() as (socket, peer):
        pulse = Pulse(1_000.0)
        pulse.add(socket)
        for _ in range(Pulse.ASKED_AFTER_BEATS):
            pulse._beat()
        assert (await peer.receive(timeout=5)).type is aiohttp.WSMsgType.PING
        await peer.pong()
        await until(lambda: not socket.silent_beats)
        for _ in range(Pulse.ASKED_AFTER_BEATS - 1):
            pulse._beat()
        assert not socket.is_closing
        pulse.discard(socket)


async def test_peer_that_stays_silent_is_gone() -> None:
    async with bytes_and_socket() as (socket, peer):
        has_ended = asyncio.Event()
        socket.on_received = has_ended.set
        pulse = Pulse(1_000.0)
        pulse.add(socket)
        for _ in range(Pulse.GONE_AFTER_BEATS):
            pulse._beat()
        await asyncio.wait_for(has_ended.wait(), 5)
        assert socket.is_read_to_end
        pulse.discard(socket)
        assert await peer.frame() == (0x89, b"")


async def test_peer_that_is_not_read_is_not_counted_silent() -> None:
    async with sockets() as (socket, peer):
        for _ in range(5):
            await peer.send_bytes(bytes(30_000))
        await until(lambda: not socket.is_listening)
        pulse = Pulse(1_000.0)
        pulse.add(socket)
        for _ in range(2 * Pulse.GONE_AFTER_BEATS):
            pulse._beat()
        assert not socket.is_closing
        pulse.discard(socket)


async def test_pulse_has_a_timer_only_while_it_watches_somebody() -> None:
    async with sockets() as (socket, _):
        pulse = Pulse(1_000.0)
        pulse.add(socket)
        timer = pulse._timer
        assert timer is not None
        pulse.discard(socket)
        assert timer.cancelled()
        assert pulse._timer is None
