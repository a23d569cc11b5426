"""Expired, evicted, banned: three ways of being out, on running processes, each with what helps."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Bed
from tests.kills.ledger import Ledger
from tests.support.ward import Device, Master, wait_until

pytestmark = [pytest.mark.network, pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def streaming(bed: Bed) -> Bed:
    bed.set_up(Master(bed.folder))
    bed.open()
    bed.wait_for_records(10)
    return bed


def listed(bed: Bed, name: str) -> dict[str, Any]:
    device: dict[str, Any]
    (device,) = [row for row in bed.master.ask("device.list")["devices"] if row["name"] == name]
    return device


def order(bed: Bed, *words: str) -> str:
    done = bed.master.run("device", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def standing(device: Device) -> tuple[str, str]:
    """As its user asks, whether it runs or not; and what it is told to do."""
    fields = json.loads(device.run("slave", "status", "--json").stdout)
    return fields["standing"], fields["standing_remedy"] or ""


def test_banned_device_is_cut_off_keeps_its_readings_and_goes_on_when_the_ban_is_lifted(streaming: Bed) -> None:
    bed = streaming
    order(bed, "ban", "bed 1")
    wait_until(lambda: standing(bed.device)[0] == "banned", "the device does not learn of it", bed.device.tail)
    assert bed.device.state() in {"backing-off", "connecting"}
    assert "vgroup device unban" in standing(bed.device)[1]
    doctor = bed.device.run("doctor").stdout
    assert "banned" in doctor
    assert "device unban" in doctor
    assert bed.master.ask("group.show")["slaves"] == 1, "the contract knows nothing of it"
    shown = listed(bed, "bed 1")
    assert (shown["standing"], shown["has_session"]) == ("banned", False)
    assert "unban" in shown["remedy"]
    assert "bed 1 is banned" in order(bed, "list")
    bed.check()
    before = bed.ledger.last_seq
    bed.master.stop()
    bed.master.start()  # the ban outlives the process
    bed.master.ask("master.status")
    bed.check()
    assert bed.ledger.last_seq == before
    order(bed, "unban", "bed 1")
    bed.wait_until_streaming()
    assert standing(bed.device) == ("member", "")
    bed.wait_for_records(20)
    bed.deliver_everything()


def test_evicted_device_is_out_for_good_and_is_invited_again_as_a_new_one(streaming: Bed) -> None:
    bed = streaming
    order(bed, "evict", "bed 1", "--yes")
    wait_until(lambda: standing(bed.device)[0] == "evicted", "the device does not learn of it", bed.device.tail)
    assert "vgroup device invite" in standing(bed.device)[1]
    assert listed(bed, "bed 1")["standing"] == "evicted"
    assert bed.master.ask("group.show")["revoked"] == 1
    bed.device.end()
    old = bed.ledger.oid
    oid = bed.device.join(bed.master.invite("bed 1 again"))
    assert oid != old
    assert (bed.device.state_dir / f"evicted-{old.hex()}" / "device.json").exists()
    bed.ledger = Ledger(bed.device, oid)
    bed.device.start()
    bed.wait_until_streaming()
    bed.wait_for_records(10)
    assert standing(bed.device)[0] == "member"


def test_device_whose_invitation_expired_says_so_and_a_new_one_lets_it_in(bed: Bed) -> None:
    bed.set_up(Master(bed.folder))
    bed.master.open_group()
    late = str(bed.master.ask("device.invite", name="late", lifetime_s=0.01)["pairing_string"])
    refused = bed.device.run("slave", "join", late)
    assert refused.returncode != 0
    assert "the invitation has expired" in refused.stderr
    assert "vgroup device invite" in refused.stderr
    assert standing(bed.device)[0] == "expired"
    assert "expired: Invite again" in order(bed, "list")
    bed.device.join(bed.master.invite("in time"))
    assert standing(bed.device)[0] == "member"


def test_device_that_joined_after_the_backup_that_was_put_back_heals_by_a_new_invitation(
    bed: Bed, tmp_path: Path
) -> None:
    bed.set_up(Master(bed.folder))
    bed.master.open_group()
    backup = tmp_path / "before.tar"
    assert bed.master.run("master", "backup", str(backup)).returncode == 0
    oid = bed.device.join(bed.master.invite("bed 1"))
    bed.ledger = Ledger(bed.device, oid)
    bed.device.start()
    bed.wait_until_streaming()
    bed.master.stop()
    bed.master.folder.rename(bed.folder / "newer")
    assert bed.master.run("master", "restore", str(backup)).returncode == 0
    bed.master.start()
    wait_until(
        lambda: "does not know this device" in str((bed.device.status().get("last_error") or {}).get("message")),
        "the device is not told",
        bed.device.tail,
    )
    assert "vgroup slave join" in bed.device.status()["last_error"]["remedy"]
    bed.device.stop()
    assert bed.device.join(bed.master.invite("bed 1")) == oid, "it is the same device"
    bed.ledger = Ledger(bed.device, oid)
    bed.device.start()
    bed.wait_until_streaming()
    wait_until(lambda: bed.device.status()["readings_acknowledged"] > 0, "nothing is delivered", bed.device.tail)
