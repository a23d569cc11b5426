"""Wall clocks that are wrong or jump: nothing is lost, nobody is shut out, and no check hangs on the time of day."""

import time
from pathlib import Path

import pytest

from tests.faults.conftest import KIND, Bed
from tests.support.false_clock import TEN_YEARS_S, FalseClock
from tests.support.ward import Device, Master

pytestmark = [pytest.mark.network, pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(300)]

TO_1970_S = 3_600 - time.time()
"""An hour after midnight of the first day that a computer knows."""


@pytest.mark.parametrize(
    ("of_master_s", "of_device_s"),
    [(TO_1970_S, TEN_YEARS_S), (TEN_YEARS_S, TO_1970_S)],
    ids=["master in 1970, device ten years ahead", "master ten years ahead, device in 1970"],
)
def test_clocks_that_are_wrong_from_the_start_keep_nobody_out(
    bed: Bed, tmp_path: Path, of_master_s: float, of_device_s: float
) -> None:
    of_master = FalseClock(tmp_path / "clock-m", of_master_s).surroundings
    of_device = FalseClock(tmp_path / "clock-d", of_device_s).surroundings
    bed.set_up(
        Master(tmp_path, surroundings=of_master),
        Device(tmp_path, 1, KIND, bed.recording, surroundings=of_device),
    )
    bed.open()
    bed.wait_for_records(40)
    bed.deliver_everything()


def test_clocks_that_jump_in_the_middle_of_a_session_do_not_end_it(bed: Bed, tmp_path: Path) -> None:
    of_master, of_device = FalseClock(tmp_path / "clock-m"), FalseClock(tmp_path / "clock-d")
    bed.set_up(
        Master(tmp_path, surroundings=of_master.surroundings),
        Device(tmp_path, 1, KIND, bed.recording, surroundings=of_device.surroundings),
    )
    bed.open()
    for offset_m_s, offset_d_s in ((TEN_YEARS_S, TO_1970_S), (TO_1970_S, TEN_YEARS_S), (0.0, 0.0), (-7_200, 7_200)):
        of_master.set(offset_m_s)
        of_device.set(offset_d_s)
        bed.wait_for_records(40)
    assert bed.device.status()["sessions"] == 1
    assert bed.device.status()["buffer"]["dropped_records"] == 0
    bed.deliver_everything()
