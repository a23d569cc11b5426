"""A gateway that lies: an HTTP proxy on loopback before a true service, which changes answers or swallows requests."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

Lie = Callable[[dict[str, Any]], dict[str, Any]]
"""Makes an answer out of the true one."""
_PASSED = ("Vgroup-Session", "Vgroup-Number", "Vgroup-Signature", "Authorization", "Content-Type")


@dataclass(frozen=True)
class Recorded:
    """A request as it went by."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class LyingGateway:
    """Passes every request on and every answer back, except for what it lies about.

    Attributes:
        lies: By the beginning of a path.
        swallowed: By the beginning of a path: answered so, and never passed on.
        recorded: What went by.
    """

    target: str
    http: aiohttp.ClientSession
    lies: dict[str, Lie] = field(default_factory=dict)
    swallowed: dict[str, dict[str, Any]] = field(default_factory=dict)
    recorded: list[Recorded] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
        asked = Recorded(request.method, request.path_qs, headers, await request.read())
        self.recorded.append(asked)
        for path, answer in self.swallowed.items():
            if asked.path.startswith(path):
                return web.json_response(answer)
        status, told = await self.send(asked)
        for path, lie in self.lies.items():
            if asked.path.startswith(path) and status == 200:
                told = lie(told)
        return web.json_response(told, status=status)

    async def send(self, asked: Recorded) -> tuple[int, Any]:
        """Send a request to the true service, this one or one that was recorded."""
        url = self.target + asked.path
        async with self.http.request(asked.method, url, headers=asked.headers, data=asked.body or None) as answer:
            return answer.status, json.loads(await answer.read())


@asynccontextmanager
async def lying_gateway(target: str) -> AsyncIterator[LyingGateway]:
    async with aiohttp.ClientSession() as http:
        gateway = LyingGateway(target, http)
        runner = web.ServerRunner(web.Server(gateway.handle), shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            gateway.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield gateway
        finally:
            await runner.cleanup()
