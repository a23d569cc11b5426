"""The buffer's rows: sealed as they are written, opened as they are read. Blocking.

Every method raises SQLite's errors; whoever calls it stands in a :meth:`BufferDatabase.border` or ``transaction``.
"""

from collections.abc import Iterable
from dataclasses import replace

from group_protocol.crypto.aead import TAG_BYTES
from group_protocol.ports import Random
from slave_client.buffer_database import BufferDatabase
from slave_client.buffered_record import ROW_OVERHEAD_BYTES, BufferedRecord, RowSealer

SEALED_OVERHEAD_BYTES = ROW_OVERHEAD_BYTES - TAG_BYTES
"""What a row takes beyond its sealed content."""
_SALT_BYTES = 16


class BufferRows:
    """The records of one file. What is written is sealed under a salt that was drawn when the file was opened.

    Args:
        database: The file.
        storage_secret: The device's, 32 bytes.
        random: For salts.
    """

    def __init__(self, database: BufferDatabase, storage_secret: bytes, random: Random) -> None:
        self._database = database
        self._random = random
        self._sealer = RowSealer(storage_secret)
        self._opening = 0
        execute = database.execute
        execute("DELETE FROM opening WHERE id NOT IN (SELECT opening FROM record UNION SELECT opening FROM set_aside)")
        for opening, salt in execute("SELECT id, salt FROM opening").fetchall():
            self._sealer.add_opening(opening, salt)
        self._begin_opening()

    def insert(self, records: Iterable[BufferedRecord]) -> None:
        """Write records under their seqs."""
        rows = ((r.seq, self._opening, r.held_s, r.readings, self._sealer.seal(self._opening, r)) for r in records)
        self._database.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", rows)

    def read_after(self, seq: int, max_records: int, max_bytes: int) -> tuple[list[BufferedRecord], list[int]]:
        """The oldest records above ``seq`` up to both bounds, at least one if any opens; and which do not open."""
        records: list[BufferedRecord] = []
        unreadable: list[int] = []
        total_bytes = 0
        rows = self._database.execute("SELECT * FROM record WHERE seq > ? ORDER BY seq", (seq,))
        for row in rows:
            record = self._sealer.open(*row)
            if record is None:
                unreadable.append(row[0])
                continue
            total_bytes += len(record.payload)
            if records and total_bytes > max_bytes:
                break
            records.append(record)
            if len(records) == max_records:
                break
        rows.close()
        return records, unreadable

    def renumber(self, above: int, first_seq: int) -> tuple[int, int]:
        """Give the rows above a seq new numbers from ``first_seq`` on, in the same order.

        The new numbers may be some that other rows had until now: so the rows are sealed under a new salt. Answers the
        seq after the last given, and how many rows did not open and are gone.
        """
        execute = self._database.execute
        next_seq, unreadable = first_seq, 0
        # Out of the way: below zero nobody looks for them, and no new number is taken.
        execute("UPDATE record SET seq = -seq WHERE seq > ?", (above,))
        self._begin_opening()
        for (moved,) in execute("SELECT seq FROM record WHERE seq < 0 ORDER BY seq DESC").fetchall():
            _, *row = execute("SELECT * FROM record WHERE seq = ?", (moved,)).fetchone()
            record = self._sealer.open(-moved, *row)
            if record is None:
                unreadable += 1
            else:
                self.insert([replace(record, seq=next_seq)])
                next_seq += 1
            execute("DELETE FROM record WHERE seq = ?", (moved,))
        return next_seq, unreadable

    def measure(self, first: int, last: int) -> tuple[int, int, int]:
        """Records, their bytes and their readings from one seq to another."""
        records, stored_bytes, readings = self._database.execute(
            "SELECT count(*), total(length(sealed) + ?), total(readings) FROM record WHERE seq BETWEEN ? AND ?",
            (SEALED_OVERHEAD_BYTES, first, last),
        ).fetchone()
        return int(records), int(stored_bytes), int(readings)

    def find_oldest_s(self, above: int) -> float | None:
        """When the oldest record above a seq was put in, in the device's running time; None if there is none."""
        query = "SELECT held_s FROM record WHERE seq > ? ORDER BY seq LIMIT 1"
        row = self._database.execute(query, (above,)).fetchone()
        return float(row[0]) if row else None

    def find_highest(self) -> int:
        """The highest seq; 0 if there is no row."""
        return int(self._database.execute("SELECT coalesce(max(seq), 0) FROM record").fetchone()[0])

    def _begin_opening(self) -> None:
        """Seal under a new salt from now on."""
        salt = self._random.token_bytes(_SALT_BYTES)
        inserted = self._database.execute("INSERT INTO opening (salt) VALUES (?)", (salt,))
        self._opening = inserted.lastrowid or 0
        self._sealer.add_opening(self._opening, salt)
