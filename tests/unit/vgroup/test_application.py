"""The composed command line: what it imports, what it says about what is not installed, and how a command ends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import (
    ConfigurationError,
    ContractRefusal,
    LocalProtocolError,
    Reason,
    RegistryUnavailable,
    StoreError,
    VirtualGroupError,
)
from group_protocol.exit_codes import ExitCode
from slave_client.errors import DeviceRevokedError, MasterUnreachableError
from vgroup import application
from vgroup.application import exit_code_of, run
from vgroup.catalogue import GROUPS, CommandGroup

HEAVY = {"web3", "eth", "eth_account", "sqlalchemy", "py_ecc", "heartpy", "numpy", "matplotlib"}
_PROBE = """
import json, sys
from vgroup.application import run
status = run(sys.argv[1:])
sys.stderr.write(json.dumps([int(status), sorted(sys.modules)]))
"""


def modules_after(*words: str, state_dir: Path) -> tuple[int, set[str]]:
    """Exit status of a command line, and everything that it imported."""
    ended = subprocess.run(
        [sys.executable, "-c", _PROBE, *words],
        capture_output=True,
        text=True,
        check=True,
        env={"VGROUP_SLAVE_DIR": str(state_dir), "PATH": ""},
    )
    status, modules = json.loads(ended.stderr.splitlines()[-1])
    return status, set(modules)


@pytest.mark.processes
@pytest.mark.parametrize("words", [("--help",), ("--version",), ("slave", "status"), ("slave", "--help")])
def test_light_command_imports_neither_chain_nor_store(words: tuple[str, ...], tmp_path: Path) -> None:
    status, modules = modules_after(*words, state_dir=tmp_path / "none")
    assert status == ExitCode.OK
    assert not HEAVY & modules


@pytest.mark.processes
def test_operators_command_imports_no_chain(tmp_path: Path) -> None:
    status, modules = modules_after("device", "--help", state_dir=tmp_path)
    assert status == ExitCode.OK
    assert not (HEAVY - {"sqlalchemy"}) & modules


def test_every_group_stands_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert all(f"│ {group.name} " in shown for group in GROUPS)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_every_group_loads_and_shows_its_own_help(group: CommandGroup, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([group.name, "--help"]) == ExitCode.OK
    assert f"vgroup {group.name}" in capsys.readouterr().out


def with_missing_module(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = CommandGroup("chain", "Deploy.", "chain_gateway.cli", "app", "gateway", ("no_such_module_anywhere",))
    monkeypatch.setattr(application, "GROUPS", (missing,))


def test_group_without_its_extra_stands_in_the_help_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_missing_module(monkeypatch)
    assert run(["--help"]) == ExitCode.OK
    assert "pip install 'vgroup[gateway]'" in " ".join(capsys.readouterr().out.replace("│", "").split())


@pytest.mark.parametrize("words", [["chain"], ["chain", "deploy", "--json"], ["chain", "--help"]])
def test_group_without_its_extra_ends_with_what_to_install(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_missing_module(monkeypatch)
    assert run(words) == ExitCode.USAGE
    assert "pip install 'vgroup[gateway]'" in capsys.readouterr().err


def test_version_is_the_installed_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("vgroup 0.")


@pytest.mark.parametrize("words", [[], ["no-such-group"], ["slave", "no-such-command"], ["demo", "--slaves", "many"]])
def test_wrong_usage_ends_with_status_2(words: list[str]) -> None:
    assert run(words) == ExitCode.USAGE


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigurationError("x"), ExitCode.USAGE),
        (RegistryUnavailable("x"), ExitCode.UNAVAILABLE),
        (MasterUnreachableError("x"), ExitCode.UNAVAILABLE),
        (StoreError("x"), ExitCode.UNAVAILABLE),
        (ContractRefusal(Reason.TOKEN_REFUSED), ExitCode.REFUSED),
        (DeviceRevokedError("x"), ExitCode.REFUSED),
        (LocalProtocolError("x"), ExitCode.INTERNAL),
    ],
)
def test_error_has_its_exit_status(error: VirtualGroupError, status: ExitCode) -> None:
    assert exit_code_of(error) is status


def run_raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    def fail() -> None:
        raise error

    def compose(_: object) -> typer.Typer:
        failing = typer.Typer(pretty_exceptions_enable=False)
        failing.command()(fail)
        return failing

    monkeypatch.setattr(application, "compose", compose)
    return int(run([]))


def test_mistake_of_the_user_is_a_message_with_a_remedy_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = ConfigurationError("the folder is gone", remedy="Make it.", code=ErrorCode.FILE_UNUSABLE)
    assert run_raising(error, monkeypatch) == ExitCode.USAGE
    assert capsys.readouterr().err == "vgroup: the folder is gone\n  Make it.\n  More: vgroup explain file-unusable\n"


def test_mistake_of_ours_is_raised_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LocalProtocolError):
        run_raising(LocalProtocolError("a bug"), monkeypatch)


def test_ctrl_c_ends_quietly_with_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_raising(KeyboardInterrupt(), monkeypatch) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == ""
