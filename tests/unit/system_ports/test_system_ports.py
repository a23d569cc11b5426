from pathlib import Path

import pytest

from system_ports.clock import SystemClock
from system_ports.private_files import DRAFT_SUFFIX, mode_open_to_others, replace_private_file
from system_ports.randomness import SystemRandom


def test_written_file_is_the_owners_alone_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_private_file(path, b"one")
    replace_private_file(path, b"two", is_durable=False)
    assert path.read_bytes() == b"two"
    assert mode_open_to_others(path) is None
    assert list(tmp_path.iterdir()) == [path]


def test_draft_that_a_crash_left_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.with_name(path.name + DRAFT_SUFFIX).write_bytes(b"half")
    replace_private_file(path, b"whole")
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"whole"]


def test_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_private_file(path, b"old")
    (tmp_path / f"file{DRAFT_SUFFIX}").mkdir()
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the file system
        replace_private_file(path, b"new")
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o777])
def test_mode_that_lets_others_in_is_told(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(mode)
    assert mode_open_to_others(path) == mode


def test_clock_and_randomness_are_the_systems() -> None:
    clock = SystemClock()
    assert clock.now_unix_s() > 1_700_000_000
    assert clock.monotonic_s() <= clock.monotonic_s()
    assert len(SystemRandom().token_bytes(32)) == 32
    assert SystemRandom().token_bytes(32) != SystemRandom().token_bytes(32)
