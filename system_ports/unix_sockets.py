"""Unix sockets in folders with long names."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def short_socket_path(path: Path) -> Iterator[str]:
    """A name for a socket that fits into the 107 bytes of ``sun_path`` (unix(7)), however long its folder's name is.

    It goes by way of a descriptor of the folder, and is good as long as the context lasts.

    Raises:
        OSError: There is no such folder, or it cannot be opened.
    """
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)
