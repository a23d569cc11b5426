"""Codes, their pages and their use in the program belong together, and what the pages tell to do can be done."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from group_protocol.error_codes import CODE_OF_REASON, ErrorCode
from group_protocol.messages import BUSY_BODY, REFUSAL_BODY
from group_protocol.reasons import Reason
from tools.error_index import INDEX, render_index
from vgroup.application import compose
from vgroup.explain import load_page, pages_folder

ROOT = Path(__file__).parents[2]
PACKAGES = ("chain_gateway", "group_protocol", "master_api", "measure", "slave_client", "system_ports", "vgroup")
SECTIONS = ("## Likely causes", "## What to do")
TOO_BROAD = {"ConfigurationError", "VirtualGroupError"}
"""Raised for many things that are mended in many ways: each place has to say its code."""
METRICS = (ROOT / "docs" / "metrics.md").read_text("utf-8")
CODES = pytest.mark.parametrize("code", list(ErrorCode))


@cache
def calls_and_names() -> tuple[tuple[Path, ast.Call | ast.Attribute], ...]:
    """Every call and every dotted name of the program; only what can speak of an error is parsed."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    texts = ((path, path.read_text("utf-8")) for path in files)
    trees = ((path, ast.parse(text)) for path, text in texts if "ErrorCode" in text or "Error(" in text)
    return tuple(
        (path, node) for path, tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call | ast.Attribute)
    )


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    pages = {path.stem for path in pages_folder().glob("*.md")} - {"README"}
    assert pages == set(ErrorCode)


def test_every_code_is_used_by_the_program() -> None:
    used = {
        node.attr
        for _, node in calls_and_names()
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ErrorCode"
    }
    assert used == {code.name for code in ErrorCode}


def test_every_error_of_a_broad_kind_says_its_code() -> None:
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, node in calls_and_names()
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in TOO_BROAD
        and not any(keyword.arg == "code" for keyword in node.keywords)
    ]
    assert not silent, "these raise errors without a code (group_protocol/error_codes.py)"


def test_codes_are_words_with_hyphens_and_each_is_its_name() -> None:
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in ErrorCode)
    assert all(code.name == code.upper().replace("-", "_") for code in ErrorCode)


def test_every_reason_for_a_refusal_has_a_code() -> None:
    assert set(CODE_OF_REASON) == set(Reason)


def test_index_lists_every_page_with_its_summary() -> None:
    assert INDEX.read_text("utf-8") == render_index(), "run: python -m tools.error_index"


@CODES
def test_page_has_its_parts_and_says_something_in_each(code: ErrorCode) -> None:
    page = load_page(code)
    heading, summary, *_ = [line for line in page.text.splitlines() if line]
    assert heading == f"# {code}"
    assert page.summary == summary
    assert summary.endswith(".")
    head, causes, advice = re.split("|".join(SECTIONS), page.text)
    assert head.count("```") == 2
    assert all(line.startswith("- ") for line in causes.strip().splitlines())
    assert len(advice.split()) > 10


@CODES
def test_links_of_a_page_lead_somewhere(code: ErrorCode) -> None:
    page = load_page(code)
    for target in re.findall(r"\]\(([^)]+)\)", page.text):
        assert (pages_folder() / target).exists(), target
    for target in re.findall(r"docs/[\w./]+\.md", page.text):
        assert (ROOT / target).exists(), target


@CODES
def test_commands_of_a_page_exist_with_their_options(code: ErrorCode) -> None:
    inline = re.findall(r"`((?:sudo )?vgroup [^`]+)`", re.sub(r"```.*?```", "", load_page(code).text, flags=re.DOTALL))
    for text in inline:
        words = text.removeprefix("sudo ").split()[1:]
        command, rest = find_command(words)
        known = {name for parameter in command.params for name in parameter.opts}
        assert not {word for word in rest if word.startswith("--")} - known - {"--version", "--help"}, text


@CODES
def test_settings_of_a_page_exist(code: ErrorCode) -> None:
    known = set()
    for path in (ROOT / "deploy").glob("*.sample.toml"):
        text = re.sub(r"^# (\w+ = )", r"\1", path.read_text("utf-8"), flags=re.MULTILINE)
        known |= set(re.findall(r"^(\w+) = ", text, flags=re.MULTILINE))
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", load_page(code).text))
    metrics = {name for name in named if name.startswith("vgroup_")}
    assert not named - metrics - known - {"timeout_s"}
    assert all(name.removesuffix("_total") in METRICS for name in metrics)


def test_codes_stand_in_no_answer_to_strangers() -> None:
    for body in (REFUSAL_BODY, BUSY_BODY):
        assert not [code for code in ErrorCode if code.encode() in body and code is not ErrorCode.BUSY]


@cache
def command_named(word: str) -> Any:
    return typer.main.get_command(compose([word]))


def find_command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that these words of a page begin with, and the words behind it."""
    command = command_named(words[0])
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    is_whole = not hasattr(command, "commands") or not words or words[0] == "…" or words[0].startswith("--")
    assert is_whole, f"there is no command {words[0]}"
    return command, words


def test_wheel_brings_the_pages_to_where_they_are_looked_for() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["force-include"]["docs/errors"] == "vgroup/error_pages"
