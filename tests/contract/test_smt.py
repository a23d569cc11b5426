"""What SMTChecker's CHC engine proves of the rules, against the committed list contracts/proofs/smt/result.json.

The limit is z3's count of steps, so the list does not depend on the machine. PROOF=deep (`make prove-contract`) allows
thirty times as many: there nothing that is listed as proved may be lost, and more may be won.
"""

import json
import os
from pathlib import Path

import pytest

from contracts import build
from tests.contract.provers import PROOFS, prover, run

pytestmark = pytest.mark.solc
FOLDER = PROOFS / "smt"
IS_DEEP = os.environ.get("PROOF") == "deep"
STEPS = 300_000_000 if IS_DEEP else 10_000_000


def verdicts_of(file: Path) -> dict[str, str]:
    """Each assertion's text and what became of it."""
    command = (build.node_directory() / "node", FOLDER / "chc.cjs", file, file.stem, prover("z3"), str(STEPS))
    done = run(*command, NODE_PATH=str(build.ROOT / "node_modules"))
    if done.returncode:
        pytest.fail(done.stderr)
    lines = file.read_text("utf-8").splitlines()
    return {lines[int(line) - 1].strip(): verdict for line, verdict in json.loads(done.stdout).items()}


@pytest.mark.timeout(0 if IS_DEEP else 600)
@pytest.mark.parametrize("name", ["Addresses", "Groups", "Objects", "Records"])
def test_chc_proves_what_is_listed(name: str) -> None:
    listed: dict[str, str] = json.loads((FOLDER / "result.json").read_text("utf-8"))[name]
    found = verdicts_of(FOLDER / f"{name}.sol")
    assert found.keys() == listed.keys()
    if IS_DEEP:
        assert [text for text, verdict in listed.items() if verdict == "proved" and found[text] != "proved"] == []
    else:
        assert found == listed
