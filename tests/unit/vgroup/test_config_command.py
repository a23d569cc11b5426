"""``vgroup config check`` as an operator runs it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from group_protocol.exit_codes import ExitCode
from tools.sample_config import DEPLOY
from vgroup import config_command
from vgroup.application import run


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VGROUP_MASTER_DIR", str(tmp_path / "master"))
    monkeypatch.setenv("VGROUP_SLAVE_DIR", str(tmp_path / "slave"))
    monkeypatch.setenv("VGROUP_GATEWAY_DIR", str(tmp_path / "gateway"))
    monkeypatch.setattr(config_command, "SYSTEM_FOLDER", tmp_path / "etc")


def check(*words: str) -> tuple[int, str]:
    ended = CliRunner().invoke(config_command.app, ["check", *words])
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return ended.exit_code, ended.output


def test_all_mistakes_of_a_file_are_named_with_line_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "slave.toml"
    path.write_text('vai = "stream"\nbatch_s = "soon"\nstatus_s = 0\n[[sensor]]\nname = "w1"\n')
    status, output = check(str(path))
    assert status == ExitCode.CHECK_FAILED
    assert output.splitlines() == [
        f"{path}:1: there is no setting 'vai'",
        "    Did you mean via?",
        f"{path}:2: batch_s cannot be 'soon'",
        "    It takes a number.",
        f"{path}:4: each sensor is a [[sensor]] table with a kind",
        '    Write: [[sensor]], and below it kind = "psutil".',
        f"{path}:3: status_s cannot be 0.0",
        "    It is from 0.1 to 3600.",
        "More: vgroup explain setting-wrong",
    ]


@pytest.mark.parametrize("name", ["gateway.sample.toml", "master.sample.toml", "slave.sample.toml"])
def test_sample_is_good(name: str) -> None:
    assert check(str(DEPLOY / name)) == (ExitCode.OK, f"{DEPLOY / name}: good\n")


def test_misspelt_variable_in_the_environment_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "master.toml").touch()
    monkeypatch.setenv("VGROUP_MASTER_PROT", "1")
    status, output = check(str(tmp_path / "master.toml"))
    assert status == ExitCode.CHECK_FAILED
    assert "VGROUP_MASTER_PROT sets nothing" in output
    assert "Did you mean VGROUP_MASTER_PORT?" in output


def test_without_a_file_those_of_machine_and_user_are_checked(tmp_path: Path) -> None:
    assert check()[1].startswith("There is no settings file")
    for name in ("etc/master.toml", "etc/slave.toml", "slave/slave.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    status, output = check()
    assert status == ExitCode.OK
    assert [line.removeprefix(f"{tmp_path}/") for line in output.splitlines()] == [
        "etc/master.toml: good",
        "etc/slave.toml: good",
        "slave/slave.toml: good",
    ]


def test_json_has_every_problem_by_file(tmp_path: Path) -> None:
    (tmp_path / "bed-1.txt").write_text("vai = 1\n")
    status, output = check(str(tmp_path / "bed-1.txt"), "--as", "slave", "--json")
    assert status == ExitCode.CHECK_FAILED
    [[problem]] = json.loads(output).values()
    assert (problem["line"], problem["remedy"]) == (1, "Did you mean via?")


def test_file_whose_tier_is_unknown_or_that_is_missing_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "settings.toml").touch()
    assert run(["config", "check", str(tmp_path / "settings.toml")]) == ExitCode.USAGE
    assert "--as master or --as slave or --as gateway" in capsys.readouterr().err
    assert run(["config", "check", str(tmp_path / "slave.toml")]) == ExitCode.USAGE
    assert run(["config", "check", str(tmp_path / "settings.toml"), "--as", "king"]) == ExitCode.USAGE
