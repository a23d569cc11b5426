"""Analogue converters and environment sensors through Linux IIO (kernel document ABI/testing/sysfs-bus-iio)."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from group_protocol.error_codes import ErrorCode
from group_protocol.ports import Clock
from slave_client.errors import SensorError
from slave_client.sensors.polling import PollingSensor
from slave_client.sensors.ports import SensorOptions
from slave_client.sensors.sysfs import read_number, read_text

_ROOT = Path("/sys/bus/iio/devices")


@dataclass(frozen=True, slots=True)
class _Quantity:
    """How a channel type becomes SenML: factor from the ABI's unit, and the unit of RFC 8428 §12.1."""

    factor: float
    unit: str | None


_QUANTITIES = {
    "temp": _Quantity(0.001, "Cel"),
    "voltage": _Quantity(0.001, "V"),
    "current": _Quantity(0.001, "A"),
    "humidityrelative": _Quantity(0.001, "%RH"),
    "pressure": _Quantity(1000.0, "Pa"),
    "illuminance": _Quantity(1.0, "lx"),
    "accel": _Quantity(1.0, "m/s2"),
    "anglvel": _Quantity(1.0, "rad/s"),
}


def make_iio_sensor(options: SensorOptions, clock: Clock) -> PollingSensor:
    """``iio``: ``channel`` (in_temp, in_voltage0 …), ``device`` (directory or chip name), ``name``, ``period_s``.

    Raises:
        ConfigurationError: An option is missing, wrong or unknown.
    """
    root = options.path("root", _ROOT)
    device = options.text("device")
    channel = options.required("channel")
    name = options.text("name", channel.removeprefix("in_")) or channel
    period_s = options.positive("period_s", 1.0) or 1.0
    options.finish()
    return PollingSensor(f"iio {channel}", partial(_read, root, device, channel, name), period_s, clock)


def _read(root: Path, device: str | None, channel: str, name: str) -> list[tuple[str, float, str | None]]:
    directory = _find_device(root, device, channel)
    kind = channel.removeprefix("in_").split("_")[0].rstrip("0123456789")
    quantity = _QUANTITIES.get(kind, _Quantity(1.0, None))
    processed = directory / f"{channel}_input"
    if processed.exists():
        value = read_number(processed)
    else:
        raw = read_number(directory / f"{channel}_raw")
        value = (raw + _calibration(directory, channel, "offset", 0.0)) * _calibration(directory, channel, "scale", 1.0)
    return [(name, value * quantity.factor, quantity.unit)]


def _calibration(directory: Path, channel: str, attribute: str, default: float) -> float:
    """A channel's own attribute, or the one its kind shares: ``in_voltage_scale`` for ``in_voltage0``."""
    shared = channel.rstrip("0123456789")
    for stem in (channel, shared, "in_" + shared.removeprefix("in_").split("_")[0]):
        path = directory / f"{stem}_{attribute}"
        if path.exists():
            return read_number(path)
    return default


def _find_device(root: Path, device: str | None, channel: str) -> Path:
    found = [
        directory
        for directory in (sorted(root.glob("iio:device*")) if root.is_dir() else [])
        if device in (None, directory.name, _chip_name(directory))
        and any((directory / f"{channel}_{kind}").exists() for kind in ("raw", "input"))
    ]
    if not found:
        raise SensorError(
            f"there is no IIO device{f' {device}' if device else ''} with channel {channel} under {root}",
            remedy="Load its driver (a dtoverlay on a Raspberry Pi); channels: ls /sys/bus/iio/devices/*/in_*",
            code=ErrorCode.SENSOR_NOT_FOUND,
        )
    if len(found) > 1:
        names = ", ".join(directory.name for directory in found)
        raise SensorError(
            f"several IIO devices have {channel}: {names}",
            remedy="Choose one: --sensor iio:device=…,channel=…",
            code=ErrorCode.SENSOR_AMBIGUOUS,
        )
    return found[0]


def _chip_name(directory: Path) -> str:
    path = directory / "name"
    return read_text(path) if path.exists() else ""
