"""The buffer's file with what stands around it: numbers that outlive it, and a way on when it is damaged. Blocking."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from group_protocol.ports import Random
from slave_client.buffer_database import BufferDamagedError
from slave_client.buffer_file import BufferFile, Committed
from slave_client.buffer_mending import finish_mending, mend
from slave_client.buffered_record import BufferedRecord, BufferLimits
from slave_client.sequence import SequenceReservation
from slave_client.state_directory import StateDirectory

_FILE = "buffer.db"

_Result = TypeVar("_Result")


class GuardedBuffer:
    """One open buffer file that is replaced when it turns out to be damaged.

    The damaged file is renamed, never overwritten; what can still be read of it moves into the new one under the same
    numbers. Use it on one thread.

    Attributes:
        damage: What was found broken and set aside, in words; empty when all was well.
    """

    def __init__(self, directory: StateDirectory, storage_secret: bytes, limits: BufferLimits, random: Random) -> None:
        self._secret = storage_secret
        self._limits = limits
        self._random = random
        self._path = directory.path / _FILE
        self._sequence = SequenceReservation(directory)
        self._damaged_numbers: int | None = None
        self.damage = finish_mending(self._path)
        try:
            self.file = self._open(self._path)
            if self.file.is_new:
                self.file.begin_numbers(self._sequence.first_unreserved, was_sent=self._sequence.is_known)
        except BufferDamagedError as exc:
            self._mend(f"{exc}; ", self._sequence.first_unreserved, was_sent=self._sequence.is_known)

    def do(self, work: Callable[[BufferFile], _Result]) -> _Result:
        """Work on the file; if it turns out to be damaged, on the one that takes its place. Raises StoreError."""
        if self._damaged_numbers is not None:
            self._mend(self.damage, self._damaged_numbers, was_sent=True)
        try:
            return work(self.file)
        except BufferDamagedError as exc:
            next_seq = self.file.next_seq
            self.file.close()
            self._mend(f"{exc}; ", next_seq, was_sent=True)
            return work(self.file)

    def commit(
        self, records: Sequence[BufferedRecord], acknowledged_through: int, now_held_s: float, *, is_sending: bool
    ) -> Committed:
        """See :meth:`BufferFile.commit`; the numbers are reserved before."""
        if records:
            self._sequence.cover(records[-1].seq)
        return self.do(lambda file: file.commit(records, acknowledged_through, now_held_s, is_sending=is_sending))

    def renumber_unsent(self, first_seq: int) -> int:
        """See :meth:`BufferFile.renumber_unsent`; the numbers are reserved before."""
        self._sequence.cover(first_seq + self.file.counts.records)
        return self.do(lambda file: file.renumber_unsent(first_seq))

    def _open(self, path: Path) -> BufferFile:
        return BufferFile(path, self._secret, self._limits, self._random)

    def _mend(self, what_is_broken: str, next_seq: int, *, was_sent: bool) -> None:
        """Go on with a new file. While the medium refuses that, the next :meth:`do` tries again."""
        self.damage, self._damaged_numbers = what_is_broken, next_seq
        became = finish_mending(self._path) or mend(self._path, self._secret, self._open, next_seq, was_sent=was_sent)
        self.file = self._open(self._path)
        self.damage, self._damaged_numbers = what_is_broken + became, None
