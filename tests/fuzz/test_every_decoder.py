"""No decoder is forgotten: each is entered by the kept corpus of some target, or says here why nobody fuzzes it."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

import pytest

from tests.fuzz.kept_inputs import load_corpus
from tests.fuzz.targets import TARGETS

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("chain_gateway", "group_protocol", "master_api", "measure", "slave_client", "system_ports", "vgroup")
_NAME: Final = re.compile(r"(decode|parse|unpack)(_\w+)?|from_(body|fields|json|text|bytes)|load_(config|state|keys|shallow_json)")
NOT_FUZZED: Final = {
}
"""By file, or by file and function: the reason."""


def decoders() -> Iterator[str]:
    """``path::function`` of every public function that takes something apart."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.FunctionDef) and _NAME.fullmatch(node.name):
                    yield f"{path.relative_to(ROOT)}::{node.name}"


@pytest.fixture(scope="module")
def entered() -> set[str]:
    """Every function that the targets enter with what is kept."""
    seen: set[CodeType] = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            seen.add(frame.f_code)

    sys.setprofile(note)
    try:
        for name, target in TARGETS.items():
            for raw in load_corpus(name):
                target(raw)
    finally:
        sys.setprofile(None)
    own = [code for code in seen if code.co_filename.startswith(str(ROOT))]
    return {f"{Path(code.co_filename).relative_to(ROOT)}::{code.co_name}" for code in own}


def test_every_decoder_is_fuzzed_or_says_why_not(entered: set[str]) -> None:
    forgotten = {name for name in decoders() if name not in NOT_FUZZED and name.split("::")[0] not in NOT_FUZZED}
    assert sorted(forgotten - entered) == [], "give each a target in tests/fuzz, or a reason in NOT_FUZZED"


def test_every_reason_belongs_to_a_decoder_that_nobody_fuzzes(entered: set[str]) -> None:
    known = set(decoders())
    for name in NOT_FUZZED:
        assert name not in entered
        assert any(decoder in {name} or decoder.startswith(f"{name}::") for decoder in known), name
