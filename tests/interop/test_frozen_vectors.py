"""A second implementation, in JavaScript and written from ``docs/protocol.md`` alone, makes the same bytes."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.interop.node import HERE, NODE, ROOT, run_script

VECTORS = ROOT / "tests" / "vectors"

pytestmark = pytest.mark.processes


def test_second_implementation_makes_every_frozen_value_again() -> None:
    assert run_script("check_vectors.mjs", str(VECTORS)) == {"compared": 171}


@pytest.mark.parametrize("name", ["e1", "h1", "r1", "records", "identifiers", "succession"])
def test_second_implementation_notices_one_changed_digit(name: str, tmp_path: Path) -> None:
    for path in VECTORS.glob("*.json"):
        shutil.copy(path, tmp_path)
    changed = json.loads((tmp_path / f"{name}.json").read_text())
    field = {"records": "running_hashes", "identifiers": "token_digest", "succession": "newest"}.get(name, "ms")
    old = changed[field][-1] if name == "records" else changed[field]
    new = old[:-1] + ("0" if old[-1] != "0" else "1")
    (tmp_path / f"{name}.json").write_text((tmp_path / f"{name}.json").read_text().replace(old, new))
    done = subprocess.run(
        [NODE, HERE / "check_vectors.mjs", tmp_path], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.returncode != 0
