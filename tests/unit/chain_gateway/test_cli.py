"""``vgroup chain`` does what it says, and its errors are for the user."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from chain_gateway.cli import app
from group_protocol.errors import ConfigurationError

RUNNER = CliRunner()


def run(directory: Path, *arguments: str) -> Result:
    return RUNNER.invoke(app, [*arguments, "--data-dir", str(directory)])


def test_status_before_anything_is_deployed_says_what_to_do(tmp_path: Path) -> None:
    error = run(tmp_path, "status").exception
    assert isinstance(error, ConfigurationError)
    assert "vgroup chain deploy" in error.remedy
    assert not list(tmp_path.iterdir()), "looking makes no chain"


def test_deployed_contract_is_shown(tmp_path: Path) -> None:
    deployed = json.loads(run(tmp_path, "deploy", "--json").output)
    status = json.loads(run(tmp_path, "status", "--json").output)
    assert status["contract"] == deployed["contract"]
    assert status["chain_id"] == deployed["chain_id"]
    assert (status["groups"], status["slaves"], status["revoked"]) == (0, 0, 0)


def test_status_in_words_has_a_line_for_each_fact(tmp_path: Path) -> None:
    run(tmp_path, "deploy")
    facts = json.loads(run(tmp_path, "status", "--json").output)
    lines = run(tmp_path, "status").output.splitlines()
    assert len(lines) == len(facts)
    assert all(line.startswith(name.replace("_", " ")) for line, name in zip(lines, facts, strict=True))


def test_chain_without_the_contract_shows_none(tmp_path: Path) -> None:
    run(tmp_path, "deploy")
    (tmp_path / "gateway" / "deployment.json").unlink()
    assert json.loads(run(tmp_path, "status", "--json").output)["contract"] is None


def test_second_deployment_is_refused(tmp_path: Path) -> None:
    assert run(tmp_path, "deploy").exit_code == 0
    assert isinstance(run(tmp_path, "deploy").exception, ConfigurationError)


def test_data_folder_comes_from_the_masters_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VGROUP_MASTER_DIR", str(tmp_path))
    assert RUNNER.invoke(app, ["deploy"]).exit_code == 0
    assert (tmp_path / "gateway" / "deployment.json").exists()
