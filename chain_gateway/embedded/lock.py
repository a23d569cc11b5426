"""One process at a time: an advisory lock that the kernel drops when its holder dies, however it dies."""

import fcntl
import os
from pathlib import Path
from typing import Self

from chain_gateway.embedded.errors import ChainLocked


class DirectoryLock:
    """An exclusive flock(2) on a file, held until :meth:`release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, path: Path) -> Self:
        """Take the lock without waiting; the file then holds our process id, for the error another one shows.

        Raises:
            ChainLocked: another process, or another chain object of this one, holds it.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise ChainLocked(
                f"{path.parent} is in use by process {holder}",
                remedy="Stop that process, or give this one a directory of its own.",
            ) from exc
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Give the lock up. The file stays: removing it would let two holders lock two different files."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
