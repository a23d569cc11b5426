"""The Solidity tests: units, fuzzing and invariants, by forge with the project's compiler."""

import os
import subprocess

import pytest

from contracts import build

CONTRACTS = build.ROOT / "contracts"
FORGE = build.ROOT / "node_modules" / ".bin" / "forge"

pytestmark = pytest.mark.forge


def run_forge(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run forge in contracts/, with the Node that comes from PyPI for its compiler."""
    if not FORGE.exists():
        pytest.fail(f'{FORGE.relative_to(build.ROOT)} is missing: run "make dev"')
    path = f"{build.node_directory()}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FOUNDRY_", "DAPP_"))}
    return subprocess.run(
        [FORGE, *arguments],
        cwd=CONTRACTS,
        env=environment | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_solidity_tests_pass() -> None:
    done = run_forge("test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failed, 0 skipped" in done.stdout.splitlines()[-1]


def test_solidity_is_formatted() -> None:
    done = run_forge("fmt", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
