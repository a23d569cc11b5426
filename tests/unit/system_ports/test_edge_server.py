"""The edge over real sockets: what a peer sends, byte for byte, and all that comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from group_protocol.errors import BusyError, DecodingError
from group_protocol.messages import REFUSAL_BODY
from system_ports.edge_connection import HEAD_MAX_BYTES, HEADERS_MAX
from system_ports.edge_messages import UNREAD_MAX_BYTES, EdgeAnswer, EdgeRequest, busy, refusal
from system_ports.edge_server import ConnectionBounds, EdgeServer
from tests.support.waiting import until

BODY_MAX_BYTES = 1_000_000
HOST = "127.0.0.1"
ANSWER_WITHIN_S = 10.0


@dataclass(frozen=True)
class Settings:
    connections_max: int = 100
    connections_per_address_max: int = 100
    idle_timeout_s: float = 30.0
    lingering_s: float = 5.0


@dataclass
class Bench:
    """A server whose handler answers with what it was sent, and what it was asked so far."""

    body_timeout_s: float = 5.0
    port: int = 0
    asked: list[EdgeRequest] = field(default_factory=list)
    server: EdgeServer = field(init=False)
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.hold.set()

    async def handle(self, request: EdgeRequest) -> EdgeAnswer:
        self.asked.append(request)
        try:
            if request.path == "/mistake":
                raise RuntimeError("of ours")
            if request.path == "/unread":
                return refusal()
            body = await request.read_body(BODY_MAX_BYTES, self.body_timeout_s)
            await self.hold.wait()
        except BusyError as exc:
            return busy(exc.retry_after_s)
        except DecodingError:
            return refusal()
        return EdgeAnswer(body or b"{}")

    async def stream(self, request: web.BaseRequest) -> web.StreamResponse | None:
        socket = web.WebSocketResponse()
        if not socket.can_prepare(request).ok:
            return None
        await socket.prepare(request)
        async for message in socket:
            await socket.send_bytes(message.data)
        return socket

    async def send(self, *pieces: bytes) -> bytes:
        """Send pieces, one after the other, and read until the server closes or is silent for a moment."""
        async with connection(self.port) as (reader, writer):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
            return await read_all(reader)


@asynccontextmanager
async def serving(settings: Settings = Settings(), *, body_timeout_s: float = 5.0) -> AsyncIterator[Bench]:
    bench = Bench(body_timeout_s)
    bench.server = EdgeServer(bench.handle, settings, upgrades={"/stream": bench.stream})
    bench.port = await bench.server.listen(HOST, 0)
    try:
        yield bench
    finally:
        bench.hold.set()
        await bench.server.close(1.0)


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def read_all(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the server closes; an open connection fails the test."""
    async with asyncio.timeout(ANSWER_WITHIN_S):
        return await reader.read()


async def read_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """One answer: head and body."""
    async with asyncio.timeout(ANSWER_WITHIN_S):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.splitlines() if line.startswith(b"Content-Length"))
        return head, await reader.readexactly(length)


def post(body: bytes, *lines: str, path: str = "/x", version: str = "1.1") -> bytes:
    named = "".join(f"{line}\r\n" for line in (f"Content-Length: {len(body)}", *lines))
    return f"POST {path} HTTP/{version}\r\nHost: a\r\n{named}\r\n".encode() + body


CLOSING = "Connection: close"


async def test_answer_has_status_headers_and_body_and_nothing_else() -> None:
    async with serving() as bench:
        bench.server.now_unix_s = lambda: 784_111_777.9
        answer = await bench.send(post(b'{"a":1}', CLOSING))
    assert answer == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nServer: vgroup\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\nContent-Length: 7\r\n\r\n"
        b'{"a":1}'
    )


async def test_one_connection_serves_many_requests() -> None:
    async with serving() as bench, connection(bench.port) as (reader, writer):
        for number in range(5):
            body = b'{"n":%d}' % number
            writer.write(post(body))
            head, answer = await read_answer(reader)
            assert answer == body
            assert b"Connection" not in head
    assert len(bench.asked) == 5


async def test_request_that_comes_byte_by_byte_is_one_request() -> None:
    whole = post(b'{"a":1}', CLOSING)
    async with serving() as bench:
        answer = await bench.send(*(whole[at : at + 1] for at in range(len(whole))))
    assert answer.endswith(b'\r\n\r\n{"a":1}')


