"""The in-memory registry keeps the contract's rules, so that what is tested with it holds with the contract."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from group_protocol.ports import GroupRegistry
from tests.registry_suite.suite import BehaviourSuite, RefusalSuite
from tests.support.fake_registry import FakeRegistry

NOW_UNIX_S = 1_800_000_000


class FakeFactory:
    """Every open registry is new: it keeps nothing."""

    @asynccontextmanager
    async def open(self, _: Path) -> AsyncIterator[GroupRegistry]:
        registry = FakeRegistry(now_unix_s=lambda: NOW_UNIX_S)
        yield registry
        registry.close()


@pytest.fixture(scope="module")
def registry_factory() -> FakeFactory:
    return FakeFactory()


class TestRefusals(RefusalSuite):
    pass


class TestBehaviour(BehaviourSuite):
    pass
