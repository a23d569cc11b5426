"""One kept-alive HTTP/1.1 connection that carries one exchange at a time (``docs/protocol.md`` §2).

aiohttp's client is made for any server and many connections at once; for three bodies on one connection it takes four
times as long as the connection itself (``docs/benchmarks.md``). Here the bytes are taken apart by httptools, which is
the parser of Node.js and of aiohttp itself, and the rest is a future for each answer.
"""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from typing import Final, cast

import aiohappyeyeballs
import httptools

from slave_client.finding.places import join_authority

HEAD_MAX_BYTES: Final = 16_384
"""An answer's status line and headers together."""
_HAPPY_EYEBALLS_DELAY_S: Final = 0.25
"""A name with IPv6 and IPv4 addresses: how long before the other kind is tried too (RFC 8305 §5)."""


class BrokenAnswerError(Exception):
    """The peer closed the connection before its answer was whole, or sent what is no answer of HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back.

    Attributes:
        retry_after: The header's text, empty if there was none.
        body: As it came: nothing is unpacked.
    """

    status: int
    retry_after: str
    body: bytes


class _Incoming:
    """One answer as it arrives: what httptools calls."""

    __slots__ = (
        "_body",
        "_body_max_bytes",
        "_head_bytes",
        "_retry_after",
        "_status",
        "has_head",
        "is_whole",
        "may_be_kept",
        "parser",
    )

    def __init__(self, body_max_bytes: int) -> None:
        self._body_max_bytes = body_max_bytes
        self._body = bytearray()
        self._head_bytes = 0
        self._retry_after = ""
        self._status = 0
        self.has_head = False
        self.is_whole = False
        self.may_be_kept = False
        self.parser = httptools.HttpResponseParser(self)

    @property
    def answer(self) -> HttpAnswer:
        """What was received."""
        return HttpAnswer(self._status, self._retry_after, bytes(self._body))

    def feed(self, received: bytes) -> None:
        """Take bytes. Raises BrokenAnswerError."""
        if self.is_whole:
            raise BrokenAnswerError("bytes came after the answer")
        if not self.has_head:
            self._head_bytes += len(received)
        try:
            self.parser.feed_data(received)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            # What our own callbacks raise comes wrapped.
            inner = exc.__context__
            raise inner if isinstance(inner, BrokenAnswerError) else BrokenAnswerError("no answer of HTTP") from exc
        if not self.has_head and self._head_bytes > HEAD_MAX_BYTES:
            raise BrokenAnswerError("an answer has too long a head")

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self._retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._status = self.parser.get_status_code()
        self.has_head = self._status >= 200

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > self._body_max_bytes:
            raise BrokenAnswerError(f"an answer has more than {self._body_max_bytes} bytes")

    def on_message_complete(self) -> None:
        if self.is_whole:
            raise BrokenAnswerError("two answers to one request")
        self.is_whole = self.has_head  # what has a status below 200 only announces the answer
        self.may_be_kept = self.parser.should_keep_alive()  # the parser knows it only here


class _Wire(asyncio.Protocol):
    """The connection's bytes; knows of the exchange that is under way, if one is."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.is_open = False
        self._incoming: _Incoming | None = None
        self._waiting: asyncio.Future[HttpAnswer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self._fail(exc or BrokenAnswerError("the connection was closed"))

    def data_received(self, received: bytes) -> None:
        incoming, waiting = self._incoming, self._waiting
        if incoming is None or waiting is None:
            self.abort()  # nothing was asked
            return
        try:
            incoming.feed(received)
        except BrokenAnswerError as exc:
            self._fail(exc)
            self.abort()
            return
        if incoming.is_whole:
            self._incoming = self._waiting = None
            if not incoming.may_be_kept:
                self.close()
            if not waiting.done():
                waiting.set_result(incoming.answer)

    async def exchange(self, request: bytes, body_max_bytes: int) -> HttpAnswer:
        """Send one request and wait for its answer. Raises BrokenAnswerError or OSError."""
        self._incoming = _Incoming(body_max_bytes)
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        try:
            return await self._waiting
        except asyncio.CancelledError:
            self.abort()  # its answer may still come, and is nobody's
            raise

    def close(self) -> None:
        self.is_open = False
        self.transport.close()

    def abort(self) -> None:
        self.is_open = False
        self.transport.abort()

    def _fail(self, error: Exception) -> None:
        waiting, self._incoming, self._waiting = self._waiting, None, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)


class HttpConnection:
    """A connection to one server, made when it is first needed and again when it broke.

    Args:
        host: Name or IP address, an IPv6 address without brackets, a link-local one with its scope.
        port: TCP port.
        connect_timeout_s: For name look-up and TCP together.
    """

    def __init__(self, host: str, port: int, *, connect_timeout_s: float) -> None:
        self._host = host
        self._port = port
        self._connect_timeout_s = connect_timeout_s
        authority = join_authority(host.partition("%")[0], port)  # a scope means nothing to others (RFC 6874 §1)
        self._head_end = f" HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\nContent-Length: "
        self._wire: _Wire | None = None
        self._turn = asyncio.Lock()

    async def post(self, path: str, body: bytes, *, body_max_bytes: int) -> HttpAnswer:
        """Send a JSON body; one exchange at a time, others wait.

        Raises:
            BrokenAnswerError: No whole answer came, or one that is too long.
            OSError: No connection, or it broke; TimeoutError if connecting took too long.
        """
        request = f"POST {path}{self._head_end}{len(body)}\r\n\r\n".encode("ascii") + body
        async with self._turn:
            wire = await self._open_wire()
            return await wire.exchange(request, body_max_bytes)

    async def hand_over(self) -> asyncio.Transport:
        """Give the connection away, an open one or a new one: the stream goes on upon it. Raises OSError."""
        async with self._turn:
            wire, self._wire = await self._open_wire(), None
            return wire.transport

    def close(self) -> None:
        """Close it; an exchange that is under way fails."""
        if self._wire is not None and self._wire.is_open:
            self._wire.close()
        self._wire = None

    async def _open_wire(self) -> _Wire:
        if self._wire is None or not self._wire.is_open:
            async with asyncio.timeout(self._connect_timeout_s):
                self._wire = await self._connect()
        return self._wire

    async def _connect(self) -> _Wire:
        loop = asyncio.get_running_loop()
        if _is_ip_address(self._host):
            return (await loop.create_connection(_Wire, self._host, self._port))[1]
        addresses = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        sock = await aiohappyeyeballs.start_connection(
            addresses, happy_eyeballs_delay=_HAPPY_EYEBALLS_DELAY_S, loop=loop
        )
        try:
            return (await loop.create_connection(_Wire, sock=sock))[1]
        except BaseException:
            sock.close()
            raise


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
