"""slither's findings in our own sources: each is answered in contracts/proofs/slither.json, and none is new."""

import json
from typing import Any

import pytest

from contracts import build
from tests.contract.provers import PROOFS, prover, run

pytestmark = pytest.mark.solc


def place_of(finding: dict[str, Any]) -> str:
    """Say what a finding is about: contract and function, or the name of its first element."""
    first = finding["elements"][0]
    parent = first.get("type_specific_fields", {}).get("parent", {})
    return f"{parent['name']}.{first['name']}" if parent.get("type") == "contract" else str(first["name"])


@pytest.fixture(scope="module")
def findings() -> list[str]:
    done = run(
        prover("slither"),
        "contracts/src/VirtualGroups.sol",
        *("--compile-force-framework", "solc", "--solc", build.WRAPPER),
        *("--solc-remaps", "@openzeppelin/=node_modules/@openzeppelin/"),
        *("--filter-paths", "node_modules", "--json", "-"),
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        pytest.fail(f"slither gave no report: {done.stderr}")
    assert answer["success"], answer["error"]
    return [f"{one['check']}: {place_of(one)}" for one in answer["results"].get("detectors", [])]


def test_every_finding_of_slither_is_answered(findings: list[str]) -> None:
    answers: dict[str, str] = json.loads((PROOFS / "slither.json").read_text("utf-8"))
    assert [one for one in findings if one not in answers] == []


def test_every_answer_is_to_a_finding_that_slither_still_has(findings: list[str]) -> None:
    answers: dict[str, str] = json.loads((PROOFS / "slither.json").read_text("utf-8"))
    assert sorted(answers) == sorted(findings)
