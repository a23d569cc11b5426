"""Files and folders that nobody but their owner may read."""

import os
from pathlib import Path

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from system_ports.private_files import PRIVATE_FILE_MODE, mode_open_to_others, replace_private_file

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
            code=ErrorCode.FILE_UNUSABLE,
        ) from exc


def ensure_private_file(path: Path) -> None:
    """Make an empty file with mode 0600 where there is none, so that whoever opens it later finds it private."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, PRIVATE_FILE_MODE))
        path.chmod(PRIVATE_FILE_MODE)
    except OSError as exc:
        raise ConfigurationError(
            f"the file {path} cannot be used: {exc.strerror}", code=ErrorCode.FILE_UNUSABLE
        ) from exc


def refuse_if_readable_by_others(path: Path) -> None:
    """Check that only the owner may read or write the file.

    Raises:
        ConfigurationError: The mode is looser than 0600, or the file is missing.
    """
    try:
        mode = mode_open_to_others(path)
    except OSError as exc:
        raise ConfigurationError(
            f"the file {path} cannot be read: {exc.strerror}", code=ErrorCode.FILE_UNUSABLE
        ) from exc
    if mode is not None:
        raise ConfigurationError(
            f"the file {path} has mode {mode:04o}: others may read it",
            remedy=f"Run: chmod 600 {path}",
            code=ErrorCode.FILE_OPEN_TO_OTHERS,
        )


def write_private_file(path: Path, content: bytes) -> None:
    """Write a new file with mode 0600 so that it is there whole or not at all, even after a power cut.

    Raises:
        ConfigurationError: It exists already, or cannot be written.
    """
    if path.exists():
        raise ConfigurationError(
            f"the file {path} exists already", remedy="Move it away first to replace it.", code=ErrorCode.FILE_EXISTS
        )
    try:
        replace_private_file(path, content)
    except OSError as exc:
        raise ConfigurationError(
            f"the file {path} cannot be written: {exc.strerror}", code=ErrorCode.FILE_UNUSABLE
        ) from exc