async def test_handler_sees_method_path_query_headers_and_peer() -> None:
    async with serving() as bench:
        await bench.send(
            b"GET /a%20b?x=1&y=%2F&x=2 HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-a: 2\r\nConnection: close\r\n\r\n"
        )
    (request,) = bench.asked
    assert (request.method, request.path, request.query, request.remote) == (
        "GET",
        "/a%20b",
        {"x": "2", "y": "/"},
        HOST,
    )
    assert request.headers["x-a"] == "1, 2"


async def test_chunked_body_is_put_together() -> None:
    head = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    async with serving() as bench:
        answer = await bench.send(head, b'4\r\n{"a"\r\n', b"3\r\n:1}\r\n0\r\n\r\n")
    assert answer.endswith(b'\r\n\r\n{"a":1}')


async def test_trailers_change_nothing_and_are_bounded() -> None:
    head = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    async with serving(Settings(lingering_s=0.05)) as bench, connection(bench.port) as (reader, writer):
        for _ in range(2):
            writer.write(head)
            await until(lambda: bench.asked != [])
            writer.write(b"X-Late: 1\r\n\r\n")
            assert (await read_answer(reader))[1] == b"{}"
        long = await bench.send(head, b"X: ", *[b"a" * 4_096] * (HEAD_MAX_BYTES // 4_096 + 1))
    assert "x-late" not in bench.asked[0].headers
    assert long.startswith(b"HTTP/1.1 400 ")


async def test_client_that_waits_for_100_continue_gets_it() -> None:
    body = b"{}"
    async with serving() as bench, connection(bench.port) as (reader, writer):
        whole = post(body, "Expect: 100-continue", CLOSING)
        writer.write(whole[: -len(body)])
        async with asyncio.timeout(ANSWER_WITHIN_S):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await read_all(reader)).endswith(b"{}")


async def test_answer_to_http_1_0_ends_the_connection() -> None:
    async with serving() as bench:
        answer = await bench.send(post(b"{}", version="1.0"))
    assert b"Connection: close" in answer


async def test_head_is_answered_without_a_body() -> None:
    async with serving() as bench:
        answer = await bench.send(b"HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"Content-Length: 2\r\n\r\n")


NO_HTTP = {
    "noise": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "no version": b"POST /x\r\n\r\n",
    "unknown method": b"STEAL /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "two lengths": b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": b"POST /x HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    "negative length": b"POST /x HTTP/1.1\r\nContent-Length: -2\r\n\r\n{}",
    "length of 30 digits": b"POST /x HTTP/1.1\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n{}",
    "space before the colon": b"POST /x HTTP/1.1\r\nContent-Length : 2\r\n\r\n{}",
    "long target": b"GET /" + b"a" * HEAD_MAX_BYTES + b" HTTP/1.1\r\n\r\n",
    "long header": b"GET /x HTTP/1.1\r\nX: " + b"a" * HEAD_MAX_BYTES + b"\r\n\r\n",
    "long header without an end": b"GET /x HTTP/1.1\r\nX: " + b"a" * 2 * HEAD_MAX_BYTES,
    "many headers": b"GET /x HTTP/1.1\r\n" + b"".join(b"X%d: 1\r\n" % at for at in range(HEADERS_MAX + 1)) + b"\r\n",
    "one header many times": b"GET /x HTTP/1.1\r\n" + b"X: 1\r\n" * (HEADERS_MAX + 1) + b"\r\n",
    "upgrade that nobody knows": post(b"{}", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"),
    "much white space": b"\r\n" * HEAD_MAX_BYTES,
}


@pytest.mark.parametrize("sent", NO_HTTP.values(), ids=NO_HTTP)
async def test_what_is_no_http_is_refused_alike_and_never_reaches_the_handler(sent: bytes) -> None:
    async with serving(Settings(lingering_s=0.05, idle_timeout_s=0.5)) as bench:
        bench.server.now_unix_s = lambda: 784_111_777.9
        answer = await bench.send(sent)
    assert answer == refusal().encode(784_111_777.9, closes=True)
    assert not bench.asked


async def test_broken_chunks_end_in_the_refusal() -> None:
    head = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving(Settings(lingering_s=0.05)) as bench:
        answer = await bench.send(head, b"zz\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(REFUSAL_BODY)


async def test_sender_of_a_body_that_does_not_come_may_try_again_when_its_time_is_up() -> None:
    async with serving(Settings(lingering_s=0.05), body_timeout_s=0.05) as bench:
        answer = await bench.send(post(b"{}")[:-1])
    assert answer.startswith(b"HTTP/1.1 429 ")


@pytest.mark.parametrize(
    "line", ["Content-Encoding: gzip", "Content-Type: text/plain", "Content-Type: application/jsonx"]
)
async def test_body_of_another_kind_is_refused(line: str) -> None:
    async with serving() as bench:
        answer = await bench.send(post(b"{}", line, CLOSING))
    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_body_above_the_bound_is_refused_announced_or_not() -> None:
    async with serving(Settings(lingering_s=0.05)) as bench:
        announced = await bench.send(post(bytes(BODY_MAX_BYTES + 1))[:2_000])
        head = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        counted = await bench.send(head, b"%x\r\n" % (BODY_MAX_BYTES + 1) + bytes(BODY_MAX_BYTES + 1))
    assert announced.startswith(b"HTTP/1.1 400 ")
    assert counted.startswith(b"HTTP/1.1 400 ")


async def test_refusal_reaches_a_peer_that_still_sends() -> None:
    """Closing at once would reset the connection, and the peer would see that in place of the answer."""
    async with serving() as bench:
        answer = await bench.send(post(bytes(900_000), path="/unread"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(REFUSAL_BODY)


async def test_body_that_nobody_reads_stays_in_the_network() -> None:
    async with serving() as bench, connection(bench.port) as (_reader, writer):
        bench.hold.clear()

        async def sleep(request: EdgeRequest) -> EdgeAnswer:
            bench.asked.append(request)
            await bench.hold.wait()
            return EdgeAnswer(await request.read_body(64 * 2**20, 5.0))

        bench.server.handle = sleep
        writer.write(post(bytes(32 * 2**20)))
        await until(lambda: bench.asked != [] and len(bench.asked[0]._body) > UNREAD_MAX_BYTES)
        await asyncio.sleep(0.05)
        assert len(bench.asked[0]._body) < UNREAD_MAX_BYTES + 2**20
        bench.hold.set()
        await until(lambda: bench.asked[0].is_complete)


@pytest.mark.parametrize("length", [UNREAD_MAX_BYTES, UNREAD_MAX_BYTES + 1, 2 * UNREAD_MAX_BYTES])
async def test_connection_goes_on_after_a_body_that_came_before_it_was_asked_for(length: int) -> None:
    async with serving() as bench, connection(bench.port) as (reader, writer):
        for _ in range(3):
            writer.write(post(bytes(length)))
            assert len((await read_answer(reader))[1]) == length


async def test_second_request_before_the_first_answer_is_not_looked_at() -> None:
    async with serving(Settings(lingering_s=0.05)) as bench:
        together = await bench.send(post(b'{"n":1}') + post(b'{"n":2}'))
        bench.hold.clear()
        async with connection(bench.port) as (reader, writer):
            writer.write(post(b'{"n":3}'))
            await until(lambda: len(bench.asked) == 2)
            writer.write(post(b'{"n":4}'))
            await asyncio.sleep(0.05)
            bench.hold.set()
            apart = await read_all(reader)
    assert [together.count(b"HTTP/1.1 200"), apart.count(b"HTTP/1.1 200")] == [1, 1]
    assert together.endswith(b'{"n":1}')
    assert apart.endswith(b'{"n":3}')
    assert b"Connection: close" in together
    assert len(bench.asked) == 2


async def test_mistake_of_ours_is_refused_like_all_else(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as bench:
        answer = await bench.send(post(b"{}", CLOSING, path="/mistake"))
    assert answer.endswith(REFUSAL_BODY)
    assert "a request failed for a reason of our own" in caplog.text


async def test_head_that_never_ends_is_closed_when_its_time_is_up() -> None:
    async with serving(Settings(idle_timeout_s=0.1)) as bench:
        assert await bench.send(b"POST /x HTT") == b""


async def test_idle_connection_is_closed_and_a_busy_one_is_not() -> None:
    async with serving(Settings(idle_timeout_s=0.1)) as bench, connection(bench.port) as (reader, writer):
        bench.hold.clear()
        writer.write(post(b"{}"))
        await asyncio.sleep(0.3)
        bench.hold.set()
        await read_answer(reader)
        assert await read_all(reader) == b""


async def test_connection_beyond_the_bound_is_closed_and_room_comes_back() -> None:
    async with serving(Settings(connections_per_address_max=1)) as bench:
        async with connection(bench.port) as (reader, writer):
            writer.write(post(b"{}"))
            await read_answer(reader)
            async with connection(bench.port) as (second, _):
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await read_answer(second)
        await until(lambda: not bench.server.bounds._per_site)
        assert (await bench.send(post(b"{}", CLOSING))).endswith(b"{}")


async def test_websocket_takes_the_connection_over_and_counts_as_one() -> None:
    async with serving() as bench, aiohttp.ClientSession() as http:
        async with http.ws_connect(f"http://{HOST}:{bench.port}/stream") as socket:
            await socket.send_bytes(b"hello")
            assert await socket.receive_bytes() == b"hello"
            assert bench.server.bounds._open == 1
        await until(lambda: bench.server.bounds._open == 0)


async def test_websocket_follows_requests_on_the_same_connection() -> None:
    upgrade = (
        b"GET /stream HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    masked = b"\x82\x82\x00\x00\x00\x00hi"
    async with serving() as bench, connection(bench.port) as (reader, writer):
        writer.write(post(b"{}"))
        await read_answer(reader)
        writer.write(upgrade[:40])
        await asyncio.sleep(0.01)
        writer.write(upgrade[40:] + masked)
        async with asyncio.timeout(ANSWER_WITHIN_S):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            assert await reader.readexactly(4) == b"\x82\x02hi"


@pytest.mark.parametrize(
    ("path", "line"),
    [("/stream", "Upgrade: h2c"), ("/stream", "X: no upgrade"), ("/other", "Upgrade: websocket")],
)
async def test_upgrade_that_is_no_websocket_is_refused(path: str, line: str) -> None:
    lines = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n{line}\r\nContent-Type: no/json\r\n\r\n"
    async with serving() as bench, connection(bench.port) as (reader, writer):
        writer.write(lines.encode())
        head, body = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert body == REFUSAL_BODY


async def test_upgrade_behind_an_unanswered_request_is_not_looked_at() -> None:
    upgrade = b"GET /stream HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with serving(Settings(lingering_s=0.05)) as bench:
        answer = await bench.send(post(b"{}") + upgrade)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1") == 1


async def test_closing_finishes_what_was_asked_and_ends_what_is_idle() -> None:
    async with serving() as bench, connection(bench.port) as (idle, _), connection(bench.port) as (reader, writer):
        bench.hold.clear()
        writer.write(post(b'{"a":1}'))
        await until(lambda: bench.asked != [])
        closing = asyncio.create_task(bench.server.close(5.0))
        assert await read_all(idle) == b""
        bench.hold.set()
        answer = await read_all(reader)
        await closing
        assert answer.endswith(b'{"a":1}')
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection(HOST, bench.port)


async def test_closing_does_not_wait_for_ever() -> None:
    async with serving() as bench, connection(bench.port) as (reader, writer):
        bench.hold.clear()
        writer.write(post(b"{}"))
        await until(lambda: bench.asked != [])
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await bench.server.close(0.05)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await read_answer(reader)


def test_connections_are_bounded_per_address_and_over_all() -> None:
    bounds = ConnectionBounds(3, 2)
    assert [bounds.admit("a"), bounds.admit("a"), bounds.admit("a")] == [True, True, False]
    assert bounds.admit("b")
    assert not bounds.admit("c")
    bounds.release("a")
    assert bounds.admit("c")


def test_released_address_is_forgotten() -> None:
    bounds = ConnectionBounds(3, 2)
    bounds.admit("a")
    bounds.release("a")
    assert not bounds._per_site


def test_answers_are_never_cached_and_say_nothing_of_the_server() -> None:
    for answer in (refusal(), busy(7)):
        encoded = answer.encode(0)
        assert b"\r\nCache-Control: no-store\r\n" in encoded
        assert b"\r\nServer: vgroup\r\n" in encoded
    assert b"\r\nRetry-After: 7\r\n" in busy(7).encode(0)
