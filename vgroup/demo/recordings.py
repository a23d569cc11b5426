"""The pulse recordings that heartpy ships: where they are, and what is in them.

heartpy is never imported: it is on the disk for its three files (photoplethysmograms, the light that a pulse lets
through a finger). They are read here a second time, apart from the slave's own reader, so that the demo can compare
what was stored with what was recorded.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError

_PACKAGE: Final = "heartpy"
_INSTALL: Final = "Run: pip install 'vgroup[demo]'"
_RATE_OF_FIRST_HZ: Final = 100.0
"""``data.csv`` holds values alone; heartpy's documentation gives its rate."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording, read whole.

    Attributes:
        path: The file.
        options: How the slave's replay sensor has to read it.
        values: The samples in raw sensor units, in order.
        offsets_s: Seconds of each sample since the first; never falling.
    """

    path: Path
    options: str
    values: tuple[float, ...]
    offsets_s: tuple[float, ...]

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def rate_hz(self) -> float:
        """Samples per second, over the whole recording."""
        return (len(self.values) - 1) / self.offsets_s[-1]

    @property
    def sensor_text(self) -> str:
        """What stands after ``vgroup slave run --sensor``: the recording, for ever again."""
        return f"replay:{self.path},{self.options},repeat=yes,name=ppg"

    def sample(self, index: int) -> float:
        """The value sent as number ``index`` (from 0) when the recording is repeated for ever."""
        return self.values[index % len(self.values)]

    def offset_s(self, index: int) -> float:
        """Its time since the first sample sent, in the recording's own time."""
        rounds, at = divmod(index, len(self.values))
        return rounds * self.round_s + self.offsets_s[at]

    @property
    def round_s(self) -> float:
        """From one beginning to the next: the recording, and once more its last step that took any time."""
        last_s = self.offsets_s[-1]
        return last_s + next(last_s - offset_s for offset_s in reversed(self.offsets_s) if offset_s < last_s)


def find_recordings() -> tuple[Recording, ...]:
    """The three recordings of heartpy.

    Raises:
        ConfigurationError: heartpy is not installed, or without its recordings.
    """
    first = _locate("data/data.csv")
    second = _locate("data/data2.csv")
    third = _locate("data/data3.csv")
    return (_read_fixed_rate(first), _read_milliseconds(second), _read_clock(third))


def _locate(name: str) -> Path:
    try:
        found = next((file for file in files(_PACKAGE) or () if str(file) == f"{_PACKAGE}/{name}"), None)
    except PackageNotFoundError as exc:
        raise ConfigurationError(
            f"the demo replays the recordings of {_PACKAGE}, which is not installed",
            remedy=_INSTALL,
            code=ErrorCode.PACKAGE_MISSING,
        ) from exc
    path = Path(str(found.locate())) if found is not None else None
    if path is None or not path.is_file():
        raise ConfigurationError(
            f"{_PACKAGE} is installed without its recording {name}", remedy=_INSTALL, code=ErrorCode.PACKAGE_MISSING
        )
    return path


def _read_fixed_rate(path: Path) -> Recording:
    values = [float(row[0]) for row in _rows(path)]
    offsets_s = [index / _RATE_OF_FIRST_HZ for index in range(len(values))]
    return Recording(path, f"rate_hz={_RATE_OF_FIRST_HZ:g}", tuple(values), tuple(offsets_s))


def _read_milliseconds(path: Path) -> Recording:
    rows = _rows(path)[1:]
    moments_s = [float(row[0]) / 1_000 for row in rows]
    return Recording(path, "time=timer,time_unit=ms,column=hr", _values(rows), _offsets_s(moments_s))


def _read_clock(path: Path) -> Recording:
    rows = _rows(path)[1:]
    began = datetime.fromisoformat(rows[0][0])
    moments_s = [(datetime.fromisoformat(row[0]) - began).total_seconds() for row in rows]
    return Recording(path, "time=datetime,time_unit=clock,column=hr", _values(rows), _offsets_s(moments_s))


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.reader(file) if row]


def _values(rows: Sequence[Sequence[str]]) -> tuple[float, ...]:
    return tuple(float(row[1]) for row in rows)


def _offsets_s(moments_s: Sequence[float]) -> tuple[float, ...]:
    """Seconds since the first moment; a clock that was set back stands still until it has caught up."""
    offsets_s, latest_s = [], 0.0
    for moment_s in moments_s:
        latest_s = max(latest_s, moment_s - moments_s[0])
        offsets_s.append(latest_s)
    return tuple(offsets_s)
