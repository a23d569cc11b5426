"""Somebody between a slave and its master who reads and rewrites what they say: an HTTP proxy on loopback."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from tests.attacks.edge import Edge

Rewrite = Callable[[str, bytes], bytes]


def keep(_path: str, body: bytes) -> bytes:
    return body


@dataclass
class Interceptor:
    """Passes every POST on.

    Attributes:
        on_request: Makes the body that the master gets, from the path and the slave's body.
        on_answer: Makes the body that the slave gets.
        seen: Path and original body of every request, in order.
    """

    target: str
    http: aiohttp.ClientSession
    on_request: Rewrite = keep
    on_answer: Rewrite = keep
    url: str = ""
    seen: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.seen]

    async def exchange(self, path: str, body: bytes) -> bytes:
        """As a client of its own."""
        async with self.http.post(self.url + path, data=body) as answer:
            return await answer.read()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        self.seen.append((request.path, body))
        headers = {"Content-Type": "application/json"}
        sent = self.on_request(request.path, body)
        async with self.http.post(self.target + request.path, data=sent, headers=headers) as answer:
            passed = self.on_answer(request.path, await answer.read())
            return web.Response(status=answer.status, body=passed, content_type="application/json")


@asynccontextmanager
async def intercepting(edge: Edge, on_request: Rewrite = keep, on_answer: Rewrite = keep) -> AsyncIterator[Interceptor]:
    """Stand in front of a running master for as long as the context lasts."""
    middle = Interceptor(edge.url, edge.http, on_request, on_answer)
    runner = web.ServerRunner(web.Server(middle._handle))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        middle.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield middle
    finally:
        await runner.cleanup()
