"""Store and forward: a record is on the disk before it is sent, and leaves it only after the master's ACK.

The file belongs to one thread; the event loop never waits for the medium. Commits are batched by the caller
(:meth:`Buffer.commit`), so that an SD card sees one write per batch.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import StoreError
from group_protocol.identifiers import ObjectId
from group_protocol.limits import RECORD_SEQ_LIMIT
from group_protocol.ports import Clock, Random
from slave_client.buffer_file import BufferFile, Committed
from slave_client.buffered_record import BufferedRecord, BufferLimits, DropPolicy
from slave_client.errors import BufferFullError
from slave_client.guarded_buffer import GuardedBuffer
from slave_client.recent_records import RecentRecords
from slave_client.state_directory import StateDirectory

_UNCOMMITTED_MAX_BYTES = 1024 * 1024
"""Records in memory while the disk refuses; beyond it the policy says which are lost."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class BufferFill:
    """What the status shows. Bytes and seconds as their names say; counts are for the life of the file.

    Waiting records are ``records`` and ``uncommitted_records``; the ``kept`` ones are acknowledged and make room when
    it is needed.
    """

    records: int
    stored_bytes: int
    max_bytes: int
    uncommitted_records: int
    oldest_age_s: float | None
    max_age_s: float
    when_full: str
    kept_records: int
    kept_bytes: int
    next_seq: int
    dropped_records: int
    set_aside_records: int
    unreadable_records: int


@dataclass(frozen=True, slots=True)
class LostByMaster:
    """Records that the master had acknowledged and no longer holds: it was put back to an older state.

    Attributes:
        first_seq: The first of them.
        last_seq: The last.
        sent_again: So many of them are still here and are sent again; the others are lost.
    """

    first_seq: int
    last_seq: int
    sent_again: int


