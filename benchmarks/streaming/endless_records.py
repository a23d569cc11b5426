"""A device's records without its disk: stands in the buffer's place, for load that comes from many devices at once."""

from collections import deque
from collections.abc import Mapping, Sequence
from math import nan
from typing import Final

from slave_client.buffered_record import BufferedRecord
from slave_client.outbox import TO_MASTER

LATENCY_BINS_MS: Final = 5_000
"""Latencies are counted by the millisecond; the last bin holds whatever took longer."""


class EndlessRecords:
    """Records with prepared payloads, numbered from one above the master's last.

    Args:
        payloads: Taken in turns.
        readings: In each payload.
        first_seq: Of the first record.
        window: Records that may be unacknowledged; 0: only what :meth:`release` let go.
    """

    def __init__(self, payloads: Sequence[bytes], readings: int, first_seq: int, window: int) -> None:
        self._payloads = payloads
        self._readings = readings
        self._window = window
        self._released_through = first_seq - 1
        self._waiting: deque[tuple[int, float]] = deque()
        self._held = 0
        self.first_seq = first_seq
        self.acknowledged_through = first_seq - 1
        self.is_over = False

    @property
    def highest_committed(self) -> int:
        """As far as may be sent."""
        if self._window and not self.is_over:
            self._released_through = self.acknowledged_through + self._window
        return self._released_through

    @property
    def acknowledged_readings(self) -> int:
        """Committed by the master, and known here."""
        return (self.acknowledged_through - self.first_seq + 1) * self._readings

    def add(self, now_s: float) -> bool:
        """One reading is measured now; :meth:`release` lets it go. Answers whether none was held back before it."""
        self._held += 1
        self._waiting.append((self._released_through + self._held, now_s))
        return self._held == 1

    def release(self) -> None:
        """What was held back may be sent."""
        self._released_through += self._held
        self._held = 0

    def note_last_seq(self, last_seq: int, now_s: float, latencies: list[int]) -> None:
        """The master has committed everything up to here; counts how long each added record took."""
        self.acknowledged_through = max(self.acknowledged_through, last_seq)
        waiting = self._waiting
        while waiting and waiting[0][0] <= last_seq:
            took_ms = int((now_s - waiting.popleft()[1]) * 1_000)
            latencies[min(took_ms, LATENCY_BINS_MS - 1)] += 1

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

    def acknowledge(self, through: int) -> None:
        """Nothing is kept, so nothing is forgotten."""

    async def set_aside(self, seq: int, reason: int) -> None:
        """No record of a benchmark is refused."""
        raise RuntimeError(f"the master refused record {seq}: {reason}")


def percentile_ms(latencies: Mapping[int, int], share: float) -> float:
    """The latency below which this share lies, to the millisecond, of counts by the millisecond; NaN for no counts."""
    total = sum(latencies.values())
    passed = 0
    for at in sorted(latencies):
        passed += latencies[at]
        if passed >= share * total:
            return float(at + 1)
    return nan
