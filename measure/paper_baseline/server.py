"""The master's HTTP shell. It listens on loopback or not at all."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from aiohttp import web

from measure.paper_baseline.errors import MalformedMessage, NotLoopbackError, PaperBaselineError
from measure.paper_baseline.http_form import (
    ASSOCIATION_PATH,
    DATA_PATH,
    JSON_TYPE,
    KEY_SESSION_PATH,
    TICKET_PATH,
    TICKET_TYPE,
    answer_headers,
)
from measure.paper_baseline.loopback import is_loopback, require_loopback
from measure.paper_baseline.messages import FALSE

Step = Callable[[bytes], Awaitable[bytes]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Answering(Protocol):
    """Who answers the four requests: `PaperMaster`, or in a demonstration somebody in its place."""

    async def answer_key_session(self, body: bytes) -> bytes:
        """GET /keysSession."""

    async def answer_ticket(self, body: bytes) -> bytes:
        """GET /getTicket."""

    async def answer_association(self, body: bytes) -> bytes:
        """GET /assoc."""

    async def answer_data(self, body: bytes) -> bytes:
        """GET /data."""


def _respond(body: bytes, *, status: int, content_type: str) -> web.Response:
    response = web.Response(
        body=body, status=status, content_type=content_type, charset="utf-8", headers=answer_headers(body)
    )
    response.force_close()  # FIN after each answer: packets 9 and 19 of the captures
    return response


def _handler(step: Step, content_type: str) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            answer = await step(await request.read())
        except PaperBaselineError as exc:
            status = 400 if isinstance(exc, MalformedMessage) else 403
            return _respond(FALSE, status=status, content_type=JSON_TYPE)
        return _respond(answer, status=200, content_type=content_type)

    return handle


@web.middleware
async def refuse_beyond_loopback(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer nobody on a socket that is not a loopback one, however the application came to be served there.

    Raises:
        NotLoopbackError: always, on such a socket.
    """
    address = request.transport.get_extra_info("sockname") if request.transport else None
    if not address or not is_loopback(address[0]):
        raise NotLoopbackError("the paper's protocol answers on loopback only")
    return await handler(request)


async def _drop_server_header(_request: web.BaseRequest, response: web.StreamResponse) -> None:
    response.headers.pop("Server", None)  # Express sends none


def build_app(master: Answering) -> web.Application:
    """The four routes, all GET with a JSON body as captured."""
    app = web.Application(middlewares=[refuse_beyond_loopback])
    app.on_response_prepare.append(_drop_server_header)
    app.router.add_get(KEY_SESSION_PATH, _handler(master.answer_key_session, JSON_TYPE), allow_head=False)
    app.router.add_get(TICKET_PATH, _handler(master.answer_ticket, TICKET_TYPE), allow_head=False)
    app.router.add_get(ASSOCIATION_PATH, _handler(master.answer_association, JSON_TYPE), allow_head=False)
    app.router.add_get(DATA_PATH, _handler(master.answer_data, JSON_TYPE), allow_head=False)
    return app


@asynccontextmanager
async def serve(master: Answering, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    """Serve the master while the context is open.

    Args:
        master: answers; its group is created already.
        host: an address in 127.0.0.0/8, or ::1.
        port: 0 lets the system choose.

    Yields:
        The port.

    Raises:
        NotLoopbackError: `host` is anything else; no socket was opened.
        OSError: the port is taken.
    """
    require_loopback(host)
    runner = web.AppRunner(build_app(master), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound_port: int = runner.addresses[0][1]
        yield bound_port
    finally:
        await runner.cleanup()
