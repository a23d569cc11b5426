"""A paced device's records: what it measures is gathered, and a batch is one record, as the slave's own batches are."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Final

from benchmarks.streaming.load_records import LoadRecords
from benchmarks.streaming.payloads import make_payloads
from slave_client.buffered_record import BufferedRecord
from slave_client.outbox import TO_MASTER

LATENCY_BINS_MS: Final = 5_000
"""Latencies are counted by the millisecond; the last bin holds whatever took longer."""


@dataclass(slots=True)
class Latencies:
    """How long readings took to their ACK, by the millisecond."""

    bins: list[int] = field(default_factory=lambda: [0] * LATENCY_BINS_MS)

    def note(self, took_s: float) -> None:
        """One reading."""
        self.bins[min(int(took_s * 1_000), LATENCY_BINS_MS - 1)] += 1

    def take(self) -> dict[int, int]:
        """What was counted since the last time: milliseconds and how many."""
        counts = {at: count for at, count in enumerate(self.bins) if count}
        self.bins = [0] * LATENCY_BINS_MS
        return counts


class GatheredRecords(LoadRecords):
    """Records of readings that are measured one after the other; numbered from one above the master's last.

    Args:
        payloads: For each number of readings in a batch, from 1 to the most, some payloads, which are taken in turns.
        first_seq: Of the first record.
        latencies: Where it is noted how long each reading took.
    """

    def __init__(self, payloads: Sequence[Sequence[bytes]], first_seq: int, latencies: Latencies) -> None:
        self._payloads = payloads
        self._latencies = latencies
        self._batch: list[float] = []
        self._unacknowledged: deque[tuple[int, list[float]]] = deque()
        self._released_through = first_seq - 1
        self._acknowledged_readings = 0

    @property
    def highest_committed(self) -> int:
        """As far as may be sent."""
        return self._released_through

    @property
    def acknowledged_readings(self) -> int:
        """Committed by the master, and known here."""
        return self._acknowledged_readings

    def add(self, now_s: float) -> bool:
        """One reading is measured now. Answers whether it was the last of its batch: there is something to send."""
        self._batch.append(now_s)
        if len(self._batch) < len(self._payloads):
            return False
        self.end()
        return True

    def end(self) -> None:
        """What is gathered is a record, and may be sent."""
        if self._batch:
            self._released_through += 1
            self._unacknowledged.append((self._released_through, self._batch))
            self._batch = []

    def note_last_seq(self, last_seq: int, now_s: float) -> None:
        """The master has committed everything up to here."""
        while self._unacknowledged and self._unacknowledged[0][0] <= last_seq:
            _, measured = self._unacknowledged.popleft()
            self._acknowledged_readings += len(measured)
            for measured_s in measured:
                self._latencies.note(now_s - measured_s)

    async def read_after(self, seq: int, *, max_records: int, max_bytes: int) -> list[BufferedRecord]:
        """As the buffer does it."""
        if seq >= self.highest_committed:
            return []
        chosen: list[BufferedRecord] = []
        used_bytes = 0
        for number, measured in self._unacknowledged:
            if number <= seq:
                continue
            payloads = self._payloads[len(measured) - 1]
            payload = payloads[number % len(payloads)]
            used_bytes += len(payload)
            if len(chosen) == max_records or (chosen and used_bytes > max_bytes):
                break
            chosen.append(BufferedRecord(number, TO_MASTER, payload, len(measured), 0.0))
        return chosen


def payloads_by_size(batch_readings: int) -> list[list[bytes]]:
    """Payloads of one reading, of two, up to what a batch holds."""
    return [make_payloads(readings) for readings in range(1, batch_readings + 1)]


def percentile_ms(latencies: Mapping[int, int], share: float) -> float:
    """The latency below which this share lies, to the millisecond, of counts by the millisecond; NaN for no counts."""
    total = sum(latencies.values())
    passed = 0
    for at in sorted(latencies):
        passed += latencies[at]
        if passed >= share * total:
            return float(at + 1)
    return nan
