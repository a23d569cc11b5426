"""Where the Wycheproof vectors are: a collection of test cases for known mistakes in cryptographic libraries.

They are no part of the project. A folder ``*/vectors/wycheproof`` beside the checkout is found by itself;
``VGROUP_WYCHEPROOF`` names another.
"""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Case(NamedTuple):
    """One test case with the fields of the group it stands in."""

    group: dict[str, Any]
    case: dict[str, Any]

    @property
    def is_valid(self) -> bool:
        return bool(self.case["result"] == "valid")

    @property
    def flags(self) -> list[str]:
        return list(self.case.get("flags", ()))

    def raw(self, name: str) -> bytes:
        return bytes.fromhex(self.case[name])


def load_cases(name: str) -> list[Case]:
    """All cases of a file; skips the test if the collection is not there."""
    chosen = os.environ.get("VGROUP_WYCHEPROOF")
    folders = [Path(chosen)] if chosen else sorted(ROOT.parent.glob("*/vectors/wycheproof"))
    if not folders:
        pytest.skip("needs the reference vectors: Wycheproof")
    parsed = json.loads((folders[0] / f"{name}.json").read_text())
    cases = [Case(group, case) for group in parsed["testGroups"] for case in group["tests"]]
    assert len(cases) == parsed["numberOfTests"]
    return cases
