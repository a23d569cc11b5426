"""Starts the provers of .venv-proof, with the project's compiler, solver and forge on their path."""

import os
import subprocess
from pathlib import Path

import pytest

from contracts import build

PROOFS = build.ROOT / "contracts" / "proofs"
BINARIES = build.ROOT / ".venv-proof" / "bin"


def prover(name: str) -> Path:
    """Return a program of .venv-proof; where it is missing the test fails."""
    path = BINARIES / name
    if not path.exists():
        pytest.fail(f'{path.relative_to(build.ROOT)} is missing: run "make test", which sets it up')
    return path


def run(*command: str | Path, folder: Path = build.ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program at the lowest priority in a folder, with more environment variables."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("FOUNDRY_", "DAPP_"))}
    path = os.pathsep.join(
        str(part) for part in (BINARIES, build.node_directory(), build.ROOT / "node_modules" / ".bin", own["PATH"])
    )
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=own | {"PATH": path} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
