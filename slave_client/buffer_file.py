"""The buffer's file: SQLite in WAL mode, every row sealed, blocking.

Only :mod:`slave_client.buffer` uses it, on one thread.
"""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from group_protocol.crypto.aead import TAG_BYTES
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import StoreError
from group_protocol.ports import Random
from slave_client.buffered_record import (
    ROW_OVERHEAD_BYTES,
    BufferCounts,
    BufferedRecord,
    BufferLimits,
    DropPolicy,
    RowSealer,
)

_APPLICATION_ID = 0x76675342  # "vgSB"
_SCHEMA_VERSION = 1
_SALT_BYTES = 16
_SEALED_OVERHEAD_BYTES = ROW_OVERHEAD_BYTES - TAG_BYTES
_SET_ASIDE_MAX = 1_000
# SQLite says that memory ran out where a damaged schema makes it ask for a huge piece: the kept corpus has such a file.
UNREADABLE = (sqlite3.Error, ValueError, TypeError, OverflowError, MemoryError)
"""What reading a damaged file raises: SQLite's own errors, and those of texts and numbers that are none."""
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

    default_code = ErrorCode.BUFFER_DAMAGED


@dataclass(frozen=True, slots=True)
class Committed:
    """What the limits took in a commit.

    Attributes:
        dropped_through: Rows up to this seq are gone; 0 if none were dropped.
        refused: So many of the new records, counted from their end, were not taken in.
    """

    dropped_through: int
    refused: int


