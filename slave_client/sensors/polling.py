"""What all sensors that are asked again and again have in common."""

import asyncio
from collections.abc import AsyncIterator, Callable

from group_protocol.ports import Clock
from group_protocol.senml import Reading
from slave_client.errors import SensorError

_FAILURES_MAX = 5


class PollingSensor:
    """Reads a source every ``period_s`` seconds on a worker thread.

    A single failed reading is passed over; five in a row end the readings with the last error.

    Args:
        label: What the status calls the sensor.
        read: Blocking; answers ``(name, value, unit)`` of each quantity. Raises SensorError.
        period_s: Seconds from one reading to the next.
        clock: Time stamps for the readings.
    """

    is_recording = False

    def __init__(
        self, label: str, read: Callable[[], list[tuple[str, float, str | None]]], period_s: float, clock: Clock
    ) -> None:
        self.label = label
        self._read = read
        self._period_s = period_s
        self._clock = clock

    async def check(self) -> None:
        """Read once. Raises SensorError."""
        await asyncio.to_thread(self._read)

    async def readings(self) -> AsyncIterator[Reading]:
        """Readings for ever, without drift. Raises SensorError after five failures in a row."""
        failures = 0
        due_s = self._clock.monotonic_s()
        while True:
            try:
                quantities = await asyncio.to_thread(self._read)
                failures = 0
            except SensorError:
                quantities = []
                failures += 1
                if failures >= _FAILURES_MAX:
                    raise
            now_unix_s = self._clock.now_unix_s()
            for name, value, unit in quantities:
                yield Reading(name, now_unix_s, value, unit)
            due_s = max(due_s + self._period_s, self._clock.monotonic_s())
            await asyncio.sleep(due_s - self._clock.monotonic_s())
