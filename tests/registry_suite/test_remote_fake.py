"""The same over the register in memory: a second one behind the service, which shares no code with the first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from group_protocol.ports import GroupRegistry
from tests.registry_suite.suite import BehaviourSuite, RefusalSuite
from tests.support.fake_chain import FakeChain
from tests.support.fake_registry import FakeRegistry
from tests.support.gateway_service import TestBackend, reach, serve_registry

pytestmark = [pytest.mark.network]
NOW_UNIX_S = 1_800_000_000


class RemoteFakeFactory:
    """Every open registry is new: it keeps nothing."""

    @asynccontextmanager
    async def open(self, directory: Path) -> AsyncIterator[GroupRegistry]:
        registry = FakeRegistry(now_unix_s=lambda: NOW_UNIX_S)
        backend = TestBackend(registry, FakeChain(registry))
        async with serve_registry(directory / "service", backend) as url, reach(directory, url) as remote:
            yield remote
        registry.close()


@pytest.fixture(scope="module")
def registry_factory() -> RemoteFakeFactory:
    return RemoteFakeFactory()


class TestRefusals(RefusalSuite):
    pass


class TestBehaviour(BehaviourSuite):
    pass
