"""Many messages in one write, against aiohttp as it is installed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from slave_client.corked_writer import CorkedWriter
from slave_client.errors import StreamClosedError
from slave_client.transport import Stream

MESSAGES = [bytes([at]) * length for at, length in enumerate([1, 125, 126, 1_000, 70_000, 0, 200])]


@asynccontextmanager
async def echo_of_lengths() -> AsyncIterator[tuple[aiohttp.ClientWebSocketResponse, list[bytes]]]:
    """A client's socket, and what its server has received."""
    received: list[bytes] = []

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=1 << 20)
        await socket.prepare(request)
        async for message in socket:
            assert message.type is aiohttp.WSMsgType.BINARY
            received.append(message.data)
        return socket

    runner = web.ServerRunner(web.Server(serve))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as client:
            port = runner.addresses[0][1]
            async with client.ws_connect(f"ws://127.0.0.1:{port}/", compress=0) as socket:
                yield socket, received
    finally:
        await runner.cleanup()


class CountingTransport:
    """The transport, counting writes."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.writes = 0

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def write(self, piece: bytes) -> None:
        self.writes += 1
        self._transport.write(piece)


async def wait_for(received: list[bytes], count: int) -> None:
    async with asyncio.timeout(5):
        while len(received) < count:  # noqa: ASYNC110 - the server's list has no event
            await asyncio.sleep(0.01)


async def test_messages_arrive_whole_and_in_order_after_one_write() -> None:
    async with echo_of_lengths() as (socket, received):
        corked = CorkedWriter.on(socket)
        assert corked is not None, "aiohttp is not as we know it: many messages are many system calls now"
        counting = CountingTransport(corked._cork._transport)
        corked._cork._transport = counting  # type: ignore[assignment] # as much of it as is used
        await corked.send(MESSAGES)
        assert counting.writes == 1
        await wait_for(received, len(MESSAGES))
        assert received == MESSAGES


async def test_corked_and_single_messages_keep_their_order() -> None:
    async with echo_of_lengths() as (socket, received):
        stream = Stream(socket)
        await stream.send(b"first")
        await stream.send_many([b"second", b"third"])
        await stream.send_many([b"fourth"])
        await wait_for(received, 4)
        assert received == [b"first", b"second", b"third", b"fourth"]


async def test_without_a_corked_writer_messages_go_out_one_by_one() -> None:
    async with echo_of_lengths() as (socket, received):
        stream = Stream(socket)
        stream._corked = None
        await stream.send_many(MESSAGES)
        await wait_for(received, len(MESSAGES))
        assert received == MESSAGES


async def test_broken_connection_is_told_as_a_closed_stream() -> None:
    async with echo_of_lengths() as (socket, _):
        stream = Stream(socket)
        await socket.close()
        with pytest.raises(StreamClosedError):
            await stream.send_many([b"one", b"two"])
