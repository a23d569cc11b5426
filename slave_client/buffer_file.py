"""The buffer's file: which records it holds, which were sent and acknowledged, and the limits it keeps to. Blocking.

Only :mod:`slave_client.buffer` uses it, on one thread. What lies below: :mod:`slave_client.buffer_database`, and for
the sealed rows :mod:`slave_client.buffer_rows`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from group_protocol.errors import StoreError
from group_protocol.ports import Random
from slave_client.buffer_database import BufferDatabase
from slave_client.buffer_rows import SEALED_OVERHEAD_BYTES, BufferRows
from slave_client.buffered_record import BufferCounts, BufferedRecord, BufferLimits, DropPolicy

_SET_ASIDE_MAX = 1_000


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
        is_new: Nobody has said yet where its numbers begin: see :meth:`begin_numbers`.
        next_seq: Above every seq that was ever given here.
        sent_through: No record above this seq was ever sent. If the master holds one, then it comes from a later state
            of this device than the file is: the state directory was put back from a backup.
        acknowledged_through: The master acknowledged everything up to this seq, with evidence.
    """

    def __init__(self, path: Path, storage_secret: bytes, limits: BufferLimits, random: Random) -> None:
        self._limits = limits
        self._database = BufferDatabase(path)
        self.counts = BufferCounts()
        self.next_seq = 1
        self.sent_through = 0
        self.acknowledged_through = 0
        self.held_s = 0.0
        try:
            with self._database.border():
                self._rows = BufferRows(self._database, storage_secret, random)
                self._load_counts()
        except StoreError:
            self._database.close()
            raise

    def begin_numbers(self, next_seq: int, *, was_sent: bool) -> None:
        """Say where a new file's numbers begin, and whether those below them count as given and sent."""
        next_seq = max(next_seq, self.next_seq)
        sent_through = next_seq - 1 if was_sent else 0
        with self._database.transaction():
            self._set_counters({"next_seq": next_seq, "sent": sent_through})
        self.next_seq, self.sent_through = next_seq, sent_through

    def mark_sent(self, through: int) -> None:
        """Note durably that records up to this seq may have been sent."""
        if through > self.sent_through:
            with self._database.border():
                self._set_counters({"sent": through})
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
        with self._database.transaction():
            self._note_acknowledged(acknowledged, counts)
            accepted = self._accepted(records, acknowledged, counts, now_held_s)
            self._rows.insert(accepted)
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
            counts.oldest_held_s = self._rows.find_oldest_s(acknowledged)
        self.next_seq, self.sent_through, self.acknowledged_through = next_seq, sent_through, acknowledged
        self.held_s = now_held_s
        self.counts = counts
        return Committed(dropped_through, len(records) - len(accepted))

    def restore(self, records: Sequence[BufferedRecord]) -> int:
        """Take in records of an older file under their own numbers, as may have been sent. Answers how many."""
        highest = max(record.seq for record in records)
        with self._database.transaction():
            self._rows.insert(records)
            next_seq, sent_through = max(self.next_seq, highest + 1), max(self.sent_through, highest)
            self._set_counters({"next_seq": next_seq, "sent": sent_through})
        with self._database.border():
            self._load_counts()
        return len(records)

    def take_back_acknowledgements(self, last_seq: int) -> int:
        """The master holds nothing above this seq any more: what is still here waits again. Answers how many."""
        counts = replace(self.counts)
        with self._database.transaction():
            records, stored_bytes, readings = self._rows.measure(last_seq + 1, self.acknowledged_through)
            counts.records += records
            counts.kept_records -= records
            counts.stored_bytes += stored_bytes
            counts.kept_bytes -= stored_bytes
            counts.acknowledged_readings -= readings
            self._set_counters({"acknowledged_through": last_seq, "acknowledged": counts.acknowledged_readings})
            counts.oldest_held_s = self._rows.find_oldest_s(last_seq)
        self.counts, self.acknowledged_through = counts, last_seq
        return records

    def read_after(self, seq: int, max_records: int, max_bytes: int) -> list[BufferedRecord]:
        """The oldest records above ``seq``, in order, at least one if there is one.

        Rows that do not open are removed and counted.
        """
        with self._database.border():
            records, unreadable = self._rows.read_after(seq, max_records, max_bytes)
        if unreadable:
            self._remove_unreadable(unreadable)
        return records

    def renumber_unsent(self, first_seq: int) -> int:
        """Give the rows that were never sent new numbers from this one on, in the same order, in one durable step.

        The new numbers may be some that other rows had until now: so the rows are sealed under a new salt. Answers how
        many there were.
        """
        with self._database.transaction():
            next_seq, unreadable = self._rows.renumber(self.sent_through, first_seq)
            unreadable += self.counts.unreadable_records
            self._set_counters({"next_seq": next_seq, "sent": next_seq - 1, "unreadable": unreadable})
        with self._database.border():
            self._load_counts()
        return next_seq - first_seq

    def count_acknowledged(self, last_seq: int) -> int:
        """Readings that the master holds: those with evidence, and those up to ``last_seq`` that wait for theirs."""
        with self._database.border():
            return self.counts.acknowledged_readings + self._rows.measure(self.acknowledged_through + 1, last_seq)[2]

    def set_aside(self, seq: int, reason: int) -> None:
        """Take a refused record out of the way, with the reason.

        The newest thousand are kept for whoever looks into it.
        """
        counts = replace(self.counts)
        with self._database.transaction():
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
        self.counts = counts

    def _load_counts(self) -> None:
        counters = dict(self._database.execute("SELECT name, value FROM counter").fetchall())
        self.is_new = not counters
        highest = self._rows.find_highest()
        self.next_seq = max(int(counters.get("next_seq", 1)), highest + 1)
        self.sent_through = int(counters.get("sent", self.next_seq - 1))
        self.acknowledged_through = acknowledged = int(counters.get("acknowledged_through", 0))
        self.held_s = float(counters.get("held_s", 0.0))
        kept_records, kept_bytes, _ = self._rows.measure(0, acknowledged)
        records, stored_bytes, _ = self._rows.measure(acknowledged + 1, highest)
        self.counts = BufferCounts(
            records=records,
            stored_bytes=stored_bytes,
            kept_records=kept_records,
            kept_bytes=kept_bytes,
            dropped_records=int(counters.get("dropped", 0)),
            set_aside_records=int(counters.get("set_aside", 0)),
            unreadable_records=int(counters.get("unreadable", 0)),
            acknowledged_readings=int(counters.get("acknowledged", 0)),
            oldest_held_s=self._rows.find_oldest_s(acknowledged),
        )

    def _delete(self, first: int, last: int, counts: BufferCounts, *, acknowledged: int) -> int:
        """Delete the rows from one seq to another and keep the counts right; answers how many of them waited."""
        kept, kept_bytes, _ = self._rows.measure(first, min(last, acknowledged))
        records, stored_bytes, _ = self._rows.measure(max(first, acknowledged + 1), last)
        self._database.execute("DELETE FROM record WHERE seq BETWEEN ? AND ?", (first, last))
        counts.records, counts.stored_bytes = counts.records - records, counts.stored_bytes - stored_bytes
        counts.kept_records, counts.kept_bytes = counts.kept_records - kept, counts.kept_bytes - kept_bytes
        return records

    def _note_acknowledged(self, acknowledged: int, counts: BufferCounts) -> None:
        """What waited up to this seq is kept from now on, or forgotten at once."""
        if acknowledged == self.acknowledged_through:
            return
        records, stored_bytes, readings = self._rows.measure(self.acknowledged_through + 1, acknowledged)
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
        oldest_s = self._rows.find_oldest_s(acknowledged)
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
            excess_bytes -= length + SEALED_OVERHEAD_BYTES
            last_dropped = seq
        rows.close()
        if last_dropped:
            counts.dropped_records += self._delete(0, last_dropped, counts, acknowledged=acknowledged)
        return last_dropped

    def _remove_unreadable(self, seqs: Sequence[int]) -> None:
        counts = replace(self.counts)
        with self._database.transaction():
            for seq in seqs:
                self._delete(seq, seq, counts, acknowledged=self.acknowledged_through)
            counts.unreadable_records += len(seqs)
            counts.oldest_held_s = self._rows.find_oldest_s(self.acknowledged_through)
            self._set_counters({"unreadable": counts.unreadable_records})
        self.counts = counts

    def _set_counters(self, counters: dict[str, float]) -> None:
        self._database.executemany("INSERT OR REPLACE INTO counter VALUES (?, ?)", counters.items())
