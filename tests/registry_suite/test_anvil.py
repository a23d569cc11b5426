"""The contract on a node by URL."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from chain_gateway import GatewayConfig, open_registry
from group_protocol.ports import GroupRegistry
from tests.registry_suite.suite import BehaviourSuite, PersistenceSuite, RefusalSuite
from tests.support.anvil import run_anvil, write_key

pytestmark = [pytest.mark.anvil, pytest.mark.network, pytest.mark.processes]


@dataclass(frozen=True)
class AnvilFactory:
    """A contract of its own for each directory, all on one node."""

    url: str
    key_file: Path

    @asynccontextmanager
    async def open(self, directory: Path) -> AsyncIterator[GroupRegistry]:
        config = GatewayConfig(directory, url=self.url, relayer_key_file=self.key_file)
        async with open_registry(config, time.time, deploy_if_missing=True) as registry:
            yield registry


@pytest.fixture(scope="module")
def registry_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnvilFactory]:
    with run_anvil() as url:
        yield AnvilFactory(url, write_key(tmp_path_factory.mktemp("relayer") / "relayer.key"))


class TestRefusals(RefusalSuite):
    pass


class TestBehaviour(BehaviourSuite):
    pass


class TestPersistence(PersistenceSuite):
    pass
