"""A gateway's service on loopback, before whatever register a test has, and a client that reaches it over real HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chain_gateway.chain_reader import ChainReader
from chain_gateway.config import ReplicaTimes
from chain_gateway.remote.client import Credentials
from chain_gateway.remote.composition import RemoteConfig, open_remote_registry
from chain_gateway.remote.registry import RemoteRegistry
from chain_gateway.service.callers import add_caller
from chain_gateway.service.config import ServiceConfig
from chain_gateway.service.server import serve
from group_protocol.crypto.keys import PrivateKey
from group_protocol.ports import GroupRegistry

CALLER = PrivateKey.from_secret(b"\x77" * 32)
STRANGER = PrivateKey.from_secret(b"\x78" * 32)
TOKEN = "a-token-of-the-tests-with-43-characters-or-so"
QUICK = ReplicaTimes(poll_interval_s=0.2, longest_backoff_s=0.5, catch_up_timeout_s=5.0)


@dataclass
class TestBackend:
    """Any register with its chain."""

    __test__ = False

    registry: GroupRegistry
    chain: ChainReader
    contract_block: int = 0
    health: dict[str, str] = field(default_factory=lambda: {"chain": "ok: height 1"})

    async def describe(self, _now_unix_s: float) -> dict[str, str]:
        return self.health


@asynccontextmanager
async def serve_registry(
    folder: Path, backend: TestBackend, *, token: str | None = None, **settings: Any
) -> AsyncIterator[str]:
    """The service's URL. CALLER may ask."""
    config = replace(ServiceConfig(folder, port=0), **settings)
    list_caller(config)
    async with serve(backend, config, token) as port:
        yield f"http://127.0.0.1:{port}"


def list_caller(config: ServiceConfig) -> None:
    config.data_dir.mkdir(parents=True, exist_ok=True)
    if not config.resolved_callers_file.exists():
        add_caller(config.resolved_callers_file, CALLER.address.hex(), "a test")


def remote_config(folder: Path, url: str, **changes: Any) -> RemoteConfig:
    return replace(RemoteConfig(folder, url, Credentials(CALLER), replica=QUICK), **changes)


@asynccontextmanager
async def reach(folder: Path, url: str, **changes: Any) -> AsyncIterator[RemoteRegistry]:
    async with open_remote_registry(remote_config(folder, url, **changes)) as registry:
        yield registry
