"""The HTTP server under the handlers: bounds connections, and gives aiohttp's own errors the uniform refusal.

aiohttp's low-level server is used rather than its Application, so that no router or error page of a framework stands
between a peer and the one refusal (``docs/protocol.md`` §2).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Protocol, cast

from aiohttp import web

from group_protocol.errors import DecodingError
from group_protocol.messages import BUSY_BODY, REFUSAL_BODY
from system_ports.rate_limits import site_of

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_log = logging.getLogger("vgroup.master.edge")

COMMON_HEADERS = {"Cache-Control": "no-store", "Server": "vgroup"}
"""On every answer; aiohttp would else name its version."""


def json_response(body: bytes, *, status: int = 200, retry_after_s: int | None = None) -> web.Response:
    """An answer with a JSON body."""
    headers = dict(COMMON_HEADERS)
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def refusal() -> web.Response:
    """The one answer to everything wrong."""
    return json_response(REFUSAL_BODY, status=400)


def busy(retry_after_s: int) -> web.Response:
    """The answer under load."""
    return json_response(BUSY_BODY, status=429, retry_after_s=retry_after_s)


async def read_body(request: web.BaseRequest, max_bytes: int, timeout_s: float) -> bytes:
    """The body, never more of it in memory than allowed. Raises DecodingError."""
    if "Content-Encoding" in request.headers or request.content_type not in {
        "application/json",
        "application/octet-stream",  # what aiohttp says where the header is missing
    }:
        raise DecodingError("the body is no plain JSON")
    if (request.content_length or 0) > max_bytes:
        raise DecodingError("the body is announced too large")
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > max_bytes:
                    raise DecodingError("the body is too large")
    except TimeoutError as exc:
        raise DecodingError("the body did not come in time") from exc
    except web.RequestPayloadError as exc:
        raise DecodingError("the body is broken") from exc
    return bytes(body)


class EdgeSettings(Protocol):
    """What a server's settings say about its connections."""

    @property
    def connections_max(self) -> int:
        """TCP connections at a time; more are closed at once."""
        ...

    @property
    def connections_per_address_max(self) -> int:
        """The same from one address."""
        ...

    @property
    def idle_timeout_s(self) -> float:
        """A kept-alive connection without a request is closed after this."""
        ...

    @property
    def lingering_s(self) -> float:
        """After a refusal, time for the rest of the request to arrive and be dropped."""
        ...


class ConnectionBounds:
    """Counts connections, over all and per address."""

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._per_site: Counter[str] = Counter()

    def change(self, most: int, most_per_address: int) -> None:
        """From now on these bounds; what is open stays open."""
        self._most = most
        self._most_per_address = most_per_address

    def admit(self, site: str) -> bool:
        """Count a connection in, if it fits."""
        if self._per_site.total() >= self._most or self._per_site[site] >= self._most_per_address:
            return False
        self._per_site[site] += 1
        return True

    def release(self, site: str) -> None:
        """Count a connection out."""
        self._per_site[site] -= 1
        if not self._per_site[site]:
            del self._per_site[site]


class EdgeProtocol(web.RequestHandler):
    """One connection. One too many is closed before it costs anything."""

    def __init__(self, server: "EdgeServer") -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=server.config.idle_timeout_s,
            lingering_time=server.config.lingering_s,
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type] # none: it would hold a peer's text; refusals are logged capped
        )
        self._bounds = server.bounds
        self._site: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it in or close it."""
        peername = transport.get_extra_info("peername")
        site = site_of(str(peername[0])) if peername else ""
        if not self._bounds.admit(site):
            cast("asyncio.Transport", transport).abort()
            return
        self._site = site
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count it out."""
        if self._site is not None:
            self._bounds.release(self._site)
            self._site = None
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's signature
    ) -> web.StreamResponse:
        """What aiohttp itself refuses, such as bytes that are no HTTP, gets the uniform refusal too."""
        _log.info("refused", extra={"fields": {"peer": request.remote, "status": status, "cause": type(exc).__name__}})
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already") from exc
        response = refusal()
        response.force_close()
        return response


class EdgeServer(web.Server):
    """Makes a protocol for each connection."""

    def __init__(self, handler: Handler, config: EdgeSettings) -> None:
        super().__init__(handler)
        self.config = config
        self.bounds = ConnectionBounds(config.connections_max, config.connections_per_address_max)

    def __call__(self) -> web.RequestHandler:
        """For asyncio: the protocol of a new connection."""
        return EdgeProtocol(self)
