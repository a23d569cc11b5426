from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.master_parts import Parts, make_parts


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    made = await make_parts(tmp_path)
    yield made
    await made.close()
