"""``vgroup slave`` in this process: what needs no master."""

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from group_protocol.exit_codes import ExitCode
from group_protocol.identifiers import Address
from group_protocol.pairing import PairingString
from slave_client.sensors import catalogue
from vgroup.application import run

PAIRING = PairingString(Address(b"m" * 20), b"c" * 16, "127.0.0.1", 1).to_text()


@pytest.fixture(autouse=True)
def _own_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VGROUP_SLAVE_DIR", str(tmp_path / "slave"))


def test_status_before_pairing_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["slave", "status"]) == ExitCode.OK
    assert "vgroup slave join" in capsys.readouterr().out


def test_status_before_pairing_is_json_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["slave", "status", "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == {"state": "unpaired", "is_running": False}


def test_sensors_are_listed_with_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["slave", "sensors"]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines()][:4] == ["replay", "psutil", "w1", "iio"]
    assert "rate_hz" in shown
    assert run(["slave", "sensors", "--json"]) == ExitCode.OK
    assert "iio" in json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("join", "vg1-nonsense"), "'@'"),
        (("join", PAIRING, "--suites", "RC4"), "suites"),
        (("run",), "no sensor"),
        (("run", "--sensor", "psutil"), "has not been paired"),
        (("run", "--sensor", "telepathy"), "no sensor 'telepathy'"),
        (("run", "--sensor", "replay:/no/such.csv,rate_hz=1"), "/no/such.csv"),
        (("run", "--sensor", "w1:root=/no/such"), "1-wire"),
        (("run", "--sensor", "psutil", "--via", "pigeon"), "via"),
        (("run", "--sensor", "psutil", "--config", "/no/such.toml"), "/no/such.toml"),
        (("run", "--sensor", "psutil", "--speed", "0"), "speed"),
        (("rotate",), "has not been paired"),
        (("run", "--no-such-option"), "no-such-option"),
    ],
)
def test_mistake_of_the_user_ends_with_a_message_on_standard_error(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["slave", *words]) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_sensor_plug_in_that_breaks_while_it_is_looked_at_is_named_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        label = "beat"
        is_recording = False

        async def check(self) -> None:
            raise KeyError("no such register")

    point = EntryPoint("beat", "beat:make", "vgroup.sensors")
    monkeypatch.setattr(EntryPoint, "load", lambda _self: lambda _options, _clock: Broken())
    monkeypatch.setattr(catalogue, "entry_points", lambda **_: [point])
    status = run(["slave", "run", "--sensor", "beat", "--state-dir", str(tmp_path / "device")])
    assert status == ExitCode.USAGE
    assert "beat failed: KeyError('no such register')" in capsys.readouterr().err
