"""A backup that was made while the group worked, restored where nothing is left of the master."""

import json
import stat

import pytest

from tests.faults.conftest import Bed
from tests.kills.ledger import Ledger
from tests.support.ward import Device, DeviceKind, Master, wait_until

pytestmark = [pytest.mark.network, pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(300)]

KEEPS = DeviceKind(rate_hz=200, batch_readings=5, via="stream", keep_hours=24)


def test_group_goes_on_from_a_backup_that_was_made_while_it_worked(bed: Bed) -> None:
    bed.set_up(Master(bed.folder), Device(bed.folder, 1, KEEPS, bed.recording))
    bed.open()
    bed.wait_for_records(40)
    bed.master.ask("records.anchor")
    archive = bed.folder / "ward.tar"
    done = bed.master.run("master", "backup", str(archive), "--json")
    assert done.returncode == 0, done.stderr
    assert "UNENCRYPTED" in done.stderr
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    made = json.loads(done.stdout)
    group = bed.master.ask("group.show")
    assert (made["gid"], made["master"]) == (group["gid"], group["master"])
    assert {"master.key", "master.sqlite3", "gateway/chain/chain.sqlite3"} <= {part["name"] for part in made["parts"]}

    bed.wait_for_records(40)
    bed.device.stop()
    bed.check()
    acknowledged = bed.ledger.last_seq
    refused = bed.master.run("master", "restore", str(archive))
    assert (refused.returncode, "another vgroup process works in" in refused.stderr) == (2, True), refused.stderr
    bed.master.stop()
    refused = bed.master.run("master", "restore", str(archive))
    assert (refused.returncode, "is not empty" in refused.stderr) == (2, True), refused.stderr
    bed.master.folder.rename(bed.folder / "lost")

    done = bed.master.run("master", "restore", str(archive))
    assert done.returncode == 0, done.stderr
    assert "must never run again" in done.stderr
    bed.master.start()
    bed.device.start()
    bed.wait_until_streaming()
    assert bed.master.ask("group.show")["gid"] == group["gid"]
    wait_until(lambda: bed.device.status()["buffer"]["lost_by_master"] is not None, "nothing is told", bed.device.tail)
    lost = bed.device.status()["buffer"]["lost_by_master"]
    assert lost["last_seq"] == acknowledged
    assert lost["sent_again"] == acknowledged - lost["first_seq"] + 1
    bed.ledger = Ledger(bed.device, bed.ledger.oid)  # the store is read from its beginning again
    bed.wait_for_records(40)
    assert bed.ledger.last_seq > acknowledged
    bed.master.ask("records.anchor")
    bed.deliver_everything()
