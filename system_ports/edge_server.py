"""The HTTP server under the handlers: bounds connections, and gives everything that is no HTTP the uniform refusal.

No framework stands between a peer and the one refusal (``docs/protocol.md`` §2). Why the server is one of our own, on
httptools: ADR 0027. A connection that becomes a WebSocket is handed to aiohttp.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from aiohttp import web

from group_protocol.messages import REFUSAL_BODY
from system_ports.edge_connection import EdgeConnection, Handler, log_refused_bytes
from system_ports.edge_messages import COMMON_HEADERS

UpgradeHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse | None]]
"""Prepares a WebSocket and serves it to its end, or answers None: then the peer gets the refusal."""


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
        """A kept-alive connection without a request is closed after this; a head has to be whole by then."""
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
        self._open = 0

    def change(self, most: int, most_per_address: int) -> None:
        """From now on these bounds; what is open stays open."""
        self._most = most
        self._most_per_address = most_per_address

    def admit(self, site: str) -> bool:
        """Count a connection in, if it fits."""
        if self._open >= self._most or self._per_site[site] >= self._most_per_address:
            return False
        self._open += 1
        self._per_site[site] += 1
        return True

    def release(self, site: str) -> None:
        """Count a connection out."""
        self._open -= 1
        self._per_site[site] -= 1
        if not self._per_site[site]:
            del self._per_site[site]


class EdgeServer:
    """Listens, on as many addresses as it is told to, and owns the connections.

    Args:
        handle: Answers requests. What it raises is a mistake of ours: logged, and refused.
        settings: Of the connections.
        upgrades: Who serves a WebSocket, by its path.
    """

    def __init__(
        self, handle: Handler, settings: EdgeSettings, *, upgrades: Mapping[str, UpgradeHandler] | None = None
    ) -> None:
        self.handle = handle
        self.now_unix_s = time.time
        self.bounds = ConnectionBounds(settings.connections_max, settings.connections_per_address_max)
        self._settings = settings
        self._upgrades = upgrades or {}
        self._listening: list[asyncio.Server] = []
        self._connections: set[EdgeConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._upgraded = web.Server(self._answer_upgraded)

    @property
    def idle_timeout_s(self) -> float:
        """See :class:`EdgeSettings`."""
        return self._settings.idle_timeout_s

    @property
    def lingering_s(self) -> float:
        """See :class:`EdgeSettings`."""
        return self._settings.lingering_s

    async def listen(self, host: str, port: int) -> int:
        """Accept connections there too; the port, where 0 let the system choose. Raises OSError."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: EdgeConnection(self, loop), host, port, reuse_address=True)
        self._listening.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self, within_s: float) -> None:
        """Listen no longer, finish what is asked already and what streams have to say, then close all."""
        for server in self._listening:
            server.close()
        for connection in tuple(self._connections):
            connection.close_when_idle()
        await asyncio.gather(self._finish_requests(within_s), self._upgraded.shutdown(within_s))
        for connection in tuple(self._connections):
            connection.abort()
        for server in self._listening:
            await server.wait_closed()

    async def _finish_requests(self, within_s: float) -> None:
        if not self._tasks:
            return
        _, late = await asyncio.wait(tuple(self._tasks), timeout=within_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def admit(self, connection: EdgeConnection, site: str) -> bool:
        """Count a connection in, if there is room."""
        if not self.bounds.admit(site):
            return False
        self._connections.add(connection)
        return True

    def release(self, connection: EdgeConnection, site: str) -> None:
        """Count it out."""
        self.bounds.release(site)
        self._connections.discard(connection)

    def keep(self, task: asyncio.Task[None]) -> None:
        """Hold a request's task until it is done."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def is_upgrade(self, path: str) -> bool:
        """Whether a WebSocket may begin at this path."""
        return path in self._upgrades

    def hand_over(self, connection: EdgeConnection, transport: asyncio.Transport, head: bytes, site: str) -> None:
        """Give a connection to aiohttp, which reads the head once more and makes a WebSocket of it."""
        self._connections.discard(connection)
        protocol = _UpgradedProtocol(self._upgraded, self._settings, lambda: self.bounds.release(site))
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(head)

    async def _answer_upgraded(self, request: web.BaseRequest) -> web.StreamResponse:
        handler = self._upgrades.get(request.path)
        answer = None if handler is None else await handler(request)
        return _last_refusal() if answer is None else answer


class _UpgradedProtocol(web.RequestHandler):
    """A connection that was handed over. Whatever it asks but a WebSocket is refused, and ends it."""

    def __init__(self, server: web.Server, settings: EdgeSettings, release: Callable[[], None]) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=settings.idle_timeout_s,
            lingering_time=settings.lingering_s,
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type] # none: it would hold a peer's text; refusals are logged capped
        )
        self._release = release

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count it out."""
        self._release()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's signature
    ) -> web.StreamResponse:
        """What aiohttp itself refuses gets the uniform refusal too."""
        log_refused_bytes(request.remote, status, exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already") from exc
        return _last_refusal()


def _last_refusal() -> web.Response:
    answer = web.Response(body=REFUSAL_BODY, status=400, content_type="application/json", headers=COMMON_HEADERS)
    answer.force_close()
    return answer
