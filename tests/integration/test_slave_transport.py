"""The slave's way to its master: one connection, bounded answers, and everything foreign as an error of ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from group_protocol.errors import BusyError, VirtualGroupError
from group_protocol.messages import REFUSAL_BODY
from slave_client.errors import MasterRefusalError, MasterUnreachableError, StreamClosedError
from slave_client.transport import Transport
from tests.support.cut_wire import CutWire
from tests.support.running_master import running_master
from tests.support.slave_bench import ListSensor, paired_slave

pytestmark = pytest.mark.network


@asynccontextmanager
async def canned(*answers: bytes, holds: bool = False) -> AsyncIterator[int]:
    """A server that answers each connection's first bytes with what it was given, then closes; answers its port."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if left:
            writer.write(left.pop(0))
        if holds:
            await asyncio.sleep(30)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    head = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (http("400 Bad Request", REFUSAL_BODY), MasterRefusalError),
        (http("400 Bad Request", b"something else"), MasterUnreachableError),
        (http("404 Not Found", b"nginx"), MasterUnreachableError),
        (http("302 Found", b"", "Location: http://127.0.0.1:1/"), MasterUnreachableError),
        (http("503 Service Unavailable"), MasterUnreachableError),
        (http("200 OK", b"x" * 9_000), MasterUnreachableError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", MasterUnreachableError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", MasterUnreachableError),
        (b"SSH-2.0-OpenSSH_9.2\r\n", MasterUnreachableError),
        (b"", MasterUnreachableError),
    ],
)
async def test_foreign_answer_becomes_an_error_of_ours(answer: bytes, error: type[VirtualGroupError]) -> None:
    async with canned(answer) as port, Transport("127.0.0.1", port) as transport:
        with pytest.raises(error):
            await transport.post("/keysSession", b"{}")


@pytest.mark.parametrize(("header", "wait_s"), [("7", 7), ("0", 1), ("soon", 1), ("99999", 300), ("-3", 1)])
async def test_busy_master_says_when_to_come_back_within_reason(header: str, wait_s: int) -> None:
    answer = http("429 Too Many Requests", b"busy", f"Retry-After: {header}")
    async with canned(answer) as port, Transport("127.0.0.1", port) as transport:
        with pytest.raises(BusyError) as caught:
            await transport.post("/keysSession", b"{}")
    assert caught.value.retry_after_s == wait_s


async def test_master_that_never_answers_raises_unreachable_after_the_timeout() -> None:
    async with canned(holds=True) as port, Transport("127.0.0.1", port, answer_timeout_s=0.2) as transport:
        with pytest.raises(MasterUnreachableError, match="no answer in time"):
            await transport.post("/keysSession", b"{}")


async def test_master_that_owes_an_answer_to_data_is_gone_after_one_and_a_half_heartbeats() -> None:
    async with canned(holds=True) as port, Transport("127.0.0.1", port, heartbeat_s=0.1) as transport:
        with pytest.raises(MasterUnreachableError, match="no answer in time"):
            await transport.post("/data", b"{}")


async def test_compressed_answer_is_not_unpacked() -> None:
    answer = http("200 OK", b"\x1f\x8bnot unpacked", "Content-Encoding: gzip")
    async with canned(answer) as port, Transport("127.0.0.1", port) as transport:
        assert await transport.post("/keysSession", b"{}") == b"\x1f\x8bnot unpacked"


async def test_sealed_request_is_sent_again_when_the_connection_broke() -> None:
    async with canned(b"", http("200 OK", b"answer")) as port, Transport("127.0.0.1", port) as transport:
        assert await transport.post_twice("/assoc", b"{}") == b"answer"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (http("400 Bad Request", REFUSAL_BODY), MasterRefusalError),
        (http("429 Too Many Requests", b"", "Retry-After: 2"), BusyError),
        (http("200 OK", b"no upgrade"), MasterUnreachableError),
        (b"", MasterUnreachableError),
    ],
)
async def test_stream_that_is_not_opened_becomes_an_error_of_ours(
    answer: bytes, error: type[VirtualGroupError]
) -> None:
    async with canned(answer) as port, Transport("127.0.0.1", port) as transport:
        with pytest.raises(error):
            await transport.open_stream()


async def test_whole_session_from_first_message_to_stream_uses_one_connection(tmp_path: Path) -> None:
    async with (
        running_master(tmp_path) as bench,
        paired_slave(tmp_path, bench) as slave,
        CutWire(slave.port) as wire,
    ):
        slave.port = wire.port
        daemon = await slave.daemon(ListSensor([1.0] * 50))
        await asyncio.wait_for(daemon.run(asyncio.Event()), 30)
        assert wire.connections == 1


async def test_stream_that_the_master_closes_raises_stream_closed(tmp_path: Path) -> None:
    async with (
        running_master(tmp_path, stream_open_timeout_s=0.1) as bench,
        paired_slave(tmp_path, bench) as slave,
        slave.transport() as transport,
    ):
        stream = await transport.open_stream()
        with pytest.raises(StreamClosedError):
            await stream.receive()
        await stream.close()


@asynccontextmanager
async def upgraded(*, answers_pings: bool) -> AsyncIterator[tuple[int, list[int]]]:
    """A server that opens a WebSocket and says nothing on it, or only answers pings; its port and their times."""
    pings: list[int] = []

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        async for message in socket:
            pings.append(message.type)
            if answers_pings:
                await socket.pong(message.data)
        return socket

    application = web.Application()
    application.router.add_get("/stream", serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1], pings
    finally:
        await runner.cleanup()


async def test_silent_master_is_pinged_and_its_stream_ends_half_a_heartbeat_later() -> None:
    async with (
        upgraded(answers_pings=False) as (port, pings),
        Transport("127.0.0.1", port, heartbeat_s=0.2) as transport,
    ):
        stream = await transport.open_stream()
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(StreamClosedError):
            await asyncio.wait_for(stream.receive(), 10)
        assert asyncio.get_running_loop().time() - began_s >= 0.29
        assert len(pings) == 1
        await stream.close()


async def test_master_that_only_answers_pings_keeps_its_stream() -> None:
    async with (
        upgraded(answers_pings=True) as (port, pings),
        Transport("127.0.0.1", port, heartbeat_s=0.1) as transport,
    ):
        stream = await transport.open_stream()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.receive(), 1.0)
        assert len(pings) >= 3
        await stream.close()


@pytest.mark.parametrize("via", ["stream", "data"])
async def test_session_is_renewed_before_its_lifetime_ends_and_nothing_is_lost(tmp_path: Path, via: str) -> None:
    async with running_master(tmp_path, session_lifetime_s=1) as bench, paired_slave(tmp_path, bench) as slave:
        daemon = await slave.daemon(ListSensor([1.0] * 600, pause_s=0.004), via=via)
        await asyncio.wait_for(daemon.run(asyncio.Event()), 60)
        assert daemon.board.sessions > 1
        assert daemon.board.last_error == ""
        devices = (await bench.operations.list_devices())["devices"]
        assert isinstance(devices, list)
        assert devices[0]["records"] == daemon.board.last_ack.last_seq if daemon.board.last_ack else False
