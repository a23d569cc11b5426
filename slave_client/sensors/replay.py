"""A recording in a CSV file, replayed as if it were measured now.

The readings keep the recording's own spacing: their times are the moment the replay began plus the recording's
offsets, at whatever speed it runs. So a fast replay carries the same signal.
"""

import asyncio
import csv
import math
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.ports import Clock
from group_protocol.senml import Reading
from slave_client.errors import SensorError
from slave_client.sensors.ports import SensorOptions

_ROWS_PER_READ = 512
_WORTH_SLEEPING_S = 0.002
"""Below this the next reading goes out at once: a sleep would take longer."""
_TIME_UNITS_S = {"s": 1.0, "ms": 0.001, "us": 0.000001}


@dataclass(frozen=True, slots=True)
class Recording:
    """Where a recording is and how to read it.

    Attributes:
        column: Header name or number from 1 of the values.
        time_column: The same for the times; None for a fixed rate.
        time_unit: s, ms, us, or clock (ISO 8601 date and time).
        rate_hz: Samples per second where there is no time column.
    """

    path: Path
    column: str
    time_column: str | None
    time_unit: str
    rate_hz: float | None


class ReplaySensor:
    """Replays a recording once, or for ever.

    Args:
        recording: The file.
        name: What the readings are called.
        unit: SenML unit, or None.
        speed: 1 for the recording's own pace, 10 for ten times as fast.
        repeats: Begin again at the end; time goes on.
        clock: Pace and time stamps.
    """

    is_recording = True

    def __init__(
        self, recording: Recording, *, name: str, unit: str | None, speed: float, repeats: bool, clock: Clock
    ) -> None:
        self.label = f"replay {recording.path.name}"
        self._recording = recording
        self._name = name
        self._unit = unit
        self._speed = speed
        self._repeats = repeats
        self._clock = clock

    async def check(self) -> None:
        """Read the first row. Raises SensorError."""
        if not await asyncio.to_thread(lambda: list(islice(read_samples(self._recording), 1))):
            raise SensorError(
                f"{self._recording.path} holds no sample",
                remedy="Choose another recording.",
                code=ErrorCode.RECORDING_UNUSABLE,
            )

    async def readings(self) -> AsyncIterator[Reading]:
        """The readings at their time. Raises SensorError for a row that cannot be read."""
        began_s = self._clock.monotonic_s()
        began_unix_s = self._clock.now_unix_s()
        shift_s = 0.0
        while True:
            offset_s = 0.0
            step_s = 0.0
            samples = read_samples(self._recording)
            while rows := await asyncio.to_thread(lambda: list(islice(samples, _ROWS_PER_READ))):  # noqa: B023
                for row_offset_s, value in rows:
                    step_s = row_offset_s - offset_s or step_s
                    offset_s = row_offset_s
                    await self._wait_until(began_s + (shift_s + offset_s) / self._speed)
                    yield Reading(self._name, began_unix_s + shift_s + offset_s, value, self._unit)
            if not self._repeats:
                return
            shift_s += offset_s + step_s

    async def _wait_until(self, due_s: float) -> None:
        wait_s = due_s - self._clock.monotonic_s()
        if wait_s > _WORTH_SLEEPING_S:
            await asyncio.sleep(wait_s)


def make_replay_sensor(options: SensorOptions, clock: Clock) -> ReplaySensor:
    """``replay``: ``path``, ``rate_hz`` or ``time`` with ``time_unit``, ``column``, ``speed``, ``repeat``, ``name``.

    Raises:
        ConfigurationError: An option is missing, wrong or unknown.
    """
    path = Path(options.required("path"))
    rate_hz = options.positive("rate_hz")
    time_column = options.text("time")
    if (rate_hz is None) == (time_column is None):
        raise ConfigurationError(
            "sensor replay needs either rate_hz=… or time=COLUMN",
            remedy="Say rate_hz=100 for samples at a fixed rate, or time=NAME with time_unit=s, ms or clock.",
            code=ErrorCode.RECORDING_UNUSABLE,
        )
    recording = Recording(
        path,
        options.text("column", "1" if time_column is None else "2") or "1",
        time_column,
        options.choice("time_unit", ("ms", "s", "us", "clock")),
        rate_hz,
    )
    sensor = ReplaySensor(
        recording,
        name=options.text("name", "ppg") or "ppg",
        unit=options.text("unit"),
        speed=options.positive("speed", 1.0) or 1.0,
        repeats=options.choice("repeat", ("no", "yes")) == "yes",
        clock=clock,
    )
    options.finish()
    return sensor


def read_samples(recording: Recording) -> Iterator[tuple[float, float]]:
    """Offsets in seconds from the first sample, and values; blocking, a row at a time.

    Times that run backwards (daylight saving, a clock that was set) stand still instead.

    Raises:
        SensorError: The file or a row of it cannot be read.
    """
    try:
        with recording.path.open(newline="", encoding="utf-8") as file:
            yield from _parse_rows(csv.reader(file), recording)
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise SensorError(
            f"cannot read {recording.path}: {why}",
            remedy="Check the path of the recording.",
            code=ErrorCode.RECORDING_UNUSABLE,
        ) from exc


def _parse_rows(rows: Iterator[list[str]], recording: Recording) -> Iterator[tuple[float, float]]:
    first = next(rows, None)
    if first is None:
        return
    has_header = not any(_is_number(cell) for cell in first)
    header = first if has_header else []
    value_at = _find_column(recording.column, header, first, recording.path)
    read_offset_s = _offset_reader(recording, header, first)
    start_s: float | None = None
    latest_s = 0.0
    body = rows if has_header else chain([first], rows)
    for number, row in enumerate((row for row in body if row), start=1):
        try:
            time_s = read_offset_s(row, number)
            value = float(row[value_at])
        except (ValueError, IndexError) as exc:
            raise SensorError(
                f"{recording.path}: sample {number} cannot be read: {row[:4]!r}", code=ErrorCode.RECORDING_UNUSABLE
            ) from exc
        if not (math.isfinite(value) and math.isfinite(time_s)):
            raise SensorError(f"{recording.path}: sample {number} is not finite", code=ErrorCode.RECORDING_UNUSABLE)
        start_s = time_s if start_s is None else start_s
        latest_s = max(latest_s, time_s - start_s)
        yield latest_s, value


def _offset_reader(recording: Recording, header: list[str], first: list[str]) -> Callable[[list[str], int], float]:
    """How to get a row's time in seconds: from its number, or from its time column."""
    if recording.time_column is None:
        rate_hz = recording.rate_hz or 1.0
        return lambda _row, number: (number - 1) / rate_hz
    time_at = _find_column(recording.time_column, header, first, recording.path)
    if recording.time_unit == "clock":
        return lambda row, _number: _parse_clock(row[time_at])
    unit_s = _TIME_UNITS_S[recording.time_unit]
    return lambda row, _number: float(row[time_at]) * unit_s


def _parse_clock(text: str) -> float:
    """ISO 8601; a time without a zone counts as UTC, since only differences matter."""
    moment = datetime.fromisoformat(text.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _find_column(wanted: str, header: list[str], first: list[str], path: Path) -> int:
    names = [cell.strip() for cell in header]
    if wanted in names:
        return names.index(wanted)
    if wanted.isdigit() and 1 <= int(wanted) <= len(first):
        return int(wanted) - 1
    known = ", ".join(names) if names else f"1 to {len(first)}"
    raise SensorError(
        f"{path} has no column {wanted!r}", remedy=f"Its columns are: {known}.", code=ErrorCode.RECORDING_UNUSABLE
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
