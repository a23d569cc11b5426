"""The buffer's file with what stands around it: numbers that outlive it, and a way on when it is damaged. Blocking."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from group_protocol.ports import Random
from slave_client.buffer_file import BufferDamagedError, BufferFile, Committed
from slave_client.buffer_salvage import read_salvageable
from slave_client.buffered_record import BufferedRecord, BufferLimits
from slave_client.sequence import SequenceReservation
from slave_client.state_directory import StateDirectory

_FILE = "buffer.db"
_SALVAGED_AT_A_TIME = 256

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
        self.damage = ""
        self._damaged_numbers: int | None = None
        try:
            self.file = self._open_file()
            if self.file.is_new:
                self.file.begin_numbers(self._sequence.first_unreserved, was_sent=self._sequence.is_known)
        except BufferDamagedError as exc:
            self._begin_again(exc, self._sequence.first_unreserved, was_sent=self._sequence.is_known)

    def do(self, work: Callable[[BufferFile], _Result]) -> _Result:
        """Work on the file; if it turns out to be damaged, on the one that takes its place. Raises StoreError."""
        if self._damaged_numbers is not None:
            self._open_new(self._damaged_numbers, was_sent=True)
        try:
            return work(self.file)
        except BufferDamagedError as exc:
            next_seq = self.file.next_seq
            self.file.close()
            self._begin_again(exc, next_seq, was_sent=True)
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

    def _open_file(self) -> BufferFile:
        return BufferFile(self._path, self._secret, self._limits, self._random)

    def _begin_again(self, cause: BufferDamagedError, next_seq: int, *, was_sent: bool) -> None:
        aside = self._set_file_aside()
        self.damage = f"{cause}; it was set aside as {aside}"
        self._damaged_numbers = next_seq
        self._open_new(next_seq, was_sent=was_sent)
        records = read_salvageable(self._path.with_name(aside), self._secret)
        saved = sum(self.file.restore(part) for part in _in_parts(records))
        self.damage += f" and a new buffer begun; {saved} of its records could be saved"

    def _open_new(self, next_seq: int, *, was_sent: bool) -> None:
        self.file = self._open_file()
        self.file.begin_numbers(next_seq, was_sent=was_sent)
        self._damaged_numbers = None

    def _set_file_aside(self) -> str:
        """Rename the file and what SQLite keeps beside it, never over an older one. Answers the new name."""
        number = 1
        while (aside := self._path.with_name(f"{_FILE}.damaged-{number}")).exists():
            number += 1
        for suffix in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                self._path.with_name(_FILE + suffix).rename(aside.with_name(aside.name + suffix))
        return aside.name


def _in_parts(records: Iterable[BufferedRecord]) -> Iterator[list[BufferedRecord]]:
    iterator = iter(records)
    while part := list(islice(iterator, _SALVAGED_AT_A_TIME)):
        yield part
