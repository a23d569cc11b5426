"""Files that only their owner may read, written whole or not at all.

OSError passes through: each tier says in its own words what to do about it.
"""

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

from system_ports.credentials import DIRECTORY_VARIABLE

PRIVATE_FILE_MODE: Final = 0o600
DRAFT_SUFFIX: Final = ".new"
"""A file with this ending is what a crash left of a write; it never holds anything that was acknowledged."""
_OTHERS: Final = 0o077


def replace_private_file(path: Path, content: bytes, *, is_durable: bool = True) -> None:
    """Make or replace a file of mode 0600; after a crash at any instant the old one or the new one is there, whole.

    Args:
        path: The file.
        content: Its bytes.
        is_durable: Wait until the medium has it. Off for files that are worth nothing after a power cut.
    """
    draft = path.with_name(path.name + DRAFT_SUFFIX)
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        if is_durable:
            os.fsync(file.fileno())
    draft.replace(path)
    if is_durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the medium has the folder's entries."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def mode_open_to_others(path: Path) -> int | None:
    """The permission bits of a file or folder that others than its owner can reach; None if it is private.

    A credential is: systemd shows it to its service alone, by an access list that reads as rights of the group.
    """
    if os.environ.get(DIRECTORY_VARIABLE) == str(path.parent):
        return None
    mode = stat.S_IMODE(path.stat().st_mode)
    return mode if mode & _OTHERS else None
