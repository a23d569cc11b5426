"""One process at a time works in a data folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from system_ports.private_files import PRIVATE_FILE_MODE

LOCK_NAME = "master.lock"


@contextmanager
def locked_folder(data_dir: Path) -> Iterator[None]:
    """Hold the folder's lock. The kernel lets go of it when the process ends, however it ends.

    Raises:
        ConfigurationError: Another process holds it.
    """
    descriptor = os.open(data_dir / LOCK_NAME, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, PRIVATE_FILE_MODE)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise ConfigurationError(
                f"another vgroup process works in {data_dir}",
                remedy="If it is a master that is starting or stopping, try again in a moment.",
                code=ErrorCode.FOLDER_IN_USE,
            ) from exc
        yield
    finally:
        os.close(descriptor)
