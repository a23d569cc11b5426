"""The chain as a remote gateway tells of it, for the master's own replica."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TypeVar

from chain_gateway.node_answers import Block, RawLog
from chain_gateway.remote.client import GatewayClient
from chain_gateway.remote.wire import decode, decode_log
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import DecodingError, RegistryInconsistent, RegistryUnavailable
from group_protocol.identifiers import Address
from group_protocol.ports import RegistryIdentity

WATCH_S = 25.0
"""How long one question for a new head may stay open."""
_RETRY_S = 1.0
_T = TypeVar("_T")

_logger = logging.getLogger(__name__)


class RemoteChain:
    """A :class:`chain_gateway.chain_reader.ChainReader` over HTTP. It believes nothing: the replica judges."""

    def __init__(self, client: GatewayClient, identity: RegistryIdentity) -> None:
        self._client = client
        self._identity = identity

    async def fetch_head(self) -> Block:
        """The newest block."""
        return understood(lambda told: decode(Block, told["block"]), await self._client.get("/v1/head"))

    async def fetch_block(self, number: int) -> Block | None:
        """The canonical block of that height; None above the head."""
        told = await self._client.get(f"/v1/blocks/{number}")
        block = understood(lambda told: None if told["block"] is None else decode(Block, told["block"]), told)
        if block is not None and block.number != number:
            raise RegistryUnavailable(f"the gateway gave block {block.number} for block {number}")
        return block

    async def fetch_logs(self, contract: Address, first_block: int, last_block: int) -> list[RawLog]:
        """The contract's logs of a range of blocks, both ends included."""
        if contract != self._identity.contract:
            raise RegistryInconsistent("logs of another contract than the gateway's are asked for")
        told = await self._client.get(f"/v1/logs?first={first_block}&last={last_block}")
        return understood(lambda told: [decode_log(contract, log) for log in told["logs"]], told)

    async def watch(self, on_change: Callable[[], None]) -> None:
        """Tell of every new head as soon as the gateway does, for ever."""
        known = ""
        while True:
            try:
                told = await self._client.get(f"/v1/head?after={known}&wait_s={WATCH_S:g}", timeout_s=WATCH_S + 10)
                known = understood(lambda told: str(told["block"]["block_hash"]), told)
                on_change()
            except RegistryUnavailable as exc:
                _logger.info("cannot watch the gateway's head: %s", exc)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.sleep(_RETRY_S)


def understood(parse: Callable[..., _T], told: object) -> _T:
    """What the gateway told, parsed. Raises RegistryUnavailable if it is not of this protocol."""
    try:
        return parse(told)
    except (DecodingError, KeyError, TypeError) as exc:
        raise RegistryUnavailable(
            "the gateway's answer is not of this protocol", code=ErrorCode.GATEWAY_UNREACHABLE
        ) from exc
