"""A register through a gateway's service, over real HTTP: before the embedded chain, and before the one in memory."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chain_gateway import GatewayConfig, open_registry
from group_protocol.ports import GroupRegistry
from tests.registry_suite.suite import BehaviourSuite, PersistenceSuite, RefusalSuite
from tests.support.gateway_service import TestBackend, reach, serve_registry

pytestmark = [pytest.mark.network]


class RemoteFactory:
    """A chain, a gateway before it, and a master's files, in each directory."""

    @asynccontextmanager
    async def open(self, directory: Path) -> AsyncIterator[GroupRegistry]:
        config = GatewayConfig(directory / "chain")
        async with open_registry(config, time.time, deploy_if_missing=True) as registry:
            backend = TestBackend(registry, registry.node, registry.first_block)
            async with serve_registry(directory / "service", backend) as url, reach(directory, url) as remote:
                yield remote


@pytest.fixture(scope="module")
def registry_factory() -> RemoteFactory:
    return RemoteFactory()


class TestRefusals(RefusalSuite):
    pass


class TestBehaviour(BehaviourSuite):
    pass


class TestPersistence(PersistenceSuite):
    pass
