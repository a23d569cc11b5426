"""One connection of an edge: bytes in, one request at a time to the handler, its answer out (HTTP/1.1, RFC 9112).

The bytes are taken apart by httptools, which is the parser of Node.js and of aiohttp itself. What is bounded here: the
head in bytes and header lines, the body in memory, the time that a head may take and the requests at a time: one. A
second that comes before the answer to the first is not looked at; the first's answer ends the connection, as a client
that pipelines has to expect (RFC 9112 §9.3.2).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, cast

import httptools

from system_ports.edge_messages import EdgeAnswer, EdgeRequest, refusal
from system_ports.rate_limits import site_of

HEAD_MAX_BYTES: Final = 16_384
"""A request line and its headers together; and as much that belongs to no body may come at a time behind it."""
HEADERS_MAX: Final = 64
_VERSIONS: Final = frozenset({"1.0", "1.1"})
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_log = logging.getLogger("vgroup.edge")

Handler = Callable[[EdgeRequest], Awaitable[EdgeAnswer]]


class _RefusedHeadError(Exception):
    """A head beyond the bounds; ends the parser's work on it."""


def log_refused_bytes(remote: str | None, status: int, error: BaseException | None) -> None:
    """Note what was refused before any handler saw it; nothing of the bytes themselves."""
    _log.info("refused", extra={"fields": {"peer": remote, "status": status, "cause": type(error).__name__}})


class EdgeHost(Protocol):
    """The server that a connection belongs to."""

    def handle(self, request: EdgeRequest, /) -> Awaitable[EdgeAnswer]:
        """Answer a request."""
        ...

    @property
    def idle_timeout_s(self) -> float:
        """A connection without a request is closed after this; a head has to be whole by then."""
        ...

    @property
    def lingering_s(self) -> float:
        """After an answer that did not wait for the whole request, time for the rest to arrive and be dropped."""
        ...

    def admit(self, connection: "EdgeConnection", site: str) -> bool:
        """Count a connection in, if there is room."""
        ...

    def release(self, connection: "EdgeConnection", site: str) -> None:
        """Count it out."""
        ...

    def keep(self, task: asyncio.Task[None]) -> None:
        """Hold a request's task until it is done."""
        ...

    def is_upgrade(self, path: str) -> bool:
        """Whether a connection may change its protocol at this path."""
        ...

    def hand_over(self, connection: "EdgeConnection", transport: asyncio.Transport, head: bytes, site: str) -> None:
        """Take a connection over; these bytes were read from it. Counts it out when it ends."""
        ...

    def now_unix_s(self) -> float:
        """For the answers' date."""
        ...


