"""The summary: what it says as JSON, on the last screen, and about itself."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from group_protocol.errors import ConfigurationError
from measure.wire.join_cost import JoinCost
from vgroup.demo.closing import show_summary
from vgroup.demo.screen import Screen
from vgroup.demo.summary import Attack, Check, GasUse, SlaveSummary, Summary

PAGE = Path(__file__).resolve().parents[4] / "docs" / "demo.md"
JOIN = JoinCost(
    total_ms=50.0, slave_ms=10.0, master_ms=15.0, chain_ms=25.0, wire_bytes=5_502, body_bytes=4_485, connections=1
)


def make_summary() -> Summary:
    slave = SlaveSummary("slave-1", "ab" * 16, "data.csv", 100.0, "data", False, JOIN, 20, 20, 20, 1_000, 1_000)
    revoked = replace(slave, name="slave-64", is_revoked=True, readings_stored=1_234_567)
    return Summary(
        chain="embedded chain",
        gas=GasUse(deployment=2_700_000, group_creation=80_000, associations=(58_000,), revocation=40_000),
        slaves=[slave, revoked],
        attacks=[Attack("stolen token", "in M5", "M6: TOKEN_REFUSED", is_refused=True)],
        checks=[Check("nothing is lost", holds=True, detail="20 records")],
    )


def shown(summary: Summary, **console_options: Any) -> str:
    file = io.StringIO()
    show_summary(Screen(Console(file=file, **console_options)), summary)
    return file.getvalue()


def names_in(fields: object) -> set[str]:
    """Every member name at any depth."""
    if isinstance(fields, dict):
        return set(fields).union(*map(names_in, fields.values()))
    return set().union(*map(names_in, fields)) if isinstance(fields, list) else set()


def test_json_holds_when_everything_holds(tmp_path: Path) -> None:
    make_summary().write(tmp_path / "demo.json")
    fields = json.loads((tmp_path / "demo.json").read_text("utf-8"))
    assert (fields["format"], fields["holds"], fields["failures"]) == (1, True, [])
    assert fields["slaves"][0]["join"]["wire_bytes"] == 5_502


def test_every_name_in_the_json_is_documented() -> None:
    page = PAGE.read_text("utf-8")
    plain = json.loads(json.dumps(make_summary().to_json()))
    assert [name for name in sorted(names_in(plain)) if f"`{name}`" not in page] == []


def test_one_attack_that_was_not_refused_makes_it_fail() -> None:
    summary = make_summary()
    summary.attacks.append(Attack("unknown group", "M1", "200, M2", is_refused=False))
    assert not summary.holds
    assert summary.failures == ["unknown group: 200, M2"]


def test_one_check_that_does_not_hold_makes_it_fail() -> None:
    summary = make_summary()
    summary.checks.append(Check("nothing is lost", holds=False, detail="record 7 is gone"))
    assert not summary.holds
    assert summary.to_json()["failures"] == ["nothing is lost: record 7 is gone"]


def test_json_file_that_cannot_be_written_is_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        make_summary().write(tmp_path / "no folder" / "demo.json")


def test_last_screen_says_that_all_claims_held() -> None:
    assert "All 2 claims held." in shown(make_summary())


def test_last_screen_names_what_did_not_hold() -> None:
    summary = make_summary()
    summary.checks.append(Check("nothing is lost", holds=False, detail="record 7 is gone"))
    text = shown(summary)
    assert "1 of 3 claims did not hold" in text
    assert "✗ nothing is lost: record 7 is gone" in text


def test_without_a_terminal_there_is_no_escape_sequence_and_no_broken_line() -> None:
    text = shown(make_summary())
    assert "\x1b" not in text
    assert "58,000 an association (1), 80,000 the group, 40,000 the revocation, 2,700,000 the contract" in text


def test_no_color_is_obeyed_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in shown(make_summary(), force_terminal=True)


def test_last_screen_fits_into_80_columns() -> None:
    text = shown(make_summary(), force_terminal=True, width=80, color_system=None)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "slave-64, revoked" in text
    assert "50 = 10 + 15 + 25" in text
