"""The paths of the gateway's service. Strangers get one refusal, whatever they did; callers get the port's errors."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from chain_gateway.errors import LogRangeRefused
from chain_gateway.node_answers import Block
from chain_gateway.remote.signing import NUMBER_HEADER, SESSION_HEADER, SIGNATURE_HEADER, RequestProof
from chain_gateway.remote.wire import (
    ACTS,
    Json,
    decode,
    dump,
    encode,
    encode_error,
    encode_log,
    encode_receipt,
    parse_object,
)
from chain_gateway.service.backend import Backend, is_well
from chain_gateway.service.callers import CallerList, Sessions
from chain_gateway.service.config import ServiceConfig
from chain_gateway.service.openapi import openapi_document
from group_protocol.encoding import b64decode, b64encode
from group_protocol.errors import (
    BusyError,
    ConfigurationError,
    ContractRefusal,
    DecodingError,
    LocalProtocolError,
    RegistryInconsistent,
    RegistryUnavailable,
    VerificationError,
    VirtualGroupError,
)
from group_protocol.identifiers import Address, parse_group_id, parse_object_id
from group_protocol.limits import ASSOCIATION_BATCH_MAX
from group_protocol.ports import AssociationRequest, Clock, ExchangeProof, Random
from system_ports.edge_messages import EdgeAnswer, EdgeRequest, refusal
from system_ports.rate_limits import HandshakeLimiter

LOG_BLOCKS_MAX: Final = 10_000
"""Blocks whose logs are told at once."""
HEAD_AGE_MAX_S: Final = 0.2
"""While callers wait for a new block, the chain is asked this often, however many they are."""
BUSY_BODY: Final = b'{"error":{"code":"busy","message":"The gateway is busy. Try again later."}}'
_STATUS: Final[tuple[tuple[type[VirtualGroupError], int], ...]] = (
    (ContractRefusal, 409),
    (LocalProtocolError, 422),
    (RegistryInconsistent, 502),
    (RegistryUnavailable, 503),
)
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_log = logging.getLogger("vgroup.gateway")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request whose caller is known.

    Attributes:
        caller: What the log calls it.
    """

    caller: str
    path: tuple[str, ...]
    query: dict[str, str]
    body: bytes


