"""What the service stands before: a register, its chain, and how both are."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from chain_gateway.chain_reader import ChainReader
from chain_gateway.composition import open_registry
from chain_gateway.config import BatchTerms, GatewayConfig
from chain_gateway.deployment import parse_contract
from chain_gateway.registry import Web3Registry
from chain_gateway.service.config import GATEWAY_FOLDER, ServiceConfig
from group_protocol.errors import VirtualGroupError
from group_protocol.identifiers import Address
from group_protocol.ports import GroupRegistry
from system_ports.credentials import find_credential

EMBEDDED = "embedded"
RELAYER_CREDENTIAL: Final = "gateway_relayer.key"
"""A file ``relayer.key`` in the folder that the unit loads as ``gateway``."""
MODERATE_WAITING = 1_000


class Backend(Protocol):
    """Everything that the handlers need."""

    @property
    def registry(self) -> GroupRegistry:
        """The register itself."""
        ...

    @property
    def chain(self) -> ChainReader:
        """Its blocks and logs."""
        ...

    @property
    def contract_block(self) -> int:
        """No event is older."""
        ...

    async def describe(self, now_unix_s: float) -> dict[str, str]:
        """The state of each part: ``ok`` with what is worth knowing, or what is wrong with it."""
        ...


@dataclass(frozen=True)
class ChainBackend:
    """A register on a chain, with the service's ideas of what is well."""

    web3_registry: Web3Registry
    config: ServiceConfig

    @property
    def registry(self) -> GroupRegistry:
        """The register itself."""
        return self.web3_registry

    @property
    def chain(self) -> ChainReader:
        """Its blocks and logs."""
        return self.web3_registry.node

    @property
    def contract_block(self) -> int:
        """No event is older."""
        return self.web3_registry.first_block

    async def describe(self, now_unix_s: float) -> dict[str, str]:
        """Chain, lag, contract, events, relayers, queue."""
        return {
            "chain": await _told(self._chain(now_unix_s)),
            "contract": await _told(self._contract()),
            "events": await _told(self._events()),
            "relayers": await _told(self._relayers()),
            "queue": self._queue(),
        }

    async def _chain(self, now_unix_s: float) -> str:
        head = await self.chain.fetch_head()
        age_s = max(0.0, now_unix_s - head.timestamp_unix_s)
        lag = self.config.chain != EMBEDDED and age_s > self.config.block_age_max_s
        return f"{'the newest block is old' if lag else 'ok'}: height {head.number}, {age_s:.0f} s old"

    async def _contract(self) -> str:
        identity = await self.registry.fetch_identity()
        return f"ok: 0x{identity.contract.hex()} on chain {identity.chain_id}"

    async def _events(self) -> str:
        await self.registry.check()
        membership = self.registry.membership()
        return f"ok: {len(membership.groups)} groups, {len(membership.objects)} objects"

    async def _relayers(self) -> str:
        poor = [
            f"0x{relayer.hex()}"
            for relayer in self.web3_registry.relayers
            if await self.web3_registry.node.fetch_balance_wei(relayer) < self.config.relayer_balance_min_wei
        ]
        if poor:
            return f"send ether to {', '.join(poor)}, or set relayer_balance_min_wei to 0 where gas is free"
        return f"ok: {len(self.web3_registry.relayers)} can pay"

    def _queue(self) -> str:
        waiting = self.web3_registry.waiting
        return f"{'ok' if waiting < MODERATE_WAITING else 'long'}: {waiting} waiting"


def is_well(state: str) -> bool:
    """Whether a part that is described so works."""
    return state == "ok" or state.startswith("ok:")


async def _told(telling: "object") -> str:
    try:
        return await telling  # type: ignore[misc,no-any-return]
    except VirtualGroupError as exc:
        return str(exc)


@asynccontextmanager
async def open_backend(config: ServiceConfig) -> AsyncIterator[ChainBackend]:
    """The register of the settings, for as long as the context lasts. Raises what ``open_registry`` does."""
    registry_of = open_registry(gateway_config(config), time.time, deploy_if_missing=config.chain == EMBEDDED)
    async with registry_of as registry:
        yield ChainBackend(registry, config)


def gateway_config(config: ServiceConfig) -> GatewayConfig:
    """The gateway's settings inside the service's."""
    named = Path(config.relayer_key_file) if config.relayer_key_file else None
    return GatewayConfig(
        directory=config.data_dir / GATEWAY_FOLDER,
        url=None if config.chain == EMBEDDED else config.chain,
        relayer_key_file=named or find_credential(RELAYER_CREDENTIAL),
        more_relayer_key_files=tuple(Path(name) for name in config.more_relayer_key_files),
        batches=BatchTerms(window_s=config.association_window_ms / 1_000, size=config.association_batch),
        contract=Address(parse_contract(config.contract)) if config.contract else None,
        contract_block=config.contract_block,
        further_urls=() if config.chain == EMBEDDED else config.chain_fallback_urls,
        confirmations=0 if config.chain == EMBEDDED else config.confirmations,
    )
