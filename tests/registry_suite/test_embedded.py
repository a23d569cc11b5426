"""The contract on the embedded chain."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chain_gateway import GatewayConfig, open_registry
from group_protocol.ports import GroupRegistry
from tests.registry_suite.suite import BehaviourSuite, PersistenceSuite, RefusalSuite


class EmbeddedFactory:
    """A chain of its own in each directory."""

    @asynccontextmanager
    async def open(self, directory: Path) -> AsyncIterator[GroupRegistry]:
        async with open_registry(GatewayConfig(directory), time.time, deploy_if_missing=True) as registry:
            yield registry


@pytest.fixture(scope="module")
def registry_factory() -> EmbeddedFactory:
    return EmbeddedFactory()


class TestRefusals(RefusalSuite):
    pass


class TestBehaviour(BehaviourSuite):
    pass


class TestPersistence(PersistenceSuite):
    pass
