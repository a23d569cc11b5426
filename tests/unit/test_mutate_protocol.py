"""How mutants of the protocol core are counted, and that what is excused is still what the code says."""

import json
import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tools.mutate_protocol import (
    EQUIVALENT,
    KILLED,
    LIVES,
    NO_TEST,
    NOT_TRIED,
    PAGE,
    ROOT,
    TABLE,
    TIMED_OUT,
    describe,
    fate_of,
    module_of,
    reasons,
    table,
)

DIFF: Final = """# group_protocol.records.xǁRunningPeriodǁ__init____mutmut_3: survived
--- group_protocol/records.py
+++ group_protocol/records.py
@@ -1,3 +1,3 @@
 def __init__(self) -> None:
-    self.running_hash = _ZERO_HASH
+    self.running_hash = None
"""


@pytest.mark.parametrize(
    ("exit_code", "fate"),
    [(1, KILLED), (3, KILLED), (0, LIVES), (33, NO_TEST), (None, NOT_TRIED), (-24, TIMED_OUT), (-11, "ended with -11")],
)
def test_exit_code_of_a_mutants_tests_has_its_meaning(exit_code: int | None, fate: str) -> None:
    assert fate_of(exit_code) == fate


def test_mutant_is_described_without_its_number() -> None:
    name = "group_protocol.records.xǁRunningPeriodǁ__init____mutmut_3"
    expected = "records.RunningPeriod.__init__: - self.running_hash = _ZERO_HASH + self.running_hash = None"
    assert describe(name, DIFF) == expected
    assert module_of("group_protocol.handshake.slave.x_begin__mutmut_12") == "handshake.slave"
    with pytest.raises(ValueError, match="no mutant"):
        module_of("group_protocol.records")


def test_table_counts_what_is_neither_killed_nor_late_as_left() -> None:
    fates = {
        "group_protocol.records.x_f__mutmut_1": KILLED,
        "group_protocol.records.x_f__mutmut_2": LIVES,
        "group_protocol.handshake.slave.x_f__mutmut_1": TIMED_OUT,
        "group_protocol.handshake.slave.x_f__mutmut_2": NO_TEST,
    }
    lines = table(fates, "abc", "2026-11-26").splitlines()
    assert lines[0] == "Commit `abc`, 2026-11-26:"
    assert lines[-3:] == [
        "| `handshake.slave` | 2 | 0 | 1 | 1 |",
        "| `records` | 2 | 1 | 0 | 1 |",
        "| **all** | 4 | 1 | 1 | 2 |",
    ]


def test_table_of_a_slice_says_what_was_not_tried() -> None:
    fates = {"group_protocol.records.x_f__mutmut_1": KILLED, "group_protocol.tokens.x_f__mutmut_2": NOT_TRIED}
    assert table(fates, "abc", "2026-11-26").splitlines()[4:] == [
        "| `records` | 1 | 1 | 0 | 0 |",
        "| **all** | 2 | 1 | 0 | 0, and 1 not tried |",
    ]


def test_second_table_counts_by_reason_and_shows_what_has_none() -> None:
    left = {"m1": "a: - x + y", "m2": "b: - x + y", "m3": "c: - x + y"}
    lines = reasons(left, {"a: - x + y": "the same codec", "b: - x + y": "the same codec"}).splitlines()
    assert lines[2:] == ["| 2 | the same codec |", "| 1 | **not answered** |"]


def test_page_has_a_place_for_the_table() -> None:
    assert TABLE.search(PAGE.read_text("utf-8"))


def test_every_module_that_is_to_be_mutated_exists() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mutmut"]
    for pattern in settings["only_mutate"]:
        assert list(ROOT.glob(pattern)), pattern


def test_every_excused_mutant_changes_a_line_that_stands_there() -> None:
    known: dict[str, str] = json.loads(EQUIVALENT.read_text("utf-8"))
    assert known
    for change, reason in known.items():
        assert reason, change
        found = re.fullmatch(r"(?P<module>[\w.]+?)\.(?P<function>(?:_?[A-Z]\w*\.)?\w+): - (?P<was>.+?) \+ .+", change)
        assert found, change
        source = Path(ROOT, "group_protocol", found["module"].replace(".", "/") + ".py").read_text("utf-8")
        assert found["was"].split(" - ")[0] in source, change