class Handlers:
    """Routes requests of callers to the register.

    Args:
        backend: The register, its chain and its health.
        config: The service's settings.
        clock: For rates and ages; nothing that is refused or accepted hangs on the wall clock.
        random: For sessions.
        token: A bearer token that is accepted too; None for signed requests only.
    """

    def __init__(
        self, backend: Backend, config: ServiceConfig, clock: Clock, random: Random, token: str | None = None
    ) -> None:
        self._backend = backend
        self._config = config
        self._clock = clock
        self._sessions = Sessions(random)
        self._callers = CallerList(config.resolved_callers_file)
        self._token_digest = None if token is None else hashlib.sha256(token.encode()).digest()
        self.limit_rates(config)
        self._acts_under_way = 0
        self._head: tuple[float, Block] | None = None
        self._asking_for_head = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._contract: Address | None = None
        self._answers: dict[tuple[object, ...], Callable[[_Asked], Awaitable[Json]]] = {
            ("GET", 2, "identity"): self._identity,
            ("GET", 2, "head"): self._tell_head,
            ("GET", 2, "logs"): self._logs,
            ("GET", 3, "blocks"): self._block,
            ("GET", 3, "groups"): self._group,
            ("GET", 5, "groups", "objects"): self._object,
            ("POST", 3, "acts"): self._act,
        }
        self._openapi = json.dumps(openapi_document()).encode()

    def limit_rates(self, config: ServiceConfig) -> None:
        """From now on these rates hold; everybody begins with a full allowance."""
        now_s = self._clock.monotonic_s()
        self._arrivals = HandshakeLimiter(config.rate_per_address, config.rate, now_s)
        self._calls = HandshakeLimiter(config.rate_per_caller, config.rate, now_s)

    def stop(self) -> None:
        """Answer those who wait for a new block, since there will be none."""
        self._stopping.set()

    async def handle(self, request: EdgeRequest) -> EdgeAnswer:
        """Answer any request. No exception leaves here but cancellation."""
        try:
            return await self._route(request)
        except BusyError as exc:
            return EdgeAnswer(BUSY_BODY, status=429, retry_after_s=exc.retry_after_s)
        except VirtualGroupError as exc:
            _log.info(
                "refused", extra={"fields": {"peer": request.remote, "cause": type(exc).__name__, "code": exc.code}}
            )
            return refusal()

    async def _route(self, request: EdgeRequest) -> EdgeAnswer:
        self._arrivals.admit(request.remote, self._clock.monotonic_s())
        path = tuple(request.path.split("/")[1:])
        if request.method == "GET" and path == ("healthz",):
            return await self._healthz()
        if request.method == "GET" and path == ("openapi.json",):
            return EdgeAnswer(self._openapi)
        body = await request.read_body(self._config.body_max_bytes, self._config.body_timeout_s)
        if request.method == "POST" and path == ("v1", "session"):
            if parse_object(body):
                raise DecodingError("a field too many")
            return EdgeAnswer(dump({"session": b64encode(self._sessions.open())}))
        address, caller = self._identify(request, body)
        self._calls.admit(address, self._clock.monotonic_s())
        asked = _Asked(caller, path, request.query, body)
        answer = self._answer_of(request.method, asked)
        try:
            return EdgeAnswer(dump(await answer(asked)))
        except (ContractRefusal, LocalProtocolError, RegistryInconsistent, RegistryUnavailable) as exc:
            _log.info(
                "not done",
                extra={"fields": {"caller": caller, "path": request.path[:64], "cause": str(exc), "code": exc.code}},
            )
            status = next(status for kind, status in _STATUS if isinstance(exc, kind))
            return EdgeAnswer(dump(encode_error(exc)), status=status)

    def _identify(self, request: EdgeRequest, body: bytes) -> tuple[str, str]:
        """The caller's address and name; names may repeat. Raises RemoteProtocolError for everybody else."""
        headers = request.headers
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme == "Bearer" and self._token_digest is not None:
            # Both as digests: of one length, and compared in constant time.
            if not hmac.compare_digest(hashlib.sha256(token.encode()).digest(), self._token_digest):
                raise VerificationError("the token is another")
            return "token", "bearer of the token"
        proof = RequestProof.parse(
            *(headers.get(name.lower()) for name in (SESSION_HEADER, NUMBER_HEADER, SIGNATURE_HEADER))
        )
        caller = proof.recover_caller(request.method, request.target, body)
        try:
            name = self._callers.name_of(caller)
        except ConfigurationError as exc:
            _log.error("the list of callers cannot be used: %s", exc)
            raise VerificationError("nobody is known") from exc
        if name is None:
            raise VerificationError("the caller is not listed")
        self._sessions.count(caller, proof)
        return caller.hex(), name

    def _answer_of(self, method: str, asked: _Asked) -> Callable[[_Asked], Awaitable[Json]]:
        # Names at even places, values between them.
        shape = (method, len(asked.path), *asked.path[1::2])
        answer = self._answers.get(shape)
        if answer is None or asked.path[0] != "v1":
            raise DecodingError("no such method and path")
        return answer

    async def _identity(self, _: _Asked) -> Json:
        identity = await self._backend.registry.fetch_identity()
        return {"identity": encode(identity), "contract_block": self._backend.contract_block}

    async def _tell_head(self, asked: _Asked) -> Json:
        """The newest block; with ``after`` and ``wait_s``, once it is another than that one, or the time is up."""
        after = asked.query.get("after", "")
        wait_s = min(_seconds(asked.query.get("wait_s", "0")), self._config.head_wait_max_s)
        until_s = self._clock.monotonic_s() + wait_s
        while True:
            block = await self._fresh_head(may_be_old=wait_s > 0)
            is_over = self._clock.monotonic_s() >= until_s or self._stopping.is_set()
            if is_over or b64encode(block.block_hash) != after:
                return {"block": encode(block)}
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), HEAD_AGE_MAX_S)

    async def _fresh_head(self, *, may_be_old: bool) -> Block:
        if not may_be_old:
            return await self._backend.chain.fetch_head()
        async with self._asking_for_head:
            now_s = self._clock.monotonic_s()
            if self._head is None or now_s - self._head[0] >= HEAD_AGE_MAX_S:
                self._head = (now_s, await self._backend.chain.fetch_head())
            return self._head[1]

    async def _block(self, asked: _Asked) -> Json:
        block = await self._backend.chain.fetch_block(_number(asked.path[2]))
        return {"block": None if block is None else encode(block)}

    async def _logs(self, asked: _Asked) -> Json:
        first, last = _number(asked.query.get("first", "")), _number(asked.query.get("last", ""))
        if not first <= last < first + LOG_BLOCKS_MAX:
            raise LocalProtocolError(f"logs are told of 1 to {LOG_BLOCKS_MAX} blocks at once")
        if self._contract is None:
            self._contract = (await self._backend.registry.fetch_identity()).contract
        try:
            logs = await self._backend.chain.fetch_logs(self._contract, first, last)
        except LogRangeRefused as exc:
            raise LocalProtocolError("the chain's node tells fewer blocks at once") from exc
        return {"logs": [encode_log(log) for log in logs]}

    async def _group(self, asked: _Asked) -> Json:
        view = await self._backend.registry.fetch_group(parse_group_id(b64decode(asked.path[2])))
        return {"group": None if view is None else encode(view)}

    async def _object(self, asked: _Asked) -> Json:
        gid, oid = parse_group_id(b64decode(asked.path[2])), parse_object_id(b64decode(asked.path[4]))
        view = await self._backend.registry.fetch_object(gid, oid)
        return {"object": None if view is None else encode(view)}

    async def _act(self, asked: _Asked) -> Json:
        name, content = asked.path[2], parse_object(asked.body)
        if self._acts_under_way >= self._config.acts_max:
            raise BusyError("too many acts are under way")
        self._acts_under_way += 1
        try:
            return await self._do(name, content)
        finally:
            self._acts_under_way -= 1

    async def _do(self, name: str, content: Json) -> Json:
        registry = self._backend.registry
        if name == "verify_exchange":
            await registry.verify_exchange(decode(ExchangeProof, content))
            return {"verified": True}
        if name == "associate_batch":
            requests = content.get("requests")
            if (
                content.keys() != {"requests"}
                or not isinstance(requests, list)
                or len(requests) > ASSOCIATION_BATCH_MAX
            ):
                raise DecodingError("that is no batch")
            receipts = await registry.associate_batch([decode(AssociationRequest, each) for each in requests])
            return {"receipts": [encode_receipt(receipt) for receipt in receipts]}
        kind = ACTS.get(name)
        if kind is None:
            raise DecodingError("there is no such act")
        return {"receipt": encode_receipt(await getattr(registry, name)(decode(kind, content)))}

    async def _healthz(self) -> EdgeAnswer:
        parts = await self._backend.describe(self._clock.now_unix_s())
        is_good = all(map(is_well, parts.values()))
        shown = {"status": "ok" if is_good else "degraded", "parts": parts}
        return EdgeAnswer(dump(shown), status=200 if is_good else 503)


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise DecodingError("that is no block number")
    return int(text)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text):
        raise DecodingError("that is no time")
    return float(text)
