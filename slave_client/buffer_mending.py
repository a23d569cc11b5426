"""A new buffer in place of a damaged one, so that a kill at any instant loses nothing that can still be read. Blocking.

The new file is made beside the damaged one, and takes its name last::

    buffer.db, buffer.db.new                  being made; the next start throws the draft away and begins again
    buffer.db, buffer.db.mended               made; from here on the next start goes on
    buffer.db.damaged-N, buffer.db.mended     the damaged file is set aside, with what SQLite keeps beside it
    buffer.db.damaged-N, buffer.db            done
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import StoreError
from slave_client.buffer_file import BufferFile
from slave_client.buffer_salvage import read_salvageable
from slave_client.buffered_record import BufferedRecord
from system_ports.private_files import DRAFT_SUFFIX, sync_folder

_MENDED_SUFFIX = ".mended"
_BESIDE = ("-wal", "-shm")
_SALVAGED_AT_A_TIME = 256


def mend(
    path: Path, storage_secret: bytes, open_file: Callable[[Path], BufferFile], next_seq: int, *, was_sent: bool
) -> str:
    """Put a new file in place of a damaged one that nobody has open, with what can be read under its old numbers.

    Args:
        path: The damaged file.
        storage_secret: The device's, 32 bytes.
        open_file: Opens or makes a buffer's file.
        next_seq: Where its numbers go on.
        was_sent: Whether those below count as given and sent.

    Returns:
        What became of it, in words.

    Raises:
        StoreError: The medium refuses; what is there stays as it is.
    """
    draft = path.with_name(path.name + DRAFT_SUFFIX)
    _remove(draft)
    file = open_file(draft)
    try:
        file.begin_numbers(next_seq, was_sent=was_sent)
        saved, refusal = 0, ""
        try:
            for part in _in_parts(read_salvageable(path, storage_secret)):
                saved += file.restore(part)
        except StoreError as exc:  # new records count for more than the rest of these, which stays in the old file
            refusal = f", not all: {exc}"
    finally:
        file.close()
    with _medium(path):
        draft.replace(_mended(path))
        sync_folder(path.parent)
    aside = _take_place(path)
    return f"it was set aside as {aside} and a new buffer begun; {saved} of its records could be saved{refusal}"


def finish_mending(path: Path) -> str:
    """Go on where a kill interrupted :func:`mend` after the new file was made.

    Answers what became of it, in words; empty if nothing was left to do. Raises StoreError.
    """
    if not _mended(path).exists():
        return ""
    return f"{path} was damaged: it was set aside as {_take_place(path)}, and what could be saved is in a new buffer"


def _take_place(path: Path) -> str:
    """Set the damaged file aside, never over an older one, and give the new one its name. Answers the old one's."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    if number > 1 and not path.exists():  # it was set aside before the kill
        aside = path.with_name(f"{path.name}.damaged-{number - 1}")
    with _medium(path):
        for suffix in (*_BESIDE, ""):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
        sync_folder(path.parent)
        _mended(path).replace(path)
        sync_folder(path.parent)
    return aside.name


def _mended(path: Path) -> Path:
    return path.with_name(path.name + _MENDED_SUFFIX)


def _remove(draft: Path) -> None:
    with _medium(draft):
        for suffix in (*_BESIDE, ""):
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)


@contextlib.contextmanager
def _medium(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StoreError(
            f"cannot replace {path}: {exc.strerror}",
            remedy="Free some space or mend the medium.",
            code=ErrorCode.DISK_REFUSES,
        ) from exc


def _in_parts(records: Iterable[BufferedRecord]) -> Iterator[list[BufferedRecord]]:
    iterator = iter(records)
    while part := list(islice(iterator, _SALVAGED_AT_A_TIME)):
        yield part
