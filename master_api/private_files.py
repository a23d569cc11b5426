"""Files and folders that nobody but their owner may read."""

import os
import stat
from pathlib import Path

from group_protocol.errors import ConfigurationError

PRIVATE_FILE_MODE = 0o600
PRIVATE_FOLDER_MODE = 0o700


def ensure_private_folder(folder: Path) -> None:
    """Make the folder with mode 0700, or tighten the one that is there.

    Raises:
        ConfigurationError: It cannot be made, or is no folder.
    """
    try:
        folder.mkdir(mode=PRIVATE_FOLDER_MODE, parents=True, exist_ok=True)
        folder.chmod(PRIVATE_FOLDER_MODE)
    except OSError as exc:
        raise ConfigurationError(
            f"the folder {folder} cannot be used: {exc.strerror}",
            remedy="Choose another with --data-dir, or mend its owner and mode.",
        ) from exc


def ensure_private_file(path: Path) -> None:
    """Make an empty file with mode 0600 where there is none, so that whoever opens it later finds it private."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, PRIVATE_FILE_MODE))
        path.chmod(PRIVATE_FILE_MODE)
    except OSError as exc:
        raise ConfigurationError(f"the file {path} cannot be used: {exc.strerror}") from exc


def refuse_if_readable_by_others(path: Path) -> None:
    """Check that only the owner may read or write the file.

    Raises:
        ConfigurationError: The mode is looser than 0600, or the file is missing.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as exc:
        raise ConfigurationError(f"the file {path} cannot be read: {exc.strerror}") from exc
    if mode & 0o077:
        raise ConfigurationError(
            f"the file {path} has mode {mode:04o}: others may read it", remedy=f"Run: chmod 600 {path}"
        )


def write_private_file(path: Path, content: bytes) -> None:
    """Write a new file with mode 0600 so that it is there whole or not at all, even after a power cut.

    Raises:
        ConfigurationError: It exists already, or cannot be written.
    """
    if path.exists():
        raise ConfigurationError(f"the file {path} exists already", remedy="Move it away first to replace it.")
    draft = path.with_name(path.name + ".new")
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, PRIVATE_FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        _sync_folder(path.parent)
    except OSError as exc:
        raise ConfigurationError(f"the file {path} cannot be written: {exc.strerror}") from exc


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
