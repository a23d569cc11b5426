from collections.abc import Iterator
from pathlib import Path

import pytest

from slave_client.state_directory import StateDirectory


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[StateDirectory]:
    """A locked state directory."""
    with StateDirectory(tmp_path / "state") as directory:
        yield directory
