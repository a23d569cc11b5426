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
_NAME: Final = re.compile(
    r"(decode|parse|unpack)(_\w+)?|from_(body|fields|json|text|bytes)|load_(config|state|keys|shallow_json)"
)
NOT_FUZZED: Final = {
    "chain_gateway/contract_abi.py::from_json": "takes the artifact that ships with the program",
    "chain_gateway/embedded/evm.py::decode_transaction": "py-evm's; takes what this process signed itself",
    "chain_gateway/network/cli.py::parse_account": "takes an operator's own option: 40 hex digits",
    "chain_gateway/node.py::parse": "compares what the parsers of node_answers gave with what was asked",
    "system_ports/metrics.py::parse_listen": "takes an operator's own setting: host and port",
    "chain_gateway/network/layout.py::from_json": "its one caller takes whatever it raises for a damaged file",
    "chain_gateway/events.py::decode_ours": "the decoder of one log, for each of a list",
    "group_protocol/identifiers.py::parse_session_id": "a comparison of lengths",
    "master_api/audit.py::parse_optional": "takes an operator's own option: 64 hex digits",
    "measure/paper_baseline/clear_texts.py": "the paper's protocol, on loopback only, to compare with",
    "measure/paper_baseline/json_form.py": "the same",
    "measure/paper_baseline/messages.py": "the same",
    "measure/probes/pi_pmic.py::parse_rails": "the output of a Raspberry Pi's own tool",
    "measure/traffic/secrecy.py::parse_body": "what this program itself has just captured on loopback",
    "measure/traffic/tshark.py::parse_packets": "the same, as tshark prints it",
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
    excused = {name for name in decoders() if {name, name.split("::", maxsplit=1)[0]} & NOT_FUZZED.keys()}
    assert sorted({*decoders()} - excused - entered) == [], (
        "give each a target in tests/fuzz, or a reason in NOT_FUZZED"
    )


def test_every_reason_belongs_to_a_decoder_that_nobody_fuzzes(entered: set[str]) -> None:
    known = set(decoders())
    for name in NOT_FUZZED:
        assert name not in entered
        assert any(decoder == name or decoder.startswith(f"{name}::") for decoder in known), name
