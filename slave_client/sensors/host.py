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


def make_host_sensor(options: SensorOptions, clock: Clock) -> PollingSensor:
    """``psutil``: options ``what`` (all, temperature, load), ``period_s`` (10). Raises ConfigurationError."""
    what = options.choice("what", ("all", "temperature", "load"))
    period_s = options.positive("period_s", 10.0) or 10.0
    options.finish()
    return PollingSensor("psutil", partial(_read, what), period_s, clock)


def _read(what: str) -> list[tuple[str, float, str | None]]:
    quantities: list[tuple[str, float, str | None]] = []
    if what in ("all", "load"):
        quantities.append(("cpu_load", psutil.cpu_percent() / 100.0, "/"))
    if what in ("all", "temperature"):
        temperature_c = _processor_temperature_c()
        if temperature_c is not None:
            quantities.append(("cpu_temperature", temperature_c, "Cel"))
        elif what == "temperature":
            raise SensorError(
                "this machine shows no processor temperature",
                remedy="Use psutil:what=load, or look whether /sys/class/hwmon holds a sensor.",
                code=ErrorCode.SENSOR_NOT_FOUND,
            )
    return quantities


def _processor_temperature_c() -> float | None:
    chips = psutil.sensors_temperatures()
    for chip in _PROCESSOR_CHIPS:
        if chips.get(chip):
            return float(chips[chip][0].current)
    return None
