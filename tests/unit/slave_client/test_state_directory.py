import os
import random
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from slave_client.errors import DeviceBusyError, KeyStoreError
from slave_client.state_directory import StateDirectory, is_in_use


def test_new_directory_and_its_files_are_private(directory: StateDirectory) -> None:
    directory.replace("state.json", b"{}")
    assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.path.iterdir()} == {0o600}


def test_file_that_others_can_read_raises_key_store_error_with_the_command_that_mends_it(
    directory: StateDirectory,
) -> None:
    directory.replace("device.json", b"{}")
    (directory.path / "device.json").chmod(0o644)
    with pytest.raises(KeyStoreError, match="mode 644") as caught:
        directory.read("device.json")
    assert "chmod 600" in caught.value.remedy


def test_directory_that_others_can_enter_raises_key_store_error(tmp_path: Path) -> None:
    path = tmp_path / "open"
    path.mkdir(mode=0o755)
    with pytest.raises(KeyStoreError, match="mode 755"):
        StateDirectory(path).create()


def test_file_in_place_of_the_directory_raises_key_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyStoreError):
        StateDirectory(tmp_path / "file").create()


def test_missing_directory_raises_key_store_error_that_names_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(KeyStoreError) as caught:
        StateDirectory(tmp_path / "nowhere").check()
    assert "slave join" in caught.value.remedy


def test_second_user_of_the_directory_raises_device_busy_error(directory: StateDirectory) -> None:
    assert is_in_use(directory.path)
    with pytest.raises(DeviceBusyError), StateDirectory(directory.path):
        pass


def test_directory_is_free_after_its_user_has_gone(tmp_path: Path) -> None:
    with StateDirectory(tmp_path / "state"):
        pass
    assert not is_in_use(tmp_path / "state")
    with StateDirectory(tmp_path / "state"):
        assert is_in_use(tmp_path / "state")


def test_leftover_of_a_crashed_replacement_is_removed_and_the_old_file_stands(tmp_path: Path) -> None:
    with StateDirectory(tmp_path / "state") as directory:
        directory.replace("state.json", b"old")
        (directory.path / "state.json.new").write_bytes(b"half")
    with StateDirectory(tmp_path / "state") as directory:
        assert directory.read("state.json") == b"old"
        assert not (directory.path / "state.json.new").exists()


def test_unreasonably_large_file_raises_key_store_error(directory: StateDirectory) -> None:
    directory.replace("state.json", bytes(70_000))
    with pytest.raises(KeyStoreError, match="larger"):
        directory.read("state.json")


WRITER = """
import sys
from pathlib import Path
from slave_client.state_directory import StateDirectory
with StateDirectory(Path(sys.argv[1])) as directory:
    print("ready", flush=True)
    number = 0
    while True:
        number += 1
        directory.replace("state.json", (b"%d " % number) * 2000)
        sys.stdout.write(f"{number}\\n")
        sys.stdout.flush()
"""


@pytest.mark.processes
@pytest.mark.parametrize("seed", range(6))
def test_kill_at_a_random_instant_leaves_the_old_or_the_new_file_whole(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "state"
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, cwd=_root())
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    threading.Timer(random.Random(seed).uniform(0.02, 0.15), child.kill).start()
    written = [int(line) for line in child.stdout if line.endswith("\n")]
    child.wait()
    with StateDirectory(path) as directory:
        content = directory.read("state.json") or b""
    number = int(content.split(b" ")[0] or b"0")
    assert content == (b"%d " % number) * 2000 or not written
    assert number in (written[-1], written[-1] + 1) if written else number <= 1


def _root() -> str:
    return os.fspath(Path(__file__).parents[3])
