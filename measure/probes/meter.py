"""An external power meter whose readings lie in a CSV file: USB meters, socket meters, bench supplies.

The file has one reading per line and a header that names its columns. Time: ``unix_s`` (seconds since 1970) or ``time``
(ISO 8601; without a zone it is local time). Power: ``power_w`` or ``power_mw``, or ``voltage_v`` with ``current_a``.
The meter's clock may disagree with the machine's; ``clock_offset_s`` is added to its times.
"""

import csv
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from measure.errors import MeasurementError
from measure.probes.port import Domain, Mark, ProbeCard
from measure.quantities import Energy, MeasuredEnergy

GAP_FACTOR: Final = 2.5
"""More than so many usual steps between two readings are a gap: what happened in it is not known."""
_COLUMNS: Final = "unix_s or time; power_w, power_mw, or voltage_v and current_a"
_ReadPower = Callable[[Mapping[str, str]], float]


@dataclass(frozen=True, slots=True)
class Gap:
    """Between two neighbouring readings, unix seconds."""

    begin_s: float
    end_s: float


class MeterRecording:
    """The readings of one file, in order, with its gaps."""

    def __init__(self, times_s: Sequence[float], powers_w: Sequence[float]) -> None:
        self.times_s = tuple(times_s)
        self.powers_w = tuple(powers_w)
        self.step_s = median(later - earlier for earlier, later in pairwise(times_s))
        self.gaps = tuple(
            Gap(earlier, later) for earlier, later in pairwise(times_s) if later - earlier > GAP_FACTOR * self.step_s
        )

    def energy_j(self, begin_s: float, end_s: float) -> float:
        """The area below the readings, by trapezoids, with the ends interpolated.

        Raises:
            MeasurementError: The window reaches beyond the recording or into a gap.
        """
        if begin_s < self.times_s[0] or end_s > self.times_s[-1]:
            raise MeasurementError("the meter's recording does not reach over this window")
        for gap in self.gaps:
            if begin_s < gap.end_s and end_s > gap.begin_s:
                raise MeasurementError(
                    f"the meter's recording has a gap of {gap.end_s - gap.begin_s:.1f} s in this window"
                )
        inside = range(bisect_right(self.times_s, begin_s), bisect_left(self.times_s, end_s))
        points = [(begin_s, self._power_at(begin_s))]
        points += [(self.times_s[index], self.powers_w[index]) for index in inside]
        points.append((end_s, self._power_at(end_s)))
        return sum(
            (second_w + first_w) / 2 * (second_s - first_s)
            for (first_s, first_w), (second_s, second_w) in pairwise(points)
        )

    def _power_at(self, moment_s: float) -> float:
        after = bisect_left(self.times_s, moment_s)
        if self.times_s[after] == moment_s:
            return self.powers_w[after]
        share = (moment_s - self.times_s[after - 1]) / (self.times_s[after] - self.times_s[after - 1])
        return self.powers_w[after - 1] + share * (self.powers_w[after] - self.powers_w[after - 1])


def read_recording(path: Path, clock_offset_s: float = 0.0) -> MeterRecording:
    """Read a meter's file.

    Raises:
        ConfigurationError: It cannot be read, names no columns that we know, or a line is wrong; says which.
    """
    times_s: list[float] = []
    powers_w: list[float] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            read_time, read_power = _pick_columns(reader.fieldnames or (), path)
            for row in reader:
                times_s.append(_read(read_time, row, path, reader.line_num) + clock_offset_s)
                powers_w.append(_read(read_power, row, path, reader.line_num))
                if len(times_s) > 1 and times_s[-1] <= times_s[-2]:
                    raise _wrong(path, reader.line_num, "its time is not after the line before")
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise ConfigurationError(
            f"{path} cannot be read: {exc}", remedy="Check --meter.", code=ErrorCode.MEASUREMENT_FILE_WRONG
        ) from exc
    if len(times_s) < 2:
        raise ConfigurationError(
            f"{path} holds fewer than two readings",
            remedy="Let the meter record during the run.",
            code=ErrorCode.MEASUREMENT_FILE_WRONG,
        )
    return MeterRecording(times_s, powers_w)


class MeterProbe:
    """Marks moments now and looks into the meter's file when the energies are asked for, after the run.

    Args:
        path: The file that the meter's program writes meanwhile, or will have been copied to by then.
        clock_offset_s: What to add to the meter's times.
        step_s: The meter's usual step, to know how long a window has to be.
        wait_for_file: Called when energies are wanted; returns once the file is complete.
    """

    def __init__(
        self, path: Path, clock_offset_s: float, step_s: float, wait_for_file: Callable[[], None] = lambda: None
    ) -> None:
        self._path = path
        self._clock_offset_s = clock_offset_s
        self._wait_for_file = wait_for_file
        self._recording: MeterRecording | None = None
        detail = f"external meter, {path.name}, step {step_s:g} s, clock offset {clock_offset_s:+g} s"
        self.card = ProbeCard("meter", is_modelled=False, detail=detail, domains=(Domain.BOARD,),
                              shortest_window_s=10 * step_s)  # fmt: skip

    def mark(self) -> Mark:
        """The moment alone."""
        return Mark(time.monotonic(), time.time())

    def energy(self, begin: Mark, end: Mark) -> Mapping[Domain, Energy]:
        """What the file says of the window. Raises MeasurementError for a gap, ConfigurationError for a bad file."""
        if self._recording is None:
            self._wait_for_file()
            self._recording = read_recording(self._path, self._clock_offset_s)
        joules = self._recording.energy_j(begin.unix_s, end.unix_s)
        edge_s = self._recording.step_s / 6**0.5  # either end is off by up to half a step, evenly
        return {Domain.BOARD: MeasuredEnergy(joules, joules / max(end.unix_s - begin.unix_s, edge_s) * edge_s)}

    def close(self) -> None:
        """Nothing runs."""


def _pick_columns(names: Sequence[str], path: Path) -> tuple[_ReadPower, _ReadPower]:
    known = {name.strip().lower(): name for name in names}
    if "unix_s" in known:
        read_time: _ReadPower = lambda row: float(row[known["unix_s"]])  # noqa: E731 - one of two short rules
    elif "time" in known:
        read_time = lambda row: datetime.fromisoformat(row[known["time"]].strip()).timestamp()  # noqa: E731
    else:
        raise _no_columns(path, names)
    if "power_w" in known:
        return read_time, lambda row: float(row[known["power_w"]])
    if "power_mw" in known:
        return read_time, lambda row: float(row[known["power_mw"]]) / 1_000
    if {"voltage_v", "current_a"} <= known.keys():
        return read_time, lambda row: float(row[known["voltage_v"]]) * float(row[known["current_a"]])
    raise _no_columns(path, names)


def _read(read: _ReadPower, row: Mapping[str, str], path: Path, line: int) -> float:
    try:
        return read(row)
    except (ValueError, TypeError, AttributeError) as exc:
        raise _wrong(path, line, "a value is missing or no number") from exc


def _wrong(path: Path, line: int, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path}, line {line}: {what}", remedy="Mend or remove that line.", code=ErrorCode.MEASUREMENT_FILE_WRONG
    )


def _no_columns(path: Path, names: Sequence[str]) -> ConfigurationError:
    shown = ", ".join(names)[:80] or "nothing"
    return ConfigurationError(
        f"{path} has no columns that are known (it has {shown})",
        remedy=f"Wanted: {_COLUMNS}.",
        code=ErrorCode.MEASUREMENT_FILE_WRONG,
    )
