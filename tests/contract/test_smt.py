"""What SMTChecker's CHC engine proves of the rules, against the committed list contracts/proofs/smt/result.json.

The register itself is put to CHC too (tools/chc_register.py), in the long form alone: nothing was answered so far.

The limit is z3's count of steps, so the list does not depend on the machine. PROOF=deep (`make prove-contract`) allows
thirty times as many: there nothing that is listed as proved may be lost, and more may be won.
"""

import json
import os
from pathlib import Path

import pytest

from contracts import build
from tests.contract.provers import PROOFS, prover, run
from tools.chc_register import derive

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


WATCH = (FOLDER / "RegisterObjects.inc.sol").read_text("utf-8")


def test_register_for_chc_is_the_source_as_it_stands_with_its_rules_whole() -> None:
    text = derive(WATCH)
    for rule in (
        "if (checkGID(gid)) revert VirtualGroups_GroupIdInUse(gid);",
        "if (seq <= sender.lastSeq) revert VirtualGroups_SeqNotRising(sender.lastSeq);",
        "if (checkAddr(newAddress)) revert VirtualGroups_AddressInUse(newAddress);",
        "if (object.state == ObjectState.Revoked) revert VirtualGroups_ObjectRevoked(oid);",
        "_objects[oid].state = ObjectState.Revoked;",
        "_objects[key] = Object(account, groupIndex, state, 0);",
    ):
        assert rule in text


def test_register_whose_source_has_changed_is_not_put_to_chc(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {name: text.replace("recovered == signer", "true") for name, text in build.read_sources().items()}
    monkeypatch.setattr(build, "read_sources", lambda: changed)
    with pytest.raises(ValueError, match="has changed: 0 times, not 1"):
        derive(WATCH)


if IS_DEEP:  # a quarter of an hour that proves nothing so far: make prove-contract

    @pytest.mark.timeout(0)
    def test_chc_asked_about_the_register_itself_finds_no_counterexample(tmp_path: Path) -> None:
        file = tmp_path / "RegisterObjects.sol"
        file.write_text(derive(WATCH), "utf-8")
        listed: dict[str, str] = json.loads((FOLDER / "result.json").read_text("utf-8"))["RegisterObjects"]
        found = verdicts_of(file)
        assert found.keys() == listed.keys()
        assert [text for text, verdict in listed.items() if verdict == "proved" and found[text] != "proved"] == []
