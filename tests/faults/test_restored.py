"""Yesterday's backup in the place of today's files, at the master and at the device."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Bed
from tests.kills.ledger import Ledger
from tests.support.ward import Device, DeviceKind, Master, wait_until

pytestmark = [pytest.mark.network, pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(300)]


def kind(keep_hours: float) -> DeviceKind:
    return DeviceKind(rate_hz=200, batch_readings=5, via="stream", keep_hours=keep_hours)


def put_back(folder: Path, backup: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)


def open_and_put_master_back(bed: Bed, keep_hours: float) -> tuple[int, int]:
    """Some records, a backup, some more, all acknowledged; then the backup. Answers both last seqs."""
    bed.set_up(Master(bed.folder), Device(bed.folder, 1, kind(keep_hours), bed.recording))
    bed.open()
    bed.wait_for_records(40)
    bed.master.stop()
    backup = bed.folder / "backup"
    shutil.copytree(bed.master.folder, backup)
    bed.check()
    in_backup = bed.ledger.last_seq
    bed.master.start()
    bed.wait_for_records(40)
    bed.device.stop()
    bed.check()
    acknowledged = bed.ledger.last_seq
    assert acknowledged > in_backup
    bed.master.stop()
    put_back(bed.master.folder, backup)
    bed.master.start()
    bed.device.start()
    bed.wait_until_streaming()
    return in_backup, acknowledged


def lost_by_master(bed: Bed) -> dict[str, Any]:
    wait_until(lambda: bed.device.status()["buffer"]["lost_by_master"] is not None, "nothing is told", bed.device.tail)
    lost = bed.device.status()["buffer"]["lost_by_master"]
    assert isinstance(lost, dict)
    return lost


def test_master_put_back_gets_everything_again_that_its_devices_have_kept(bed: Bed) -> None:
    in_backup, acknowledged = open_and_put_master_back(bed, keep_hours=24)
    lost = lost_by_master(bed)
    assert lost == {"first_seq": in_backup + 1, "last_seq": acknowledged, "sent_again": acknowledged - in_backup}
    bed.ledger = Ledger(bed.device, bed.ledger.oid)  # the store is read from its beginning again
    bed.wait_for_records(40)
    assert bed.ledger.last_seq > acknowledged
    bed.deliver_everything()


def test_master_put_back_names_the_gap_that_devices_cannot_fill_and_goes_on(bed: Bed) -> None:
    in_backup, acknowledged = open_and_put_master_back(bed, keep_hours=0)
    assert lost_by_master(bed)["sent_again"] == 0
    wait_until(lambda: bed.device.status()["readings_acknowledged"] > 0, "nothing is delivered", bed.device.tail)
    shown = bed.device.run("slave", "status", "--status-file", str(bed.device.status_file)).stdout
    assert f"the master no longer holds records {in_backup + 1} to {acknowledged}" in shown
    bed.device.stop()
    report = bed.master.ask("records.verify")
    (gap,) = report["gaps"]
    assert (gap["first_seq"], gap["last_seq"]) == (in_backup + 1, acknowledged)
    assert (report["bad"], report["missing"]) == (0, acknowledged - in_backup)
    verified = bed.master.run("records", "verify")
    assert f"records {in_backup + 1} to {acknowledged} are not here" in verified.stdout


@pytest.mark.parametrize("is_past", [False, True], ids=["before it passed its old self", "after it passed it"])
def test_device_put_back_loses_nothing_that_it_measures_from_then_on(bed: Bed, *, is_past: bool) -> None:
    bed.set_up(Master(bed.folder), Device(bed.folder, 1, kind(0), bed.recording))
    bed.open()
    bed.wait_for_records(20)
    bed.device.stop()
    backup = bed.folder / "backup"
    shutil.copytree(bed.device.state_dir, backup)
    bed.device.start()
    bed.wait_until_streaming()
    bed.wait_for_records(40)
    bed.device.stop()
    bed.check()
    stored = bed.ledger.last_seq

    bed.master.stop()
    put_back(bed.device.state_dir, backup)
    bed.device.start()

    def has_measured() -> bool:
        status = bed.device.status()
        if bed.device.state() != "backing-off" and not status.get("pid"):
            return False
        next_seq = int(status["buffer"]["next_seq"])
        return next_seq > stored + 20 if is_past else status["buffer"]["records"] > 3

    wait_until(lambda: bool(bed.device.state()) and has_measured(), "the device does not measure", bed.device.tail)
    bed.master.start()
    bed.wait_until_streaming()
    goal = stored + 20
    wait_until(
        lambda: (bed.device.status()["last_ack"] or {"last_seq": 0})["last_seq"] > goal,
        "nothing is delivered",
        bed.device.tail,
    )
    assert "got new numbers" in bed.device.log.read_text()
    bed.deliver_everything()
    assert bed.ledger.runs == 3, "each start's readings are there, from the first to the last"
