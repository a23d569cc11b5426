"""A slave and a master one minor version apart, on running processes, whichever is newer (docs/protocol.md §3.6)."""

import os
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.faults.conftest import KIND, Bed
from tests.support.ward import ROOT, Device, Master, Surroundings, wait_until

pytestmark = [pytest.mark.network, pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(300)]

PACKAGES = ("chain_gateway", "contracts", "group_protocol", "master_api", "slave_client", "system_ports", "vgroup")
PREVIOUS_WHEEL = "VGROUP_PREVIOUS_WHEEL"
END = "    return encoded\n"
OLDER = ("0.0.9", '    return b""\n')
"""It says nothing of itself: as a version before the extensions."""
NEWER = ("9.8.0", '    return encoded + bytes.fromhex("7ffe0003") + b"new"\n')
"""It adds what this version does not know, and may pass over."""
DEMANDING = ("9.8.0", '    return encoded + bytes.fromhex("80010000")\n')
"""It adds what must not be passed over."""


def other_version(folder: Path, version: str, ending: str) -> Surroundings:
    """This tree as another version that puts other extensions into M3 and M4."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    extensions = folder / "group_protocol" / "extensions.py"
    text = extensions.read_text()
    assert text.count(END) == 1
    extensions.write_text(text.replace(END, ending))
    (folder / "system_ports" / "software.py").write_text(f'def software_version() -> str:\n    return "{version}"\n')
    return run_from(folder)


def run_from(folder: Path) -> Surroundings:
    """Programs in this folder come before the tree's."""
    return Surroundings(environment={"PYTHONSAFEPATH": "1", "PYTHONPATH": str(folder)})


def join_and_stream(bed: Bed, master: Surroundings, device: Surroundings) -> None:
    bed.set_up(Master(bed.folder, surroundings=master), Device(bed.folder, 1, KIND, bed.recording, surroundings=device))
    bed.open()
    bed.wait_for_records(20)
    bed.deliver_everything()


@pytest.mark.parametrize("version", [OLDER, NEWER], ids=["older", "newer"])
@pytest.mark.parametrize("side", ["slave", "master"])
def test_two_versions_join_and_stream_whichever_is_newer(
    bed: Bed, tmp_path: Path, side: str, version: tuple[str, str]
) -> None:
    other, own = other_version(tmp_path / "other", *version), Surroundings()
    join_and_stream(bed, *((own, other) if side == "slave" else (other, own)))
    if version is OLDER:
        return
    (listed,) = bed.master.ask("device.list")["devices"]
    assert (listed["software"] == NEWER[0]) is (side == "slave")
    shown = bed.device.run("slave", "status").stdout
    assert f"the master's {NEWER[0]}" in shown or f"version    {NEWER[0]}" in shown


def test_enrolled_device_that_asks_for_what_the_master_does_not_know_is_told(bed: Bed, tmp_path: Path) -> None:
    join_and_stream(bed, Surroundings(), Surroundings())
    bed.device.surroundings = other_version(tmp_path / "other", *DEMANDING)
    bed.device.start()
    wait_until(lambda: bed.device.status().get("standing") == "unsupported", "it is not told", bed.device.tail)
    assert "upgrade the master" in bed.device.status()["standing_remedy"]


def test_device_that_does_not_know_what_the_master_asks_for_says_upgrade(bed: Bed, tmp_path: Path) -> None:
    demanding = other_version(tmp_path / "other", *DEMANDING)
    bed.set_up(Master(bed.folder, surroundings=demanding), Device(bed.folder, 1, KIND, bed.recording))
    bed.master.open_group()
    refused = bed.device.run("slave", "join", bed.master.invite("bed 1"))
    assert refused.returncode == 4, refused.stderr
    assert "upgrade this device" in refused.stderr


@pytest.mark.parametrize("side", ["slave", "master"])
def test_previous_release_works_beside_this_one(bed: Bed, tmp_path: Path, side: str) -> None:
    """Named by VGROUP_PREVIOUS_WHEEL. Without one it holds as long as there is no release to be compatible with."""
    wheel = os.environ.get(PREVIOUS_WHEEL)
    if wheel is None:
        released = re.findall(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
        assert released == [], f"{released[0]} was released: name its wheel in {PREVIOUS_WHEEL}"
        return
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "previous")
    previous, own = run_from(tmp_path / "previous"), Surroundings()
    join_and_stream(bed, *((own, previous) if side == "slave" else (previous, own)))