class Buffer:
    """The device's outgoing records. Make one with :meth:`open`.

    Attributes:
        lost_by_master: Found by the last :meth:`begin_sending` that found any.
        on_dropped: Called with the first and the last seq of records that are given up for want of room.
    """

    def __init__(
        self,
        directory: StateDirectory,
        storage_secret: bytes,
        *,
        limits: BufferLimits,
        clock: Clock,
        random: Random,
    ) -> None:
        self._directory = directory
        self._secret = storage_secret
        self._limits = limits
        self._clock = clock
        self._random = random
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="buffer")
        self._committing = asyncio.Lock()
        self._was_committed = asyncio.Event()
        self._uncommitted: deque[BufferedRecord] = deque()
        self._uncommitted_bytes = 0
        self._in_commit = 0  # records that are on their way to the disk, and no longer in the deque
        self._dropped_in_memory = 0
        self._recent = RecentRecords()
        self._committed_through = 0
        self._acknowledged_through = 0
        self._deleted_through = 0
        self._next_seq = 1
        self._is_sending = False
        self._held_at_open_s = 0.0
        self._opened_at_s = 0.0
        self.lost_by_master: LostByMaster | None = None
        self.on_dropped: Callable[[int, int], None] = _tell_nobody

    @classmethod
    async def open(
        cls,
        directory: StateDirectory,
        storage_secret: bytes,
        *,
        limits: BufferLimits,
        clock: Clock,
        random: Random,
    ) -> "Buffer":
        """Open the buffer in the (locked) state directory; a damaged file is renamed and a new one begun.

        Raises:
            StoreError: The medium refuses altogether.
        """
        buffer = cls(directory, storage_secret, limits=limits, clock=clock, random=random)
        try:
            await buffer._run(buffer._open_file)
        except BaseException:
            buffer._thread.shutdown(wait=False)
            raise
        return buffer

    async def close(self) -> None:
        """Commit what is left, if the medium lets us, and close the file."""
        with contextlib.suppress(StoreError):
            await self.commit()
        await self._run(self._guarded.file.close)
        self._thread.shutdown()

    async def prove_progress(self) -> None:
        """Return once the buffer's thread has made a step, behind whatever it is doing to the medium."""
        await self._run(lambda: None)

    def append(self, payload: bytes, receiver: ObjectId, *, readings: int = 1) -> int:
        """Number a record and keep it for the next commit. Answers its seq.

        Args:
            payload: What it says.
            receiver: To whom.
            readings: How many readings the payload holds, for the count of acknowledged ones.

        Raises:
            BufferFullError: No number is left (after 2^56 records).
        """
        seq = self._next_seq
        if seq >= RECORD_SEQ_LIMIT:
            raise BufferFullError(
                "the device has used up its record numbers",
                remedy="Rotate to a new device identity.",
                code=ErrorCode.RECORD_NUMBERS_USED_UP,
            )
        self._next_seq = seq + 1
        record = BufferedRecord(seq, receiver, payload, readings, self.held_now_s())
        waiting_bytes = self._uncommitted_bytes + record.stored_bytes
        if self._limits.when_full is DropPolicy.NEWEST and waiting_bytes > _UNCOMMITTED_MAX_BYTES:
            self._note_dropped_in_memory(seq)
            return seq
        self._uncommitted.append(record)
        self._uncommitted_bytes = waiting_bytes
        self._keep_memory_bounded()
        return seq

    def _keep_memory_bounded(self) -> None:
        """What is on its way to the disk is bounded too: it was as much at most when it set out."""
        while self._uncommitted_bytes > _UNCOMMITTED_MAX_BYTES:
            is_oldest_first = self._limits.when_full is DropPolicy.OLDEST
            record = self._uncommitted.popleft() if is_oldest_first else self._uncommitted.pop()
            self._uncommitted_bytes -= record.stored_bytes
            self._note_dropped_in_memory(record.seq)

    def _note_dropped_in_memory(self, seq: int) -> None:
        self._dropped_in_memory += 1
        self.on_dropped(seq, seq)

    async def commit(self) -> None:
        """Write what was appended and forget what was acknowledged, in one durable step.

        Raises:
            StoreError: The medium refuses; the records stay in memory and the next commit tries again.
        """
        # The thread does not stop halfway: who is cancelled must not leave us without what it did.
        await asyncio.shield(self._commit())

    async def _commit(self) -> None:
        async with self._committing:
            records = list(self._uncommitted)
            through = self._acknowledged_through
            if not records and through <= self._deleted_through:
                return
            done = await self._write(records, through)
            self._deleted_through = through
            kept = len(records) - done.refused
            for record in records[:kept]:
                if record.seq <= self._acknowledged_through:
                    self._recent.leave_out(record.seq)
                else:
                    self._recent.add(record)
            for record in records[kept:]:
                self._recent.leave_out(record.seq)
                self.on_dropped(record.seq, record.seq)
            if records:
                self._committed_through = records[-1].seq
            self._recent.forget_through(done.dropped_through)
            if done.dropped_through > through:
                self.on_dropped(through + 1, done.dropped_through)
            self._was_committed.set()

    async def _write(self, records: Sequence[BufferedRecord], through: int) -> Committed:
        """Into the file. Where the medium refuses, they are before all others again."""
        written_bytes, self._uncommitted_bytes = self._uncommitted_bytes, 0
        self._uncommitted.clear()
        self._in_commit = len(records)
        try:
            return await self._run(
                lambda: self._guarded.commit(records, through, self.held_now_s(), is_sending=self._is_sending)
            )
        except BaseException:
            self._uncommitted.extendleft(reversed(records))
            self._uncommitted_bytes += written_bytes
            self._keep_memory_bounded()
            raise
        finally:
            self._in_commit = 0

    @property
    def is_far_behind(self) -> bool:
        """Whether so much waits for the disk that the next records may have to be dropped."""
        return self._uncommitted_bytes > _UNCOMMITTED_MAX_BYTES // 2

    async def wait_for_commit(self) -> None:
        """Return after the next commit."""
        self._was_committed.clear()
        await self._was_committed.wait()

    async def read_after(self, seq: int, *, max_records: int, max_bytes: int) -> list[BufferedRecord]:
        """The oldest committed records above ``seq``: at least one if there is one, then up to both bounds.

        Raises StoreError.
        """
        if seq < self._recent.floor:
            return await self._on_file(lambda file: file.read_after(seq, max_records, max_bytes))
        return self._recent.read_after(seq, max_records, max_bytes)

    def acknowledge(self, through: int) -> None:
        """The master holds everything up to this seq, with evidence: the next commit notes it."""
        through = min(through, self.highest_committed)
        self._acknowledged_through = max(self._acknowledged_through, through)
        self._recent.forget_through(self._acknowledged_through)

    async def set_aside(self, seq: int, reason: int) -> None:
        """Take a refused record out of the way. Raises StoreError."""
        await self._on_file(lambda file: file.set_aside(seq, reason))
        self._recent.remove(seq)

    async def begin_sending(self, last_seq: int) -> int:
        """A session begins, the master's last seq is known: bring numbers and acknowledgements in line with it.

        If the master holds a record that this file never sent, then the file is older than what the master knows (lost
        and begun again, or put back from a backup). What was never sent is numbered anew above the master's last seq:
        it would take it for a repetition. What may have been sent keeps its number, so that nothing is stored twice.

        If the master lacks what it had acknowledged, then it was put back to an older state: see
        :attr:`lost_by_master`.

        Answers how many records have new numbers. Raises StoreError.
        """
        return await asyncio.shield(self._begin_sending(last_seq))

    async def _begin_sending(self, last_seq: int) -> int:
        async with self._committing:
            if last_seq < self._acknowledged_through:
                await self._take_back_acknowledgements(last_seq)
            renumbered = 0
            if last_seq > self._guarded.file.sent_through:
                renumbered = await self._renumber_unsent(last_seq)
            await self._on_file(lambda file: file.mark_sent(file.next_seq - 1))
            self._is_sending = True
        return renumbered

    async def _take_back_acknowledgements(self, last_seq: int) -> None:
        acknowledged = self._acknowledged_through
        await self._on_file(lambda file: file.commit([], acknowledged, self.held_now_s(), is_sending=False))
        again = await self._on_file(lambda file: file.take_back_acknowledgements(last_seq))
        self._acknowledged_through = self._deleted_through = last_seq
        self.lost_by_master = LostByMaster(last_seq + 1, acknowledged, again)

    async def _renumber_unsent(self, last_seq: int) -> int:
        renumbered = await self._run(lambda: self._guarded.renumber_unsent(last_seq + 1))
        self._next_seq = self._guarded.file.next_seq
        self._committed_through = self._next_seq - 1
        self._recent.begin_at(self._committed_through)
        waiting = list(self._uncommitted)
        self._uncommitted.clear()
        for record in waiting:
            self._uncommitted.append(replace(record, seq=self._next_seq))
            self._next_seq += 1
        return renumbered + len(waiting)

    async def count_acknowledged(self, last_seq: int) -> int:
        """Readings in records that the master holds, its newest ACK naming ``last_seq``; for the life of the file."""
        return await self._on_file(lambda file: file.count_acknowledged(last_seq))

    @property
    def damage(self) -> str:
        """What was found broken and set aside, in words; empty when all was well."""
        return self._guarded.damage

    @property
    def next_seq(self) -> int:
        """The number of the next record."""
        return self._next_seq

    @property
    def highest_committed(self) -> int:
        """The highest seq that is on the disk or was deleted from it; 0 before the first."""
        return self._committed_through

    def held_now_s(self) -> float:
        """The device's running time in seconds, over all its runs."""
        return self._held_at_open_s + self._clock.monotonic_s() - self._opened_at_s

    def fill(self) -> BufferFill:
        """The fill level and the losses so far."""
        counts = self._guarded.file.counts
        oldest_s = counts.oldest_held_s
        return BufferFill(
            records=counts.records,
            stored_bytes=counts.stored_bytes,
            max_bytes=self._limits.max_bytes,
            uncommitted_records=self._in_commit + len(self._uncommitted),
            oldest_age_s=None if oldest_s is None else max(0.0, self.held_now_s() - oldest_s),
            max_age_s=self._limits.max_age_s,
            when_full=self._limits.when_full.value,
            kept_records=counts.kept_records,
            kept_bytes=counts.kept_bytes,
            next_seq=self._next_seq,
            dropped_records=counts.dropped_records + self._dropped_in_memory,
            set_aside_records=counts.set_aside_records,
            unreadable_records=counts.unreadable_records,
        )

    def _open_file(self) -> None:
        self._guarded = GuardedBuffer(self._directory, self._secret, self._limits, self._random)
        file = self._guarded.file
        self._next_seq = file.next_seq
        self._committed_through = file.next_seq - 1
        self._recent.begin_at(self._committed_through)
        self._acknowledged_through = self._deleted_through = file.acknowledged_through
        self._held_at_open_s = file.held_s
        self._opened_at_s = self._clock.monotonic_s()

    async def _on_file(self, work: Callable[[BufferFile], _Result]) -> _Result:
        return await self._run(lambda: self._guarded.do(work))

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _tell_nobody(_first_seq: int, _last_seq: int) -> None:
    """Nobody waits for the records that are dropped."""
