"""``vgroup explain`` shows what is written about a code, and finds the code that was meant."""

import json

import pytest

from group_protocol.error_codes import ErrorCode
from group_protocol.exit_codes import ExitCode
from vgroup.application import run


def test_code_shows_its_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "port-in-use"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert out.startswith("# port-in-use\n")
    assert "ss -ltnp" in out


def test_no_code_lists_all_with_what_they_mean(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(ErrorCode)


def test_json_has_code_summary_and_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "busy", "--json"]) == ExitCode.OK
    page = json.loads(capsys.readouterr().out)
    assert page["code"] == "busy"
    assert page["summary"] in page["text"]


def test_code_that_is_nearly_one_is_answered_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "port-in-used"]) == ExitCode.USAGE
    assert "port-in-use" in capsys.readouterr().err


def test_code_that_is_none_is_answered_with_where_they_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "zzzz"]) == ExitCode.USAGE
    assert "vgroup explain" in capsys.readouterr().err
