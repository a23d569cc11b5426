"""The buffer's file: SQLite in WAL mode, every row sealed, blocking.

Only :mod:`slave_client.buffer` uses it, on one thread.
"""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from group_protocol.crypto.aead import TAG_BYTES
from group_protocol.errors import StoreError
from group_protocol.ports import Random
from slave_client.buffered_record import ROW_OVERHEAD_BYTES, BufferCounts, BufferedRecord, BufferLimits, RowSealer

_APPLICATION_ID = 0x76675342  # "vgSB"
_SCHEMA_VERSION = 1
_SALT_BYTES = 16
_SEALED_OVERHEAD_BYTES = ROW_OVERHEAD_BYTES - TAG_BYTES
_SET_ASIDE_MAX = 1_000
_DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
_SCHEMA = """
CREATE TABLE opening (id INTEGER PRIMARY KEY, salt BLOB NOT NULL);
CREATE TABLE record
 (seq INTEGER PRIMARY KEY, opening INTEGER NOT NULL, held_s REAL NOT NULL, readings INTEGER NOT NULL,
  sealed BLOB NOT NULL);
CREATE TABLE set_aside
 (seq INTEGER PRIMARY KEY, opening INTEGER NOT NULL, reason INTEGER NOT NULL, sealed BLOB NOT NULL);
CREATE TABLE counter (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
"""


class BufferDamagedError(StoreError):
    """The file is no buffer of ours any more."""


