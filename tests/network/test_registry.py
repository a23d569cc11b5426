"""The contract on a proof-of-authority network of three signers."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from chain_gateway import GatewayConfig, open_registry
from chain_gateway.network import ChainNetwork
from group_protocol.ports import GroupRegistry
from tests.registry_suite.backends import RegistryFactory, Stage, set_stage
from tests.registry_suite.refusals import set_refusal_stage
from tests.registry_suite.suite import BehaviourSuite, PersistenceSuite, RefusalSuite

pytestmark = [pytest.mark.geth, pytest.mark.network, pytest.mark.processes, pytest.mark.timeout(300)]


@dataclass(frozen=True)
class NetworkFactory:
    """A contract of its own for each directory, all on one network."""

    url: str
    relayer_key: Path

    @asynccontextmanager
    async def open(self, directory: Path) -> AsyncIterator[GroupRegistry]:
        config = GatewayConfig(directory, url=self.url, relayer_key_file=self.relayer_key)
        async with open_registry(config, time.time, deploy_if_missing=True) as registry:
            yield registry


@pytest.fixture(scope="module")
def registry_factory(chain_network: ChainNetwork, relayer_key: Path) -> NetworkFactory:
    return NetworkFactory(chain_network.layout.nodes[0].url, relayer_key)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def refusal_stage(
    registry_factory: RegistryFactory, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    async with registry_factory.open(tmp_path_factory.mktemp("registry")) as registry:
        stage = await set_stage(registry)
        await set_refusal_stage(stage)
        yield stage


class TestRefusals(RefusalSuite):
    pass


class TestBehaviour(BehaviourSuite):
    pass


class TestPersistence(PersistenceSuite):
    pass
