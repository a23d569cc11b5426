"""A device's records without its disk: stands in the buffer's place, for load that comes from many devices at once."""

from collections.abc import Sequence

from benchmarks.streaming.load_records import LoadRecords
from slave_client.buffered_record import BufferedRecord
from slave_client.outbox import TO_MASTER


class EndlessRecords(LoadRecords):
    """Records with prepared payloads, numbered from one above the master's last: as many as may be under way.

    Args:
        payloads: Taken in turns.
        readings: In each payload.
        first_seq: Of the first record.
        window: Records that may be unacknowledged.
    """

    def __init__(self, payloads: Sequence[bytes], readings: int, first_seq: int, window: int) -> None:
        self._payloads = payloads
        self._readings = readings
        self._window = window
        self._first_seq = first_seq
        self._acknowledged_through = first_seq - 1
        self._ends_at: int | None = None

    @property
    def highest_committed(self) -> int:
        """As far as may be sent."""
        return self._acknowledged_through + self._window if self._ends_at is None else self._ends_at

    @property
    def acknowledged_readings(self) -> int:
        """Committed by the master, and known here."""
        return (self._acknowledged_through - self._first_seq + 1) * self._readings

    def end(self) -> None:
        """Nothing beyond what may be sent now."""
        self._ends_at = self.highest_committed

    def note_last_seq(self, last_seq: int, _now_s: float) -> None:
        """The master has committed everything up to here."""
        self._acknowledged_through = max(self._acknowledged_through, last_seq)

    async def read_after(self, seq: int, *, max_records: int, max_bytes: int) -> list[BufferedRecord]:
        """As the buffer does it."""
        payloads, count = self._payloads, len(self._payloads)
        chosen: list[BufferedRecord] = []
        used_bytes = 0
        for number in range(seq + 1, min(seq + max_records, self.highest_committed) + 1):
            payload = payloads[number % count]
            used_bytes += len(payload)
            if chosen and used_bytes > max_bytes:
                break
            chosen.append(BufferedRecord(number, TO_MASTER, payload, self._readings, 0.0))
        return chosen
