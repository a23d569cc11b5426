"""A small file system of its own (tmpfs), which a test may fill to the last byte. Mounting it takes root, as CI has."""

import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

_FILLER = "filler"


class SmallDisk:
    """A tmpfs on a folder. Use it as a context manager.

    Args:
        folder: Where it is mounted; made if it is not there.
        size_bytes: All that fits on it.
    """

    def __init__(self, folder: Path, size_bytes: int) -> None:
        self.folder = folder
        self._size_bytes = size_bytes

    def __enter__(self) -> Self:
        assert os.geteuid() == 0, "mounting a small file system to fill it takes root: run this test as CI does"
        self.folder.mkdir(mode=0o700)
        options = f"size={self._size_bytes},mode=700,nosuid,nodev,noexec"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)], check=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Lazily: what still has a file open on it keeps it until it ends.
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def fill(self) -> None:
        """Until not a byte more goes on it."""
        with (self.folder / _FILLER).open("ab", buffering=0) as filler:
            for size in (65_536, 4_096, 512, 1):
                try:
                    while filler.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def make_room(self) -> None:
        """Take the filler away."""
        (self.folder / _FILLER).unlink()
