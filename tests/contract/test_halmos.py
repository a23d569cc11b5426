"""What halmos proves of the register's bytecode: contracts/proofs/halmos, each verdict against the committed list.

z3 decides: the yices that comes with halmos 0.3.3 answers some of these queries with counterexamples that are none.
"""

import json
import re

import pytest

from contracts import build
from tests.contract.provers import PROOFS, prover, run

pytestmark = [pytest.mark.forge, pytest.mark.solc, pytest.mark.slow]
VERDICT = re.compile(r"\[(PASS|FAIL|ERROR|TIMEOUT)\]\S* (check_\w+)\(")
QUERY_TIMEOUT_MS = 300_000
FORGE = build.ROOT / "node_modules" / ".bin" / "forge"


@pytest.fixture(scope="module")
def verdicts() -> dict[str, str]:
    if not FORGE.exists():
        pytest.fail(f'{FORGE.relative_to(build.ROOT)} is missing: run "make dev"')
    done = run(
        prover("halmos"),
        *("--contract", "SymbolicTest", "--forge-build-out", "out/symbolic"),
        *("--solver", "z3", "--solver-timeout-assertion", str(QUERY_TIMEOUT_MS), "--no-status"),
        folder=build.ROOT / "contracts",
        FOUNDRY_PROFILE="symbolic",
    )
    found = {name: verdict for verdict, name in VERDICT.findall(done.stdout)}
    assert found, done.stdout + done.stderr
    return found


@pytest.mark.timeout(7_200)  # over half an hour was not enough on a busy machine
def test_halmos_proves_what_is_listed_and_refutes_the_controls(verdicts: dict[str, str]) -> None:
    listed: dict[str, str] = json.loads((PROOFS / "halmos" / "result.json").read_text("utf-8"))
    words = {"PASS": "proved", "FAIL": "refuted"}
    assert {name: words.get(verdict, verdict) for name, verdict in verdicts.items()} == listed


def test_every_control_is_listed_as_refuted_and_nothing_else_is() -> None:
    listed: dict[str, str] = json.loads((PROOFS / "halmos" / "result.json").read_text("utf-8"))
    for name, verdict in listed.items():
        assert verdict == ("refuted" if name.startswith("check_control_") else "proved"), name
