"""A disk without a byte left, under the device or under the master: they go on, say so, and lose nothing that fits."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import KIND, Bed
from tests.support.small_disk import SmallDisk
from tests.support.ward import Device, Master, wait_until

pytestmark = [pytest.mark.network, pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with SmallDisk(tmp_path / "disk", 24_000_000) as disk:
        yield disk


def test_device_with_a_full_disk_holds_its_readings_in_memory_and_delivers_them_when_there_is_room(
    bed: Bed, disk: SmallDisk, tmp_path: Path, status_error: Callable[[], str]
) -> None:
    device = Device(tmp_path, 1, KIND, bed.recording, state_dir=disk.folder / "state")
    bed.set_up(Master(tmp_path), device)
    bed.open()
    bed.wait_for_records(20)
    disk.fill()
    wait_until(lambda: "full" in status_error(), "the device does not notice that its disk is full", device.tail)
    wait_until(lambda: device.status()["buffer"]["uncommitted_records"] > 40, "nothing is held in memory", device.tail)
    disk.make_room()
    wait_until(lambda: device.status()["buffer"]["uncommitted_records"] < 20, "nothing is committed", device.tail)
    bed.wait_for_records(80)
    bed.deliver_everything()


def test_master_with_a_full_disk_acknowledges_nothing_and_goes_on_when_there_is_room(
    bed: Bed, disk: SmallDisk, tmp_path: Path, status_error: Callable[[], str]
) -> None:
    bed.set_up(Master(tmp_path, data_dir=disk.folder / "master"))
    bed.open()
    bed.wait_for_records(20)
    disk.fill()
    wait_until(lambda: "STORE_UNAVAILABLE" in status_error(), "the master still acknowledges", bed.device.tail)
    bed.check()
    stored = bed.ledger.last_seq
    wait_until(lambda: bed.device.status()["buffer"]["records"] > 100, "the device does not keep them", bed.device.tail)
    bed.check()
    assert bed.ledger.last_seq == stored
    disk.make_room()
    bed.wait_until_streaming()
    bed.wait_for_records(200)
    bed.deliver_everything()
