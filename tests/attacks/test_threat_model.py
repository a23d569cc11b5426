"""docs/threat_model.md names tests that exist, and leaves out no attack of this directory."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "threat_model.md").read_text("utf-8")
NAMED = re.findall(r"`(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`", PAGE)
OWN = Path(__file__).name
CONTROLS = {
    "test_honest_slave_behind_a_listener_joins_and_the_listener_reads_nothing",
    "test_device_keeps_its_code_until_it_is_enrolled",
    "test_cookie_slipped_in_on_the_way_downgrades_nothing",
}
"""They show that what is honest goes through."""


def find_tests(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {node.name for node in functions if node.name.startswith("test_")}


def test_every_test_that_the_page_names_exists() -> None:
    assert len(NAMED) > 50
    missing = [f"{path}::{name}" for path, name in NAMED if name not in find_tests(ROOT / path)]
    assert missing == []


def test_every_attack_is_on_the_page() -> None:
    attacks = {
        f"tests/attacks/{path.name}::{name}"
        for path in Path(__file__).parent.glob("test_*.py")
        if path.name != OWN
        for name in find_tests(path) - CONTROLS
    }
    assert attacks - {f"{path}::{name}" for path, name in NAMED} == set()


def test_every_row_has_five_parts_and_a_test() -> None:
    table = PAGE[PAGE.index("| threat |") :].split("\n\n")[0].splitlines()[2:]
    assert len(table) > 15
    for row in table:
        threat, paper, ours, shown, remains = (part.strip() for part in row.strip("|").split("|"))
        assert all((threat, paper, ours, remains)), row
        assert "::test_" in shown, row
