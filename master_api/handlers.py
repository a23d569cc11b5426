"""The paths of the edge: bodies in, messages to the services, answers out (``docs/protocol.md`` §2)."""

import json
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from group_protocol.errors import (
    BusyError,
    DecodingError,
    RegistryInconsistent,
    RegistryUnavailable,
    StoreError,
    VirtualGroupError,
)
from group_protocol.limits import DATA_BODY_MAX_BYTES, HANDSHAKE_BODY_MAX_BYTES
from group_protocol.messages import KeysSessionRequest, SealedRequest
from group_protocol.succession import SuccessionRequest
from master_api.context import MasterContext
from master_api.control import Control
from master_api.data_requests import DataRequests
from master_api.enrolment import Enrolment
from master_api.health import HealthCheck
from master_api.openapi import openapi_document
from master_api.record_intake import RecordIntake
from master_api.stream import serve_stream
from master_api.stream_socket import Pulse, accept_stream
from master_api.successions import answer_succession
from system_ports.edge_messages import COMMON_HEADERS, EdgeAnswer, EdgeRequest, busy, refusal

OUT_OF_ORDER_RETRY_S = 5
"""When the store or the chain fails, a device may come again after this."""

_log = logging.getLogger("vgroup.master.edge")

PostHandler = Callable[[bytes, str], Awaitable[bytes]]


class Handlers:
    """Routes requests. Whatever is wrong with one, it gets the same refusal and changes nothing."""

    def __init__(
        self,
        context: MasterContext,
        *,
        enrolment: Enrolment,
        control: Control,
        records: DataRequests,
        intake: RecordIntake,
        health: HealthCheck,
    ) -> None:
        self._context = context
        self._enrolment = enrolment
        self._control = control
        self._records = records
        self._intake = intake
        self._health = health
        self._pulse = Pulse(context.config.stream_heartbeat_s)
        self._openapi = json.dumps(openapi_document()).encode()
        self._posts: dict[str, tuple[PostHandler, int]] = {
            "/succession": (self._succession, HANDSHAKE_BODY_MAX_BYTES),
            "/keysSession": (self._keys_session, HANDSHAKE_BODY_MAX_BYTES),
            "/getTicket": (self._get_ticket, HANDSHAKE_BODY_MAX_BYTES),
            "/assoc": (self._assoc, HANDSHAKE_BODY_MAX_BYTES),
            "/rotate": (self._rotate, HANDSHAKE_BODY_MAX_BYTES),
            "/data": (self._data, DATA_BODY_MAX_BYTES),
        }
        self._gets = {"/healthz": self._healthz, "/openapi.json": self._show_openapi}

    async def handle(self, request: EdgeRequest) -> EdgeAnswer:
        """Answer any request but a stream's. No exception leaves here but cancellation."""
        try:
            return await self._route(request)
        except BusyError as exc:
            return busy(exc.retry_after_s)
        except (StoreError, RegistryUnavailable, RegistryInconsistent) as exc:
            self._note(request, exc)
            return busy(OUT_OF_ORDER_RETRY_S)
        except VirtualGroupError as exc:
            self._note(request, exc)
            return refusal()

    def _note(self, request: EdgeRequest | web.BaseRequest, error: VirtualGroupError) -> None:
        self._context.refusals.note(request.path, request.remote or "", error)

    async def _route(self, request: EdgeRequest) -> EdgeAnswer:
        post = self._posts.get(request.path)
        if post is not None and request.method in {"POST", "GET"}:
            handler, max_bytes = post
            body = await request.read_body(max_bytes, self._context.config.body_timeout_s)
            return EdgeAnswer(await handler(body, request.remote))
        get = self._gets.get(request.path)
        if get is not None and request.method == "GET":
            return await get()
        raise DecodingError("no such method and path")

    async def _succession(self, body: bytes, peer: str) -> bytes:
        request = SuccessionRequest.from_body(body)
        self._enrolment.admit(peer)
        return (await answer_succession(self._context, request)).to_body()

    async def _keys_session(self, body: bytes, peer: str) -> bytes:
        m1 = KeysSessionRequest.from_body(body)
        async with self._enrolment.exchange_turns.turn(peer):
            return self._enrolment.answer_keys_session(m1, peer).to_body()

    async def _get_ticket(self, body: bytes, peer: str) -> bytes:
        m3 = SealedRequest.from_body(body)
        async with self._enrolment.ticket_turns.turn(peer):
            return (await self._enrolment.answer_ticket(m3, peer)).to_body()

    async def _assoc(self, body: bytes, _peer: str) -> bytes:
        return (await self._control.answer_association(SealedRequest.from_body(body))).to_body()

    async def _rotate(self, body: bytes, _peer: str) -> bytes:
        return (await self._control.answer_rotation(SealedRequest.from_body(body))).to_body()

    async def _data(self, body: bytes, _peer: str) -> bytes:
        request = SealedRequest.from_body(body, max_bytes=DATA_BODY_MAX_BYTES)
        return (await self._records.answer(request)).to_body()

    async def stream(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """Serve a stream to its end; None where no WebSocket was asked for."""
        socket = web.WebSocketResponse(compress=False)
        if not socket.can_prepare(request).ok:
            self._note(request, DecodingError("no WebSocket handshake"))
            return None
        socket.headers.update(COMMON_HEADERS)
        stream_socket = await accept_stream(request, socket)
        if stream_socket is None:
            return socket  # gone already
        self._pulse.add(stream_socket)
        try:
            await serve_stream(self._context, self._intake, stream_socket)
        except VirtualGroupError as exc:
            self._note(request, exc)
        except Exception:  # noqa: BLE001 - the connection is a WebSocket now; no HTTP answer may follow on it
            _log.exception("a stream failed for a reason of our own")
        finally:
            self._pulse.discard(stream_socket)
            stream_socket.let_go()
        return socket

    async def _healthz(self) -> EdgeAnswer:
        health = await self._health.check()
        shown = {
            "status": "ok" if health.is_good else "degraded",
            "master": f"0x{self._context.key.address.hex()}",
            "parts": health.parts,
        }
        return EdgeAnswer(json.dumps(shown).encode(), status=200 if health.is_good else 503)

    async def _show_openapi(self) -> EdgeAnswer:
        return EdgeAnswer(self._openapi)
