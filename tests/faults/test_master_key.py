"""The master changes its key, on running processes: no slave is touched, and none is lost whenever power goes."""

import json
import subprocess
from pathlib import Path

import pytest

from master_api.key_file import NEXT_PLAIN_KEY_NAME, PLAIN_KEY_NAME
from tests.faults.conftest import Bed
from tests.support.ward import Device, Master, wait_until

pytestmark = [pytest.mark.network, pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def streaming(bed: Bed) -> Bed:
    bed.set_up(Master(bed.folder))
    bed.open()
    bed.wait_for_records(20)
    return bed


def rotate(bed: Bed, *options: str) -> dict[str, str]:
    done = bed.master.run("master", "rotate-key", "--json", *options)
    assert done.returncode == 0, done.stderr
    fields = json.loads(done.stdout)
    assert isinstance(fields, dict)
    return fields


def pinned(bed: Bed) -> str:
    return str(json.loads((bed.device.state_dir / "state.json").read_text())["master"])


def wait_until_pinned(bed: Bed, master: str) -> None:
    wait_until(lambda: "0x" + pinned(bed) == master, "the device keeps the old master", bed.device.tail)


def test_running_device_follows_the_new_key_and_loses_nothing(streaming: Bed) -> None:
    bed = streaming
    before = bed.master.ask("group.show")
    bed.master.stop()
    rotated = rotate(bed)
    assert (rotated["outcome"], rotated["old_master"]) == ("promoted", before["master"])
    assert not (bed.master.folder / NEXT_PLAIN_KEY_NAME).exists()
    bed.master.start()
    wait_until_pinned(bed, rotated["new_master"])
    bed.wait_for_records(20)
    after = bed.master.ask("group.show")
    assert (after["gid"], after["master_oid"], after["slaves"]) == (before["gid"], before["master_oid"], 1)
    assert (after["master"], after["epoch"]) == (rotated["new_master"], before["epoch"] + 1)
    assert bed.master.ask("master.status")["master"] == rotated["new_master"]
    bed.deliver_everything()


def test_device_that_was_away_during_three_changes_comes_back_by_itself(streaming: Bed) -> None:
    bed = streaming
    bed.device.stop()
    newest = ""
    for _ in range(3):
        bed.master.stop()
        newest = rotate(bed)["new_master"]
        bed.master.start()
        assert bed.master.ask("master.status")["master"] == newest
    bed.device.start()
    wait_until_pinned(bed, newest)
    bed.wait_for_records(20)
    bed.deliver_everything()


def test_invitation_of_the_old_key_is_good_for_its_device_and_a_new_one_for_a_device_that_knows_the_old_key(
    streaming: Bed,
) -> None:
    bed = streaming
    old_string = bed.master.invite("bed 2")
    bed.device.stop()
    bed.master.stop()
    newest = rotate(bed)["new_master"]
    bed.master.start()
    second = Device(bed.folder, 2, bed.device.kind, bed.recording)
    second.join(old_string)
    moved = bed.device.run("slave", "join", bed.master.invite("bed 1 again"), "--json")
    assert moved.returncode == 0, moved.stderr
    assert json.loads(moved.stdout)["master"] == newest
    doctor = bed.device.run("doctor")
    assert f"has proved to be {newest}" in doctor.stdout, doctor.stdout + doctor.stderr
    bed.master.ask("audit.verify")


STEPS = {
    "keep_master_change": "master_api.key_rotation",
    "put_change_in_force": "master_api.key_rotation",
    "promote_next_key": "master_api.key_slots",
}
"""Where power is cut: the function that is never entered, and the module that would have called it."""
CUT = """
import os, sys
import {module} as module
module.{function} = lambda *_, **__: os._exit(9)
from vgroup.__main__ import main
sys.argv = ["vgroup", "master", "rotate-key"]
main()
"""


def cut_power(bed: Bed, function: str) -> None:
    script = CUT.format(module=STEPS[function], function=function)
    command = [bed.master.command_line()[0], "-c", script]
    done = subprocess.run(
        command, env=bed.master.environment, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 9, done.stderr


@pytest.mark.parametrize("function", STEPS)
def test_master_whose_power_was_cut_goes_on_and_its_devices_stay(streaming: Bed, function: str) -> None:
    bed = streaming
    old_key = (bed.master.folder / PLAIN_KEY_NAME).read_text()
    bed.master.stop()
    cut_power(bed, function)
    bed.master.start()  # by the service manager, say: with nobody there who would finish anything
    bed.wait_for_records(20)
    was_carried_out = function != "keep_master_change"
    assert ((bed.master.folder / PLAIN_KEY_NAME).read_text() != old_key) is was_carried_out
    assert (bed.master.folder / NEXT_PLAIN_KEY_NAME).exists() is not was_carried_out
    bed.master.stop()
    newest = rotate(bed)["new_master"]
    bed.master.start()
    wait_until_pinned(bed, newest)
    bed.wait_for_records(20)
    bed.deliver_everything()


def test_change_that_never_left_the_master_is_abandoned_at_once(streaming: Bed) -> None:
    bed = streaming
    bed.master.stop()
    cut_power(bed, "keep_master_change")
    assert rotate(bed, "--abandon")["outcome"] == "rolled back"
    assert not (bed.master.folder / NEXT_PLAIN_KEY_NAME).exists()
    bed.master.start()
    bed.wait_for_records(20)
    bed.deliver_everything()


def test_running_master_is_not_rotated(bed: Bed) -> None:
    bed.set_up(Master(bed.folder))
    bed.master.open_group()
    refused = bed.master.run("master", "rotate-key")
    assert refused.returncode == 2
    assert "Stop it first" in refused.stderr


def test_master_put_back_from_before_the_change_is_refused_by_a_device_that_met_the_new_key(
    streaming: Bed, tmp_path: Path
) -> None:
    bed = streaming
    backup = tmp_path / "before.tar"
    assert bed.master.run("master", "backup", str(backup)).returncode == 0
    bed.master.stop()
    newest = rotate(bed)["new_master"]
    bed.master.start()
    wait_until_pinned(bed, newest)
    bed.master.stop()
    bed.master.folder.rename(bed.folder / "newer")
    assert bed.master.run("master", "restore", str(backup)).returncode == 0
    bed.master.start()
    wait_until(
        lambda: f"not {newest}" in str((bed.device.status().get("last_error") or {}).get("message")),
        "the device believes a key that was given up",
        bed.device.tail,
    )
    assert "0x" + pinned(bed) == newest
