"""Committed records that stay in memory, so that a connected device never reads back what it just wrote."""

from collections import deque

from slave_client.buffered_record import BufferedRecord

_MAX_BYTES = 256 * 1024


class RecentRecords:
    """The newest of the file's records, up to a bound.

    Attributes:
        floor: Above this seq every record of the file is here too.
    """

    def __init__(self) -> None:
        self._records: deque[BufferedRecord] = deque()
        self._bytes = 0
        self.floor = 0

    def add(self, record: BufferedRecord) -> None:
        """A record was committed, above all that are here. The oldest give way to it."""
        self._records.append(record)
        self._bytes += record.stored_bytes
        while self._bytes > _MAX_BYTES:
            self._forget_oldest()

    def leave_out(self, seq: int) -> None:
        """A record above all that are here is not in the file, or nobody will ask for it."""
        self.floor = seq

    def forget_through(self, seq: int) -> None:
        """The records up to this seq are acknowledged or gone."""
        while self._records and self._records[0].seq <= seq:
            self._forget_oldest()

    def remove(self, seq: int) -> None:
        """One record is gone."""
        kept = [record for record in self._records if record.seq != seq]
        self._records = deque(kept)
        self._bytes = sum(record.stored_bytes for record in kept)

    def begin_at(self, floor: int) -> None:
        """Forget all; what is committed from now on is above this seq."""
        self._records.clear()
        self._bytes = 0
        self.floor = floor

    def read_after(self, seq: int, max_records: int, max_bytes: int) -> list[BufferedRecord]:
        """The oldest records above ``seq``: at least one if there is one, then up to both bounds.

        Args:
            seq: Not below the floor.
            max_records: At most so many.
            max_bytes: Bound on the sum of their payloads.
        """
        chosen: list[BufferedRecord] = []
        total_bytes = 0
        for record in self._records:
            if record.seq <= seq:
                continue
            total_bytes += len(record.payload)
            if len(chosen) == max_records or (chosen and total_bytes > max_bytes):
                break
            chosen.append(record)
        return chosen

    def _forget_oldest(self) -> None:
        record = self._records.popleft()
        self._bytes -= record.stored_bytes
        self.floor = max(self.floor, record.seq)
