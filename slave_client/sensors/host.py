"""The device itself as a sensor: processor temperature and load, through psutil."""

from functools import partial

import psutil

from group_protocol.error_codes import ErrorCode
from group_protocol.ports import Clock
from slave_client.errors import SensorError
from slave_client.sensors.polling import PollingSensor
from slave_client.sensors.ports import SensorOptions

_PROCESSOR_CHIPS = ("cpu_thermal", "coretemp", "k10temp", "zenpower", "soc_thermal")
"""hwmon names of processors: Raspberry Pi, Intel, AMD, and other boards."""

_REMEDIES = {
    "all": "A container hides /proc/stat and /sys/class/hwmon; use another sensor: vgroup slave sensors",
    "load": "Look whether this user may read /proc/stat: a container may hide it.",
    "temperature": "Use psutil:what=load, or look whether /sys/class/hwmon holds a sensor.",
}


def make_host_sensor(options: SensorOptions, clock: Clock) -> PollingSensor:
    """``psutil``: options ``what`` (all, temperature, load), ``period_s`` (10). Raises ConfigurationError."""
    what = options.choice("what", ("all", "temperature", "load"))
    period_s = options.positive("period_s", 10.0) or 10.0
    options.finish()
    return PollingSensor("psutil", partial(_read, what), period_s, clock)


def _read(what: str) -> list[tuple[str, float, str | None]]:
    """What there is of what is wanted; ``all`` is content with either. Raises SensorError: there is nothing."""
    quantities: list[tuple[str, float, str | None]] = []
    if what in ("all", "load") and (load := _processor_load()) is not None:
        quantities.append(("cpu_load", load, "/"))
    if what in ("all", "temperature") and (temperature_c := _processor_temperature_c()) is not None:
        quantities.append(("cpu_temperature", temperature_c, "Cel"))
    if not quantities:
        shown = {"all": "load nor temperature", "load": "load", "temperature": "temperature"}[what]
        raise SensorError(
            f"this machine shows {'neither' if what == 'all' else 'no'} processor {shown}",
            remedy=_REMEDIES[what],
            code=ErrorCode.SENSOR_NOT_FOUND,
        )
    return quantities


def _processor_load() -> float | None:
    """From 0 to 1; ``None`` where ``/proc/stat`` is hidden, as in many containers."""
    try:
        return psutil.cpu_percent() / 100.0
    except (
        OSError,
        TypeError,
        ValueError,
        IndexError,
        psutil.Error,
    ):  # also where the file is empty
        return None


def _processor_temperature_c() -> float | None:
    chips = psutil.sensors_temperatures()
    for chip in _PROCESSOR_CHIPS:
        if chips.get(chip):
            return float(chips[chip][0].current)
    return None
