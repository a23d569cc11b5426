"""Getting back what a damaged buffer still holds: every row that can be reached and that opens under its seal."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from slave_client.buffer_database import UNREADABLE
from slave_client.buffered_record import BufferedRecord, RowSealer


def read_salvageable(path: Path, storage_secret: bytes) -> Iterator[BufferedRecord]:
    """Rows of a damaged file, read from both ends towards the damage; the file itself is not written to.

    A row is authentic or it is left out: it is sealed, so damage cannot make another record of it.

    Args:
        path: The file that was set aside, with SQLite's WAL beside it if there was one.
        storage_secret: The device's, 32 bytes.
    """
    with contextlib.suppress(*UNREADABLE), contextlib.closing(_open(path)) as database:
        sealer = RowSealer(storage_secret)
        for opening, salt in database.execute("SELECT id, salt FROM opening"):
            if isinstance(opening, int) and isinstance(salt, bytes):
                sealer.add_opening(opening, salt)
        highest = 0
        for record in _rows(database, sealer, "SELECT * FROM record ORDER BY seq"):
            highest = record.seq
            yield record
        query = "SELECT * FROM record WHERE seq > ? ORDER BY seq DESC"
        yield from _rows(database, sealer, query, highest)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _rows(database: sqlite3.Connection, sealer: RowSealer, query: str, *parameters: int) -> Iterator[BufferedRecord]:
    """Rows until the damage."""
    with contextlib.suppress(*UNREADABLE):
        for seq, opening, held_s, readings, sealed in database.execute(query, parameters):
            if all(isinstance(value, int) for value in (seq, opening, readings)) and isinstance(sealed, bytes):
                age_s = float(held_s) if isinstance(held_s, float | int) else 0.0
                record = sealer.open(seq, opening, age_s, readings, sealed)
                if record is not None:
                    yield record