class BufferFile:
    """One open file.

    Every method raises StoreError when the medium refuses and BufferDamagedError when the file is broken.

    Attributes:
        next_seq: Above every seq that was ever given here.
        sent_through: No record above this seq was ever sent. If the master holds one, then it comes from a later state
            of this device than the file is: the state directory was put back from a backup.
        acknowledged_through: The master acknowledged everything up to this seq, with evidence.
    """

    def __init__(self, path: Path, storage_secret: bytes, limits: BufferLimits, random: Random) -> None:
        self._limits = limits
        self._random = random
        self._sealer = RowSealer(storage_secret)
        _touch_private(path)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        self.counts = BufferCounts()
        self._opening = 0
        self.next_seq = 1
        self.sent_through = 0
        self.acknowledged_through = 0
        self.held_s = 0.0
        try:
            self.is_new = self._prepare()
        except UNREADABLE as exc:
            self._database.close()
            raise _translate(exc, path) from exc
        except StoreError:
            self._database.close()
            raise
        self._path = path

    def begin_numbers(self, next_seq: int, *, was_sent: bool) -> None:
        """Say where a new file's numbers begin, and whether those below them count as given and sent."""
        self.next_seq = next_seq
        self.sent_through = next_seq - 1 if was_sent else 0
        try:
            self._set_counters({"next_seq": next_seq, "sent": self.sent_through})
        except sqlite3.Error as exc:
            raise _translate(exc, self._path) from exc

    def mark_sent(self, through: int) -> None:
        """Note durably that records up to this seq may have been sent."""
        if through > self.sent_through:
            try:
                self._set_counters({"sent": through})
            except sqlite3.Error as exc:
                raise _translate(exc, self._path) from exc
            self.sent_through = through

    def close(self) -> None:
        """Fold the WAL into the file and close it."""
        self._database.close()

    def commit(
        self, records: Sequence[BufferedRecord], acknowledged_through: int, now_held_s: float, *, is_sending: bool
    ) -> Committed:
        """Add records, note what was acknowledged, keep to the limits: all in one durable step.

        Args:
            records: New ones, in order.
            acknowledged_through: By the master, with evidence.
            now_held_s: The device's running time.
            is_sending: Whether the new records may be sent at once.
        """
        counts = replace(self.counts)
        acknowledged = max(self.acknowledged_through, acknowledged_through)
        next_seq = max(self.next_seq, records[-1].seq + 1 if records else 0)
        sent_through = next_seq - 1 if is_sending else self.sent_through
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._note_acknowledged(acknowledged, counts)
            accepted = self._accepted(records, acknowledged, counts, now_held_s)
            self._insert(accepted)
            counts.records += len(accepted)
            counts.stored_bytes += sum(r.stored_bytes for r in accepted)
            counts.dropped_records += len(records) - len(accepted)
            dropped_through = self._keep_to_limits(acknowledged, counts, now_held_s)
            self._set_counters(
                {
                    "next_seq": next_seq,
                    "sent": sent_through,
                    "held_s": now_held_s,
                    "dropped": counts.dropped_records,
                    "acknowledged": counts.acknowledged_readings,
                    "acknowledged_through": acknowledged,
                }
            )
            counts.oldest_held_s = self._find_oldest(acknowledged)
            self._database.execute("COMMIT")
        except sqlite3.Error as exc:
            self._rollback()
            raise _translate(exc, self._path) from exc
        self.next_seq, self.sent_through, self.acknowledged_through = next_seq, sent_through, acknowledged
        self.held_s = now_held_s
        self.counts = counts
        return Committed(dropped_through, len(records) - len(accepted))

    def restore(self, records: Sequence[BufferedRecord]) -> int:
        """Take in records of an older file under their own numbers, as may have been sent. Answers how many."""
        highest = max(record.seq for record in records)
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._insert(records)
            next_seq, sent_through = max(self.next_seq, highest + 1), max(self.sent_through, highest)
            self._set_counters({"next_seq": next_seq, "sent": sent_through})
            self._database.execute("COMMIT")
            self._load_counts()
        except sqlite3.Error as exc:
            self._rollback()
            raise _translate(exc, self._path) from exc
        return len(records)

    def take_back_acknowledgements(self, last_seq: int) -> int:
        """The master holds nothing above this seq any more: what is still here waits again. Answers how many."""
        counts = replace(self.counts)
        try:
            self._database.execute("BEGIN IMMEDIATE")
            records, stored_bytes, readings = self._measure(last_seq + 1, self.acknowledged_through)
            counts.records += records
            counts.kept_records -= records
            counts.stored_bytes += stored_bytes
            counts.kept_bytes -= stored_bytes
            counts.acknowledged_readings -= readings
            self._set_counters({"acknowledged_through": last_seq, "acknowledged": counts.acknowledged_readings})
            counts.oldest_held_s = self._find_oldest(last_seq)
            self._database.execute("COMMIT")
        except sqlite3.Error as exc:
            self._rollback()
            raise _translate(exc, self._path) from exc
        self.counts, self.acknowledged_through = counts, last_seq
        return records

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
        except UNREADABLE as exc:
            raise _translate(exc, self._path) from exc
        return records

    def renumber_unsent(self, first_seq: int) -> int:
        """Give the rows that were never sent new numbers from this one on, in the same order, in one durable step.

        The new numbers may be some that other rows had until now: so the rows are sealed under a new salt. Answers how
        many there were.
        """
        next_seq = first_seq
        execute = self._database.execute
        before = self._opening
        try:
            execute("BEGIN IMMEDIATE")
            # Out of the way: below zero nobody looks for them, and no new number is taken.
            execute("UPDATE record SET seq = -seq WHERE seq > ?", (self.sent_through,))
            self._begin_opening()
            for (moved,) in execute("SELECT seq FROM record WHERE seq < 0 ORDER BY seq DESC").fetchall():
                _, *row = execute("SELECT * FROM record WHERE seq = ?", (moved,)).fetchone()
                record = self._sealer.open(-moved, *row)
                if record is not None:
                    self._insert([replace(record, seq=next_seq)])
                    next_seq += 1
                execute("DELETE FROM record WHERE seq = ?", (moved,))
            self._set_counters({"next_seq": next_seq, "sent": next_seq - 1})
            execute("COMMIT")
            self._load_counts()
        except sqlite3.Error as exc:
            self._rollback()
            self._opening = before
            raise _translate(exc, self._path) from exc
        return next_seq - first_seq

    def count_acknowledged(self, last_seq: int) -> int:
        """Readings that the master holds: those with evidence, and those up to ``last_seq`` that wait for theirs."""
        try:
            return self.counts.acknowledged_readings + self._measure(self.acknowledged_through + 1, last_seq)[2]
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
            counts.set_aside_records += self._delete(seq, seq, counts, acknowledged=self.acknowledged_through)
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

    def _prepare(self) -> bool:
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
        self._load_keys()
        self._load_counts()
        return is_new

    def _load_keys(self) -> None:
        execute = self._database.execute
        execute("DELETE FROM opening WHERE id NOT IN (SELECT opening FROM record UNION SELECT opening FROM set_aside)")
        for opening, salt in execute("SELECT id, salt FROM opening").fetchall():
            self._sealer.add_opening(opening, salt)
        self._begin_opening()

    def _begin_opening(self) -> None:
        """Seal under a new salt from now on."""
        salt = self._random.token_bytes(_SALT_BYTES)
        inserted = self._database.execute("INSERT INTO opening (salt) VALUES (?)", (salt,))
        self._opening = inserted.lastrowid or 0
        self._sealer.add_opening(self._opening, salt)

    def _load_counts(self) -> None:
        counters = dict(self._database.execute("SELECT name, value FROM counter").fetchall())
        highest = self._database.execute("SELECT coalesce(max(seq), 0) FROM record").fetchone()[0]
        self.next_seq = max(int(counters.get("next_seq", 1)), highest + 1)
        self.sent_through = int(counters.get("sent", self.next_seq - 1))
        self.acknowledged_through = acknowledged = int(counters.get("acknowledged_through", 0))
        self.held_s = float(counters.get("held_s", 0.0))
        kept_records, kept_bytes, _ = self._measure(0, acknowledged)
        records, stored_bytes, _ = self._measure(acknowledged + 1, highest)
        self.counts = BufferCounts(
            records=records,
            stored_bytes=stored_bytes,
            kept_records=kept_records,
            kept_bytes=kept_bytes,
            dropped_records=int(counters.get("dropped", 0)),
            set_aside_records=int(counters.get("set_aside", 0)),
            unreadable_records=int(counters.get("unreadable", 0)),
            acknowledged_readings=int(counters.get("acknowledged", 0)),
            oldest_held_s=self._find_oldest(acknowledged),
        )

    def _insert(self, records: Iterable[BufferedRecord]) -> None:
        rows = ((r.seq, self._opening, r.held_s, r.readings, self._sealer.seal(self._opening, r)) for r in records)
        self._database.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", rows)

    def _find_oldest(self, acknowledged: int) -> float | None:
        query = "SELECT held_s FROM record WHERE seq > ? ORDER BY seq LIMIT 1"
        row = self._database.execute(query, (acknowledged,)).fetchone()
        return float(row[0]) if row else None

    def _measure(self, first: int, last: int) -> tuple[int, int, int]:
        """Records, their bytes and their readings from one seq to another."""
        records, stored_bytes, readings = self._database.execute(
            "SELECT count(*), total(length(sealed) + ?), total(readings) FROM record WHERE seq BETWEEN ? AND ?",
            (_SEALED_OVERHEAD_BYTES, first, last),
        ).fetchone()
        return int(records), int(stored_bytes), int(readings)

    def _delete(self, first: int, last: int, counts: BufferCounts, *, acknowledged: int) -> int:
        """Delete the rows from one seq to another and keep the counts right; answers how many of them waited."""
        kept, kept_bytes, _ = self._measure(first, min(last, acknowledged))
        records, stored_bytes, _ = self._measure(max(first, acknowledged + 1), last)
        self._database.execute("DELETE FROM record WHERE seq BETWEEN ? AND ?", (first, last))
        counts.records, counts.stored_bytes = counts.records - records, counts.stored_bytes - stored_bytes
        counts.kept_records, counts.kept_bytes = counts.kept_records - kept, counts.kept_bytes - kept_bytes
        return records

    def _note_acknowledged(self, acknowledged: int, counts: BufferCounts) -> None:
        """What waited up to this seq is kept from now on, or forgotten at once."""
        if acknowledged == self.acknowledged_through:
            return
        records, stored_bytes, readings = self._measure(self.acknowledged_through + 1, acknowledged)
        counts.acknowledged_readings += readings
        counts.records, counts.stored_bytes = counts.records - records, counts.stored_bytes - stored_bytes
        counts.kept_records, counts.kept_bytes = counts.kept_records + records, counts.kept_bytes + stored_bytes
        if not self._limits.keep_acknowledged_s:
            self._delete(0, acknowledged, counts, acknowledged=acknowledged)

    def _accepted(
        self, records: Sequence[BufferedRecord], acknowledged: int, counts: BufferCounts, now_held_s: float
    ) -> Sequence[BufferedRecord]:
        """Which of the new records are taken in, under the policy that refuses the newest: the first that fit."""
        limits = self._limits
        if limits.when_full is DropPolicy.OLDEST:
            return records
        oldest_s = self._find_oldest(acknowledged)
        if oldest_s is not None and oldest_s < now_held_s - limits.max_age_s:
            return ()
        room_bytes = limits.max_bytes - counts.stored_bytes
        for index, record in enumerate(records):
            room_bytes -= record.stored_bytes
            if room_bytes < 0:
                return records[:index]
        return records

    def _keep_to_limits(self, acknowledged: int, counts: BufferCounts, now_held_s: float) -> int:
        """Delete from the oldest on what is beyond the limits: first what is kept, then, by policy, what waits."""
        limits = self._limits
        excess_bytes = counts.stored_bytes + counts.kept_bytes - limits.max_bytes
        kept_since_s = now_held_s - min(limits.keep_acknowledged_s, limits.max_age_s)
        waits_since_s = now_held_s - limits.max_age_s
        last_dropped = 0
        rows = self._database.execute("SELECT seq, held_s, length(sealed) FROM record ORDER BY seq")
        for seq, held_s, length in rows:
            is_kept = seq <= acknowledged
            if not is_kept and limits.when_full is DropPolicy.NEWEST:
                break
            if excess_bytes <= 0 and held_s >= (kept_since_s if is_kept else waits_since_s):
                break
            excess_bytes -= length + _SEALED_OVERHEAD_BYTES
            last_dropped = seq
        rows.close()
        if last_dropped:
            counts.dropped_records += self._delete(0, last_dropped, counts, acknowledged=acknowledged)
        return last_dropped

    def _remove_unreadable(self, seqs: Iterable[int]) -> None:
        for seq in seqs:
            self._delete(seq, seq, self.counts, acknowledged=self.acknowledged_through)
            self.counts.unreadable_records += 1
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
        raise StoreError(
            f"cannot open {path}: {exc.strerror}",
            remedy="Free some space or mend the medium.",
            code=ErrorCode.DISK_REFUSES,
        ) from exc


def _translate(error: Exception, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGE_CODES or not isinstance(error, sqlite3.Error):
        return BufferDamagedError(f"{path} is damaged: {error}")
    return StoreError(
        f"{path} cannot be used: {error}",
        remedy="Free some space or mend the medium; records wait in memory meanwhile.",
        code=ErrorCode.DISK_REFUSES,
    )
