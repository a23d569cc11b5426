"""The stage of the refusals, built once for each backend."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.registry_suite.backends import RegistryFactory, Stage, set_stage
from tests.registry_suite.refusals import set_refusal_stage

pytest.register_assert_rewrite("tests.registry_suite.suite")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def refusal_stage(
    registry_factory: RegistryFactory, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    async with registry_factory.open(tmp_path_factory.mktemp("registry")) as registry:
        stage = await set_stage(registry)
        await set_refusal_stage(stage)
        yield stage
