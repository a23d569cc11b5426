"""The recordings: found without importing heartpy, and read the same way as the slave's own sensor reads them."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import NoReturn

import pytest

from group_protocol.errors import ConfigurationError
from slave_client.sensors.catalogue import make_sensor, parse_sensor_text
from slave_client.sensors.replay import ReplaySensor
from tests.support.seeded import ManualClock
from vgroup.demo import recordings
from vgroup.demo.recordings import Recording, find_recordings


def test_three_recordings_are_found_with_all_their_samples() -> None:
    found = {recording.name: len(recording.values) for recording in find_recordings()}
    assert found == {"data.csv": 2_483, "data2.csv": 15_000, "data3.csv": 68_476}


def test_rates_are_those_of_the_recordings() -> None:
    assert [round(recording.rate_hz) for recording in find_recordings()] == [100, 117, 100]


@pytest.mark.processes
def test_finding_them_imports_no_heartpy() -> None:
    program = (
        "import sys; from vgroup.demo.recordings import find_recordings as f; f(); sys.exit('heartpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_offsets_never_fall() -> None:
    for recording in find_recordings():
        assert all(
            later >= earlier for earlier, later in zip(recording.offsets_s, recording.offsets_s[1:], strict=False)
        )


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_slaves_sensor_sends_what_is_read_here_beyond_the_recordings_end(number: int) -> None:
    recording = find_recordings()[number]
    kind, options = parse_sensor_text(recording.sensor_text)
    clock = ManualClock(unix_s=0.0)
    sensor = make_sensor(kind, {**options, "speed": "1e9"}, clock)
    assert isinstance(sensor, ReplaySensor)
    index = 0
    async for reading in sensor.readings():
        assert reading.value == recording.sample(index)
        assert reading.time_s == pytest.approx(recording.offset_s(index), abs=1e-6)
        index += 1
        if index > len(recording.values) + 10:
            break


def test_repeated_recording_goes_on_one_step_after_its_end() -> None:
    recording = Recording(Path("x.csv"), "", (5.0, 6.0, 7.0), (0.0, 0.5, 1.0))
    assert [recording.sample(index) for index in range(5)] == [5.0, 6.0, 7.0, 5.0, 6.0]
    assert [recording.offset_s(index) for index in range(5)] == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_without_heartpy_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def files(_: str) -> NoReturn:
        raise PackageNotFoundError

    monkeypatch.setattr(recordings, "files", files)
    with pytest.raises(ConfigurationError, match="not installed") as raised:
        find_recordings()
    assert "vgroup[demo]" in raised.value.remedy