class BufferFile:
    """One open file.

    Every method raises StoreError when the medium refuses and BufferDamagedError when the file is broken.
    """

    def __init__(self, path: Path, storage_secret: bytes, limits: BufferLimits, random: Random) -> None:
        self._limits = limits
        self._sealer = RowSealer(storage_secret)
        _touch_private(path)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        self.counts = BufferCounts()
        self.next_seq = 1
        self.is_provisional = False
        self.held_s = 0.0
        try:
            self.is_new = self._prepare(random)
        except sqlite3.Error as exc:
            self._database.close()
            raise _translate(exc, path) from exc
        except StoreError:
            self._database.close()
            raise
        self._path = path

    def begin_numbers(self, next_seq: int, *, is_provisional: bool) -> None:
        """Say where a new file's numbers begin, and whether the master may know higher ones."""
        self.next_seq = next_seq
        self.is_provisional = is_provisional
        try:
            self._set_counters({"next_seq": next_seq, "provisional": int(is_provisional)})
        except sqlite3.Error as exc:
            raise _translate(exc, self._path) from exc

    def close(self) -> None:
        """Fold the WAL into the file and close it."""
        self._database.close()

    def commit(self, records: Sequence[BufferedRecord], acknowledged_through: int, now_held_s: float) -> None:
        """Add records, forget acknowledged ones, drop what is beyond the limits: all in one durable step."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._insert(records)
            counts = replace(self.counts)
            counts.records += len(records)
            counts.stored_bytes += sum(r.stored_bytes for r in records)
            counts.acknowledged_readings += self._count_readings(acknowledged_through)
            self._delete(0, acknowledged_through, counts)
            self._drop_beyond_limits(counts, now_held_s)
            next_seq = max(self.next_seq, records[-1].seq + 1 if records else 0)
            self._set_counters(
                {
                    "next_seq": next_seq,
                    "held_s": now_held_s,
                    "dropped": counts.dropped_records,
                    "acknowledged": counts.acknowledged_readings,
                }
            )
            counts.oldest_held_s = self._find_oldest()
            self._database.execute("COMMIT")
        except sqlite3.Error as exc:
            self._rollback()
            raise _translate(exc, self._path) from exc
        self.next_seq = next_seq
        self.held_s = now_held_s
        self.counts = counts

    def read_after(self, seq: int, max_records: int, max_bytes: int) -> list[BufferedRecord]:
        """The oldest records above ``seq``, in order, at least one if there is one.

        Rows that do not open are removed and counted.
        """
        records: list[BufferedRecord] = []
        unreadable: list[int] = []
        total_bytes = 0
        try:
            rows = self._database.execute("SELECT * FROM record WHERE seq > ? ORDER BY seq LIMIT ?", (seq, max_records))
            for row in rows:
                record = self._sealer.open(*row)
                if record is None:
                    unreadable.append(row[0])
                    continue
                total_bytes += len(record.payload)
                if records and total_bytes > max_bytes:
                    break
                records.append(record)
            rows.close()
            self._remove_unreadable(unreadable)
        except sqlite3.Error as exc:
            raise _translate(exc, self._path) from exc
        return records

    def renumber_from(self, first_seq: int) -> int:
        """Give every row a new seq in the same order, from one above all, in one durable step. Answers how many."""
        next_seq = first_seq
        try:
            self._database.execute("BEGIN IMMEDIATE")
            for (seq,) in self._database.execute("SELECT seq FROM record ORDER BY seq").fetchall():
                row = self._database.execute("SELECT * FROM record WHERE seq = ?", (seq,)).fetchone()
                record = self._sealer.open(*row)
                if record is not None:
                    record = replace(record, seq=next_seq)
                    self._insert([record])
                    next_seq += 1
                self._database.execute("DELETE FROM record WHERE seq = ?", (seq,))
            self._set_counters({"next_seq": next_seq, "provisional": 0})
            self._database.execute("COMMIT")
            self._load_counts()
        except sqlite3.Error as exc:
            self._rollback()
            raise _translate(exc, self._path) from exc
        return next_seq - first_seq

    def count_acknowledged(self, last_seq: int) -> int:
        """Readings that the master holds: those forgotten after its ACK, and those up to ``last_seq`` still here."""
        try:
            return self.counts.acknowledged_readings + self._count_readings(last_seq)
        except sqlite3.Error as exc:
            raise _translate(exc, self._path) from exc

    def set_aside(self, seq: int, reason: int) -> None:
        """Take a refused record out of the way, with the reason.

        The newest thousand are kept for whoever looks into it.
        """
        counts = replace(self.counts)
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute(
                "INSERT OR REPLACE INTO set_aside SELECT seq, opening, ?, sealed FROM record WHERE seq = ?",
                (reason, seq),
            )
            counts.set_aside_records += self._delete(seq, seq, counts)
            self._database.execute(
                "DELETE FROM set_aside WHERE seq NOT IN (SELECT seq FROM set_aside ORDER BY seq DESC LIMIT ?)",
                (_SET_ASIDE_MAX,),
            )
            self._set_counters({"set_aside": counts.set_aside_records})
            self._database.execute("COMMIT")
        except sqlite3.Error as exc:
            self._rollback()
            raise _translate(exc, self._path) from exc
        self.counts = counts

    def _prepare(self, random: Random) -> bool:
        """Bring the file into use; answers whether it is new."""
        execute = self._database.execute
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")  # what was sent must survive a power cut, or its seq would be used again
        execute("PRAGMA journal_size_limit = 4194304")
        execute("PRAGMA cache_size = -512")  # KiB
        is_new = execute("SELECT 1 FROM sqlite_master").fetchone() is None
        if is_new:
            mark = f"PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {_SCHEMA_VERSION};"
            self._database.executescript(f"BEGIN; {_SCHEMA} {mark} COMMIT;")
        found = (execute("PRAGMA application_id").fetchone()[0], execute("PRAGMA user_version").fetchone()[0])
        if found != (_APPLICATION_ID, _SCHEMA_VERSION) or execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise BufferDamagedError("the buffer's file is damaged")
        self._load_keys(random)
        self._load_counts()
        return is_new

    def _load_keys(self, random: Random) -> None:
        execute = self._database.execute
        execute("DELETE FROM opening WHERE id NOT IN (SELECT opening FROM record UNION SELECT opening FROM set_aside)")
        for opening, salt in execute("SELECT id, salt FROM opening").fetchall():
            self._sealer.add_opening(opening, salt)
        salt = random.token_bytes(_SALT_BYTES)
        self._opening = int(execute("INSERT INTO opening (salt) VALUES (?)", (salt,)).lastrowid or 0)
        self._sealer.add_opening(self._opening, salt)

    def _load_counts(self) -> None:
        counters = dict(self._database.execute("SELECT name, value FROM counter").fetchall())
        records, stored_bytes, highest = self._database.execute(
            "SELECT count(*), total(length(sealed) + ?), coalesce(max(seq), 0) FROM record", (_SEALED_OVERHEAD_BYTES,)
        ).fetchone()
        self.counts = BufferCounts(
            records=records,
            stored_bytes=int(stored_bytes),
            dropped_records=int(counters.get("dropped", 0)),
            set_aside_records=int(counters.get("set_aside", 0)),
            unreadable_records=int(counters.get("unreadable", 0)),
            acknowledged_readings=int(counters.get("acknowledged", 0)),
            oldest_held_s=self._find_oldest(),
        )
        self.next_seq = max(int(counters.get("next_seq", 1)), highest + 1)
        self.is_provisional = bool(counters.get("provisional", 0))
        self.held_s = float(counters.get("held_s", 0.0))

    def _insert(self, records: Iterable[BufferedRecord]) -> None:
        rows = ((r.seq, self._opening, r.held_s, r.readings, self._sealer.seal(self._opening, r)) for r in records)
        self._database.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", rows)

    def _find_oldest(self) -> float | None:
        row = self._database.execute("SELECT held_s FROM record ORDER BY seq LIMIT 1").fetchone()
        return float(row[0]) if row else None

    def _delete(self, first: int, last: int, counts: BufferCounts) -> int:
        """Delete the rows from one seq to another and keep the counts right; answers how many there were."""
        records, stored_bytes = self._database.execute(
            "SELECT count(*), total(length(sealed) + ?) FROM record WHERE seq BETWEEN ? AND ?",
            (_SEALED_OVERHEAD_BYTES, first, last),
        ).fetchone()
        if records:
            self._database.execute("DELETE FROM record WHERE seq BETWEEN ? AND ?", (first, last))
            counts.records -= records
            counts.stored_bytes -= int(stored_bytes)
        return int(records)

    def _drop_beyond_limits(self, counts: BufferCounts, now_held_s: float) -> None:
        excess_bytes = counts.stored_bytes - self._limits.max_bytes
        oldest_allowed_s = now_held_s - self._limits.max_age_s
        last_dropped = 0
        rows = self._database.execute("SELECT seq, held_s, length(sealed) FROM record ORDER BY seq")
        for seq, held_s, length in rows:
            if excess_bytes <= 0 and held_s >= oldest_allowed_s:
                break
            excess_bytes -= length + _SEALED_OVERHEAD_BYTES
            last_dropped = seq
        rows.close()
        if last_dropped:
            counts.dropped_records += self._delete(0, last_dropped, counts)

    def _count_readings(self, last_seq: int) -> int:
        row = self._database.execute("SELECT total(readings) FROM record WHERE seq <= ?", (last_seq,)).fetchone()
        return int(row[0])

    def _remove_unreadable(self, seqs: Iterable[int]) -> None:
        for seq in seqs:
            self.counts.unreadable_records += self._delete(seq, seq, self.counts)
            self._set_counters({"unreadable": self.counts.unreadable_records})

    def _set_counters(self, counters: dict[str, float]) -> None:
        self._database.executemany("INSERT OR REPLACE INTO counter VALUES (?, ?)", counters.items())

    def _rollback(self) -> None:
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")


def _touch_private(path: Path) -> None:
    """Make the file with mode 0600 before SQLite does; SQLite gives its WAL the same mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
    except OSError as exc:
        raise StoreError(f"cannot open {path}: {exc.strerror}", remedy="Free some space or mend the medium.") from exc


def _translate(error: sqlite3.Error, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGE_CODES:
        return BufferDamagedError(f"{path} is damaged: {error}")
    return StoreError(
        f"{path} cannot be used: {error}",
        remedy="Free some space or mend the medium; records wait in memory meanwhile.",
    )
