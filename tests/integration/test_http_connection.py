"""The device's HTTP connection against servers that behave in every way a server can."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from slave_client.http_connection import HEAD_MAX_BYTES, BrokenAnswerError, HttpConnection

pytestmark = pytest.mark.network

MAX_BYTES = 1_000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Server:
    """Answers each request with the next text it was given, on however many connections."""

    answers: list[bytes]
    after: Callable[[asyncio.StreamWriter], None] = lambda _: None
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                if not self.answers:
                    await asyncio.sleep(30)
                writer.write(self.answers.pop(0))
                self.after(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def serving(
    *answers: bytes, host: str = "127.0.0.1", after: Callable[[asyncio.StreamWriter], None] = lambda _: None
) -> AsyncIterator[tuple[Server, HttpConnection]]:
    server = Server(list(answers), after)
    listener = await asyncio.start_server(server.serve, host, 0)
    server.port = listener.sockets[0].getsockname()[1]
    connection = HttpConnection(host, server.port, connect_timeout_s=2.0)
    try:
        yield server, connection
    finally:
        connection.close()
        listener.close()


async def post(connection: HttpConnection, body: bytes = b"{}") -> bytes:
    return (await connection.post("/assoc", body, body_max_bytes=MAX_BYTES)).body


async def test_many_exchanges_go_over_one_connection_each_with_the_head_the_protocol_names() -> None:
    async with serving(OK, OK, OK) as (server, connection):
        for body in (b"{}", b"", b"x" * 500):
            assert await post(connection, body) == b"ok"
    assert server.connections == 1
    assert (
        server.requests[2]
        == (
            f"POST /assoc HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: 500\r\n\r\n"
        ).encode()
        + b"x" * 500
    )


async def test_exchanges_at_the_same_time_wait_for_each_other() -> None:
    answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % at for at in range(5)]
    async with serving(*answers) as (server, connection):
        assert await asyncio.gather(*(post(connection) for _ in range(5))) == [b"0", b"1", b"2", b"3", b"4"]
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH: 2\r\nX: y\r\n\r\nok",
    ],
    ids=["chunked", "hints first", "other case"],
)
async def test_answer_in_any_form_of_http_is_understood(answer: bytes) -> None:
    async with serving(answer, OK) as (server, connection):
        assert [await post(connection), await post(connection)] == [b"ok", b"ok"]
    assert server.connections == 1


async def test_answer_that_comes_byte_by_byte_is_put_together() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in OK:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    listener = await asyncio.start_server(drip, "127.0.0.1", 0)
    connection = HttpConnection("127.0.0.1", listener.sockets[0].getsockname()[1], connect_timeout_s=2.0)
    assert await post(connection) == b"ok"
    connection.close()
    listener.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
    ids=["close", "HTTP/1.0"],
)
async def test_server_that_keeps_no_connection_gets_a_new_one(answer: bytes) -> None:
    async with serving(answer, OK) as (server, connection):
        assert [await post(connection), await post(connection)] == [b"ok", b"ok"]
    assert server.connections == 2


async def test_connection_that_the_server_closed_in_between_is_made_anew() -> None:
    async with serving(OK, OK, after=lambda writer: writer.close()) as (server, connection):
        assert await post(connection) == b"ok"
        await asyncio.sleep(0.05)
        assert await post(connection) == b"ok"
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        OK + OK,
        OK + b"x",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1_001,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3e9\r\n" + b"x" * 1_001 + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * HEAD_MAX_BYTES + b"\r\n",
        b"".join([b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"] * 1_000),
        b"SSH-2.0-OpenSSH\r\n",
    ],
    ids=[
        "two",
        "a byte more",
        "upgrade",
        "long",
        "long in chunks",
        "two lengths",
        "two other lengths",
        "head",
        "hints without end",
        "ssh",
    ],
)
async def test_answer_that_is_none_is_an_error_and_its_connection_is_used_no_more(answer: bytes) -> None:
    async with serving(answer, OK) as (server, connection):
        with pytest.raises((BrokenAnswerError, OSError)):
            await post(connection)
        assert await post(connection) == b"ok"
    assert server.connections == 2


async def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    async def later(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)
        writer.write(OK)

    tasks: set[asyncio.Task[None]] = set()

    def write_later(writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(later(writer)))

    async with serving(OK, OK, after=write_later) as (server, connection):
        assert await post(connection) == b"ok"
        await asyncio.sleep(0.1)
        assert await post(connection) == b"ok"
    assert server.connections == 2
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_exchange_that_was_given_up_leaves_no_answer_for_the_next() -> None:
    async with serving() as (server, connection):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await post(connection)
        server.answers.append(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew")
        assert await post(connection) == b"new"
    assert server.connections == 2


async def test_name_is_looked_up_and_every_address_of_it_tried() -> None:
    async with serving(OK) as (server, _):
        # localhost has ::1 too, where nobody listens
        connection = HttpConnection("localhost", server.port, connect_timeout_s=5.0)
        assert await post(connection) == b"ok"
        connection.close()


async def test_ipv6_address_stands_in_brackets_in_the_head() -> None:
    async with serving(OK, host="::1") as (server, connection):
        assert await post(connection) == b"ok"
    assert f"Host: [::1]:{server.port}\r\n".encode() in server.requests[0]


async def test_connection_is_refused_as_an_os_error() -> None:
    connection = HttpConnection("127.0.0.1", 1, connect_timeout_s=2.0)
    with pytest.raises(OSError, match=r"."):
        await post(connection)
