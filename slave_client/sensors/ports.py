"""What a sensor is, and how one is made from options."""

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Protocol

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.ports import Clock
from group_protocol.senml import Reading


class Sensor(Protocol):
    """A source of readings. All its blocking work happens off the event loop.

    Attributes:
        label: What the status and the log call it.
        is_recording: Whether it ends, and must not begin again by itself after an error.
    """

    label: str
    is_recording: bool

    async def check(self) -> None:
        """Look once whether the source is there. Raises SensorError with what to do."""
        ...

    def readings(self) -> AsyncIterator[Reading]:
        """Readings as they come, paced by the sensor; ends with a recording.

        Raises SensorError when the source fails.
        """
        ...


class SensorOptions:
    """The options of one sensor (or other plug-in), each taken once; what is left over is the user's mistake."""

    def __init__(self, kind: str, values: Mapping[str, str], plug_in: str = "sensor") -> None:
        self.kind = kind
        self._plug_in = plug_in
        self._left = dict(values)

    def text(self, name: str, default: str | None = None) -> str | None:
        """An option as text, or the default."""
        return self._left.pop(name, default)

    def required(self, name: str) -> str:
        """An option that must be there. Raises ConfigurationError."""
        value = self._left.pop(name, None)
        if not value:
            raise self._wrong(f"needs {name}=…")
        return value

    def path(self, name: str, default: Path) -> Path:
        """A path."""
        value = self._left.pop(name, None)
        return Path(value) if value else default

    def positive(self, name: str, default: float | None = None) -> float | None:
        """A number above zero, or the default. Raises ConfigurationError."""
        value = self._left.pop(name, None)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError as exc:
            raise self._wrong(f"{name}={value} is no number") from exc
        if not 0 < number < float("inf"):
            raise self._wrong(f"{name}={value} is not above zero")
        return number

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of some words; the first is the default. Raises ConfigurationError."""
        value = self._left.pop(name, choices[0])
        if value not in choices:
            raise self._wrong(f"{name}={value} is none of {', '.join(choices)}")
        return value

    def finish(self) -> None:
        """Nothing may be left. Raises ConfigurationError."""
        if self._left:
            raise self._wrong(f"does not know {', '.join(sorted(self._left))}")

    def _wrong(self, what: str) -> ConfigurationError:
        remedy = "See `vgroup slave sensors` for each sensor's options."
        return ConfigurationError(
            f"{self._plug_in} {self.kind} {what}",
            remedy=remedy if self._plug_in == "sensor" else "See docs/slave.md.",
            code=ErrorCode.PLUG_IN_OPTION_WRONG,
        )


SensorMaker = Callable[[SensorOptions, Clock], Sensor]
"""What an entry point in ``vgroup.sensors`` names: makes a sensor from its options, without touching hardware."""
