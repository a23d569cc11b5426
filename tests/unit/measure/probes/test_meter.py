from pathlib import Path

import pytest

from group_protocol.errors import ConfigurationError
from measure.errors import MeasurementError
from measure.probes.meter import MeterProbe, read_recording
from measure.probes.port import Domain, Mark


def write(folder: Path, text: str) -> Path:
    path = folder / "meter.csv"
    path.write_text(text, "utf-8")
    return path


RAMP = "unix_s,power_w\n" + "".join(f"{1000 + second},{second}\n" for second in range(11))
WITH_GAP = "unix_s,power_w\n" + "".join(f"{1000 + second},2\n" for second in range(20) if not 5 < second < 12)


def test_window_between_readings_is_interpolated(tmp_path: Path) -> None:
    assert read_recording(write(tmp_path, RAMP)).energy_j(1002.5, 1003.5) == pytest.approx(3.0)
    assert read_recording(write(tmp_path, RAMP)).energy_j(1002.0, 1006.0) == pytest.approx(16.0)


def test_milliwatts_and_volts_times_amperes_are_understood(tmp_path: Path) -> None:
    assert read_recording(write(tmp_path, "unix_s,power_mw\n1,500\n2,500\n")).powers_w == (0.5, 0.5)
    volts = "time,voltage_v,current_a\n2026-01-01T00:00:00+00:00,5,0.5\n2026-01-01T00:00:01+00:00,5,0.6\n"
    recording = read_recording(write(tmp_path, volts))
    assert recording.powers_w == (2.5, 3.0)
    assert recording.times_s == (1767225600.0, 1767225601.0)


def test_clock_offset_moves_the_meters_times(tmp_path: Path) -> None:
    assert read_recording(write(tmp_path, RAMP), 5.0).times_s[0] == 1005.0


def test_gap_is_found_and_only_windows_in_it_are_refused(tmp_path: Path) -> None:
    recording = read_recording(write(tmp_path, WITH_GAP))
    assert [(gap.begin_s, gap.end_s) for gap in recording.gaps] == [(1005.0, 1012.0)]
    with pytest.raises(MeasurementError, match=r"gap of 7\.0 s"):
        recording.energy_j(1004.0, 1006.0)
    assert recording.energy_j(1013.0, 1015.0) == pytest.approx(4.0)


def test_window_beyond_the_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="does not reach"):
        read_recording(write(tmp_path, RAMP)).energy_j(999.0, 1001.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("when,watts\n1,2\n", "no columns that are known"),
        ("unix_s,power_w\n1,2\n2,many\n", "line 3: a value is missing or no number"),
        ("unix_s,power_w\n2,2\n1,2\n", "line 3: its time is not after"),
        ("unix_s,power_w\n1,2\n", "fewer than two readings"),
        ("", "no columns that are known"),
    ],
)
def test_bad_file_is_refused_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_recording(write(tmp_path, text))


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_recording(tmp_path / "none.csv")


def test_probe_reads_the_file_only_when_energies_are_wanted(tmp_path: Path) -> None:
    def copy_from_meter() -> None:
        write(tmp_path, RAMP)

    probe = MeterProbe(tmp_path / "meter.csv", 0.0, 1.0, copy_from_meter)
    spent = probe.energy(Mark(0, 1002.0), Mark(4, 1006.0))
    assert spent[Domain.BOARD].joules == pytest.approx(16.0)
