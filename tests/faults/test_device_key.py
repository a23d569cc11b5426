"""A device changes its key while its power is cut, on running processes: it always comes back, with one key."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults.conftest import Bed
from tests.support.ward import Master

pytestmark = [pytest.mark.network, pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(300)]

CUT = """
import os, sys
from slave_client.keystore import KeyStore
from slave_client.rotation import Rotation
from slave_client.state_directory import StateDirectory
def cut(*_, **__):
    os._exit(9)
{place} = cut
from vgroup.__main__ import main
sys.argv = ["vgroup", "slave", "rotate"]
main()
"""
STEPS = {
    "KeyStore.mark_asked": "the new key is on the disk, and was not asked for",
    "Rotation._ask": "marked as asked, and never sent",
    "KeyStore.adopt_candidate": "in the contract and proven, and the old key is still the device's",
    "StateDirectory.remove": "adopted, and the candidate is still there",
}


def address(bed: Bed) -> str:
    return str(json.loads(bed.device.run("slave", "status", "--json").stdout)["address"])


@pytest.mark.parametrize("asks_anew", [False, True])
def test_device_that_changed_its_key_after_the_backup_goes_on_by_itself_where_the_register_remembers(
    bed: Bed, tmp_path: Path, *, asks_anew: bool
) -> None:
    """The store is put back and the chain is not, as with a chain by URL. Also with a new pairing string at hand."""
    bed.set_up(Master(bed.folder))
    bed.open()
    bed.wait_for_records(10)
    bed.device.stop()
    bed.master.stop()
    shutil.copy(bed.master.store, tmp_path / "backup.sqlite3")
    bed.master.start()
    bed.master.ask("master.status")
    rotated = bed.device.run("slave", "rotate")
    assert rotated.returncode == 0, rotated.stderr
    bed.master.stop()
    shutil.copy(tmp_path / "backup.sqlite3", bed.master.store)
    bed.master.start()
    (dispute,) = bed.master.ask("master.status")["disputed"]
    assert (dispute["register_says"], dispute["address_there"]) == ("another key", address(bed))
    doctor = bed.master.run("doctor").stdout
    assert "it says of bed 1: another key" in doctor
    assert "membership-disputed" in doctor
    if asks_anew:
        assert bed.device.join(bed.master.invite("bed 1 again")) == bed.ledger.oid, "it is the same device"
    bed.device.start()
    bed.wait_until_streaming()
    bed.wait_for_records(10)
    assert bed.master.ask("master.status")["disputed"] == []
    bed.deliver_everything()


@pytest.mark.parametrize("place", STEPS)
def test_device_whose_power_was_cut_comes_back_with_one_key(bed: Bed, place: str) -> None:
    bed.set_up(Master(bed.folder))
    bed.open()
    bed.wait_for_records(10)
    bed.device.stop()
    bed.check()
    old = address(bed)
    done = subprocess.run(
        [bed.device.command_line()[0], "-c", CUT.format(place=place)],
        env=bed.device.environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 9, done.stderr
    bed.device.start()
    bed.wait_until_streaming()
    bed.wait_for_records(10)
    bed.device.stop()
    was_carried_out = place in {"KeyStore.adopt_candidate", "StateDirectory.remove"}
    assert (address(bed) != old) is was_carried_out
    rotated = bed.device.run("slave", "rotate")
    assert rotated.returncode == 0, rotated.stderr
    assert rotated.stdout.startswith("promoted: ")
    assert not (bed.device.state_dir / "candidate.json").exists()
    bed.device.start()
    bed.wait_until_streaming()
    bed.wait_for_records(10)
    bed.deliver_everything()
