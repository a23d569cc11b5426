"""The directory that holds everything a device must remember: one owner, one process, no half-written files."""

import contextlib
import fcntl
import os
import stat
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from group_protocol.error_codes import ErrorCode
from slave_client.errors import DeviceBusyError, KeyStoreError
from system_ports.private_files import DRAFT_SUFFIX, mode_open_to_others, replace_private_file, sync_folder

_LOCK_ATTEMPTS = 4
_LOCK_RETRY_S = 0.05
_FILE_MAX_BYTES = 65_536
_STAYING = frozenset({"lock", "slave.toml"})
"""Not part of an identity."""


class StateDirectory:
    """A directory of mode 0700 whose files have mode 0600.

    Use it as a context manager for the right to change it: a second process gets :class:`DeviceBusyError`. Reading
    needs no lock, because every file is replaced in one step.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def create(self) -> None:
        """Make the directory if it is not there, and check it.

        Raises:
            KeyStoreError: It cannot be made, is no directory, belongs to another user, or others can look into it.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise KeyStoreError(
                f"cannot make the state directory {self.path}: {exc.strerror}",
                remedy="Choose another one with --state-dir, or make it writable for this user.",
                code=ErrorCode.FILE_UNUSABLE,
            ) from exc
        self.check()

    def check(self) -> None:
        """Check owner and mode of the directory.

        Raises:
            KeyStoreError: It is missing, no directory, another user's, or others can look into it.
        """
        _check_private(self.path, is_directory=True)

    def __enter__(self) -> Self:
        self.create()
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _lock_soon(lock):
            os.close(lock)
            raise DeviceBusyError(
                f"another process is using {self.path}",
                remedy="Stop the running slave first (Ctrl-C, or systemctl stop), or choose another --state-dir.",
            )
        self._lock = lock
        for leftover in self.path.glob(f"*{DRAFT_SUFFIX}"):
            leftover.unlink()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def read(self, name: str) -> bytes | None:
        """The bytes of a file, or None if it is not there.

        Raises:
            KeyStoreError: Others can read it, it is unreasonably large, or reading fails.
        """
        path = self.path / name
        try:
            if not path.exists():
                return None
            _check_private(path, is_directory=False)
            with path.open("rb") as file:
                content = file.read(_FILE_MAX_BYTES + 1)
        except OSError as exc:
            raise KeyStoreError(
                f"cannot read {path}: {exc.strerror}", remedy="Check the storage medium.", code=ErrorCode.FILE_UNUSABLE
            ) from exc
        if len(content) > _FILE_MAX_BYTES:
            raise KeyStoreError(f"{path} is larger than any file of ours", remedy=damage_remedy(path))
        return content

    def replace(self, name: str, content: bytes) -> None:
        """Put a file in place of the old one in a single step.

        After a crash at any instant the old or the new one is there, whole.

        Raises:
            KeyStoreError: The file system refuses; the old file still stands.
        """
        try:
            replace_private_file(self.path / name, content)
        except OSError as exc:
            raise KeyStoreError(
                f"cannot write {self.path / name}: {exc.strerror}",
                remedy="Free some space or mend the medium; nothing was lost.",
                code=ErrorCode.DISK_REFUSES,
            ) from exc

    def set_aside(self, folder: str, *, last: str) -> str:
        """Move every file into a folder beside them, ``last`` as the last one; answers the folder's name.

        Raises:
            KeyStoreError: The file system refuses; what was moved is in the folder.
        """
        target = self.path / folder
        try:
            target.mkdir(mode=0o700, exist_ok=True)
            files = [path for path in self.path.iterdir() if path.is_file() and path.name not in _STAYING]
            for path in sorted(files, key=lambda path: path.name == last):
                path.replace(target / path.name)
            sync_folder(target)
            sync_folder(self.path)
        except OSError as exc:
            raise KeyStoreError(
                f"cannot set the old identity aside in {target}: {exc.strerror}",
                remedy="Free some space or mend the medium; nothing was lost.",
                code=ErrorCode.DISK_REFUSES,
            ) from exc
        return folder

    def remove(self, name: str) -> None:
        """Delete a file durably; one that is not there is as good as deleted."""
        with contextlib.suppress(FileNotFoundError):
            (self.path / name).unlink()
            sync_folder(self.path)


def is_in_use(path: Path) -> bool:
    """Whether a process holds the right to change the directory."""
    try:
        lock = os.open(path / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def damage_remedy(path: Path) -> str:
    """What to do about a file that cannot be read."""
    return f"Restore {path.name} from a backup; without one, move {path.parent} away and pair the device anew."


def _lock_soon(lock: int) -> bool:
    """Take the lock; a look by :func:`is_in_use` may be in the way for an instant."""
    for _ in range(_LOCK_ATTEMPTS):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(_LOCK_RETRY_S)
        else:
            return True
    return False


def _check_private(path: Path, *, is_directory: bool) -> None:
    try:
        status = path.stat()
    except FileNotFoundError as exc:
        raise KeyStoreError(
            f"there is no {path}", remedy="Join a group first: vgroup slave join STRING.", code=ErrorCode.NOT_PAIRED
        ) from exc
    if stat.S_ISDIR(status.st_mode) is not is_directory:
        raise KeyStoreError(
            f"{path} is {'no' if is_directory else 'a'} directory",
            remedy="Choose another --state-dir.",
            code=ErrorCode.FILE_UNUSABLE,
        )
    if status.st_uid != os.geteuid():
        raise KeyStoreError(
            f"{path} belongs to another user (uid {status.st_uid})",
            remedy="Run as that user, or chown it to this one.",
            code=ErrorCode.FILE_UNUSABLE,
        )
    mode = mode_open_to_others(path)
    if mode is not None:
        wanted = "700" if is_directory else "600"
        raise KeyStoreError(
            f"{path} is open to other users (mode {mode:03o})",
            remedy=f"Run: chmod {wanted} '{path}'. If others may have read it, pair anew with a new --state-dir.",
            code=ErrorCode.FILE_OPEN_TO_OTHERS,
        )
