"""Emptying a WebSocket's queue in one go, against aiohttp as it is installed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from group_protocol.errors import DecodingError
from master_api.stream_messages import MESSAGES_MAX, StreamMessages

ROOM_BYTES = 1_000_000


@asynccontextmanager
async def sockets() -> AsyncIterator[tuple[web.WebSocketResponse, aiohttp.ClientWebSocketResponse]]:
    """Both ends of a WebSocket."""
    served: asyncio.Future[web.WebSocketResponse] = asyncio.get_running_loop().create_future()
    is_over = asyncio.Event()

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        served.set_result(socket)
        await is_over.wait()
        return socket

    runner = web.ServerRunner(web.Server(serve))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as client:
            port = runner.addresses[0][1]
            async with client.ws_connect(f"ws://127.0.0.1:{port}/") as peer:
                yield await served, peer
                is_over.set()
    finally:
        is_over.set()
        await runner.cleanup()


async def send_all(peer: aiohttp.ClientWebSocketResponse, count: int) -> list[bytes]:
    sent = [bytes([at % 256]) * 100 for at in range(count)]
    for message in sent:
        await peer.send_bytes(message)
    await asyncio.sleep(0.2)  # all of them are in the queue then
    return sent


async def test_messages_that_wait_come_together_and_in_order() -> None:
    async with sockets() as (socket, peer):
        sent = await send_all(peer, 40)
        assert await StreamMessages(socket).receive(ROOM_BYTES) == sent


async def test_messages_are_taken_up_to_the_room_and_the_rest_next_time() -> None:
    async with sockets() as (socket, peer):
        sent = await send_all(peer, 10)
        messages = StreamMessages(socket)
        assert await messages.receive(250) == sent[:3]
        assert await messages.receive(0) == sent[3:4]
        assert await messages.receive(ROOM_BYTES) == sent[4:]


async def test_one_turn_takes_no_more_messages_than_its_bound() -> None:
    async with sockets() as (socket, peer):
        sent = await send_all(peer, MESSAGES_MAX + 5)
        messages = StreamMessages(socket)
        assert len(await messages.receive(ROOM_BYTES)) == MESSAGES_MAX
        assert await messages.receive(ROOM_BYTES) == sent[MESSAGES_MAX:]


async def test_close_behind_messages_is_seen_after_them() -> None:
    async with sockets() as (socket, peer):
        sent = await send_all(peer, 3)
        closing = asyncio.create_task(peer.close())
        messages = StreamMessages(socket)
        assert await messages.receive(ROOM_BYTES) == sent
        assert await messages.receive(ROOM_BYTES) == []
        await closing


async def test_ping_between_messages_is_passed_over() -> None:
    async with sockets() as (socket, peer):
        await peer.send_bytes(b"one")
        await peer.ping()
        await peer.send_bytes(b"two")
        await asyncio.sleep(0.1)
        messages = StreamMessages(socket)
        assert [*await messages.receive(ROOM_BYTES), *await messages.receive(ROOM_BYTES)] == [b"one", b"two"]


async def test_text_is_refused() -> None:
    async with sockets() as (socket, peer):
        await peer.send_str("hello")
        with pytest.raises(DecodingError):
            await StreamMessages(socket).receive(ROOM_BYTES)


async def test_unknown_queue_still_gives_one_message_at_a_time() -> None:
    async with sockets() as (socket, peer):
        sent = await send_all(peer, 2)
        messages = StreamMessages(socket)
        messages._queued = ()
        assert await messages.receive(ROOM_BYTES) == sent[:1]
        assert await messages.receive(ROOM_BYTES) == sent[1:]