class EdgeConnection(asyncio.Protocol):
    """See the module."""

    def __init__(self, host: EdgeHost, loop: asyncio.AbstractEventLoop) -> None:
        self._host = host
        self._loop = loop
        self._transport: asyncio.Transport
        self._site: str | None = None
        self._remote = ""
        self._parser = httptools.HttpRequestParser(self)
        self._request: EdgeRequest | None = None
        self._begin_head()
        self._is_last = self._is_deaf = self._is_upgrading = False
        self._idle_until_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it in, or close it before it costs anything."""
        self._transport = cast("asyncio.Transport", transport)
        peername = transport.get_extra_info("peername")
        self._remote = str(peername[0]) if peername else ""
        site = site_of(self._remote)
        if not self._host.admit(self, site):
            self._transport.abort()
            return
        self._site = site
        self._idle_until_s = self._loop.time() + self._host.idle_timeout_s
        self._timer = self._loop.call_at(self._idle_until_s, self._look_at_time)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Count it out. A request that is under way goes on: what it began is finished, its answer is nobody's."""
        if self._timer is not None:
            self._timer.cancel()
        if self._request is not None:
            self._request.fail("the peer is gone")
        if self._site is not None:
            self._host.release(self, self._site)
            self._site = None

    def close_when_idle(self) -> None:
        """Take no further request."""
        self._is_last = True
        if self._request is None:
            self._close()

    def abort(self) -> None:
        """Close it at once."""
        self._transport.abort()

    def data_received(self, received: bytes) -> None:
        """Take bytes of a request, unless nothing that comes matters any more."""
        if self._is_deaf:
            return
        request = self._request
        if request is None:
            self._head += received
        elif request.is_complete:
            self._turn_deaf()
            return
        self._bare_bytes += len(received)
        try:
            self._parser.feed_data(received)
        except httptools.HttpParserUpgrade:
            self._after_upgrade_head()
        except httptools.HttpParserError as exc:
            # What our own callbacks raise comes wrapped.
            self._refuse_bytes(exc.__context__ if isinstance(exc.__context__, _RefusedHeadError) else exc)
        else:
            if self._bare_bytes > HEAD_MAX_BYTES and not self._is_deaf:
                self._refuse_bytes(_RefusedHeadError("too long"))

    def on_message_begin(self) -> None:
        """From the parser: another request."""
        self._begun += 1
        if self._request is not None or self._begun > 1:
            self._turn_deaf()

    def on_url(self, part: bytes) -> None:
        """From the parser: a piece of the request's target."""
        self._target += part
        self._count(len(part))

    def on_header(self, name: bytes, value: bytes) -> None:
        """From the parser: a header, or a trailer, which changes nothing (RFC 9110 §6.5.1)."""
        if self._is_deaf or self._request is not None:
            return
        self._count(len(name) + len(value))
        headers = self._headers
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
        self._header_lines += 1
        if self._header_lines > HEADERS_MAX:
            raise _RefusedHeadError("too many headers")

    def on_headers_complete(self) -> None:
        """From the parser: the head is whole, and the handler can begin."""
        if self._is_deaf:
            return
        parser, headers = self._parser, self._headers
        if parser.get_http_version() not in _VERSIONS:
            raise _RefusedHeadError("another version")
        target = self._target.decode("latin-1")
        method = parser.get_method().decode("ascii")
        request = EdgeRequest(method, target, headers, self._remote, self._transport)
        if parser.should_upgrade():
            if method == "GET" and self._host.is_upgrade(request.path):
                self._is_upgrading = True
                return
            # We might pass over it, but the parser would take a body for the new protocol.
            raise _RefusedHeadError("an upgrade that nobody knows")
        self._request = request
        self._head = b""
        self._bare_bytes = 0
        if "expect" in headers and headers["expect"].lower() == "100-continue":
            self._transport.write(_CONTINUE)
        self._host.keep(self._loop.create_task(self._serve(request)))

    def on_body(self, piece: bytes) -> None:
        """From the parser: some of the body."""
        if self._request is not None and not self._is_deaf:
            self._bare_bytes = 0
            self._request.take(piece)

    def on_message_complete(self) -> None:
        """From the parser: the request is whole. Whether the connection may be kept is known only now."""
        request = self._request
        if request is None or self._is_deaf:
            return
        request.complete()
        if not self._parser.should_keep_alive():
            self._is_last = True

    def _begin_head(self) -> None:
        self._head = self._target = b""
        self._head_bytes = self._header_lines = self._bare_bytes = self._begun = 0
        self._headers: dict[str, str] = {}

    def _count(self, length_bytes: int) -> None:
        self._head_bytes += length_bytes
        if self._head_bytes > HEAD_MAX_BYTES:
            raise _RefusedHeadError("too long")

    def _turn_deaf(self) -> None:
        """From here on nothing is looked at; the answer that is owed is the last."""
        self._is_deaf = self._is_last = True

    def _after_upgrade_head(self) -> None:
        if not self._is_upgrading or self._site is None:
            return
        site, self._site = self._site, None
        if self._timer is not None:
            self._timer.cancel()
        self._host.hand_over(self, self._transport, self._head, site)

    def _refuse_bytes(self, error: BaseException) -> None:
        """What came is no HTTP, or a head beyond the bounds."""
        log_refused_bytes(self._remote, 400, error)
        self._turn_deaf()
        if self._request is not None:
            self._request.fail("the body is broken")
        else:
            self._write(refusal(), head_only=False)
            self._linger()

    async def _serve(self, request: EdgeRequest) -> None:
        try:
            answer = await self._host.handle(request)
        except Exception:  # noqa: BLE001 - whatever we did wrong, the peer sees the uniform refusal
            _log.exception("a request failed for a reason of our own", extra={"fields": {"path": request.path[:32]}})
            answer = refusal()
        self._finish(request, answer)

    def _finish(self, request: EdgeRequest, answer: EdgeAnswer) -> None:
        if self._transport.is_closing():
            return
        is_read = request.is_complete and not self._is_deaf
        self._is_last = self._is_last or not is_read
        self._write(answer, head_only=request.method == "HEAD")
        self._request = None
        self._begin_head()
        if not self._is_last:
            self._idle_until_s = self._loop.time() + self._host.idle_timeout_s
        elif is_read:
            self._close()
        else:
            request.drop_rest()
            self._linger()

    def _close(self) -> None:
        self._is_deaf = True
        self._transport.close()

    def _write(self, answer: EdgeAnswer, *, head_only: bool) -> None:
        now_unix_s = self._host.now_unix_s()
        self._transport.write(answer.encode(now_unix_s, closes=self._is_last, head_only=head_only))

    def _linger(self) -> None:
        """Closing at once would reset the connection under a peer that still sends, and take its answer away."""
        self._is_deaf = True
        self._idle_until_s = self._loop.time() + self._host.lingering_s
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._idle_until_s, self._look_at_time)

    def _look_at_time(self) -> None:
        """Close what has been idle for too long. One timer for all of a connection's requests; it may ring early."""
        now_s = self._loop.time()
        if self._request is not None:
            next_s = now_s + self._host.idle_timeout_s
        elif now_s < self._idle_until_s:
            next_s = self._idle_until_s
        else:
            if self._transport.get_write_buffer_size():
                self._transport.abort()  # a peer that takes nothing
            else:
                self._transport.close()
            return
        self._timer = self._loop.call_at(next_s, self._look_at_time)
