"""DS18B20-family thermometers on the 1-wire bus, through the kernel's w1_therm driver."""

import re
from functools import partial
from pathlib import Path

from group_protocol.error_codes import ErrorCode
from group_protocol.ports import Clock
from slave_client.errors import SensorError
from slave_client.sensors.polling import PollingSensor
from slave_client.sensors.ports import SensorOptions
from slave_client.sensors.sysfs import read_number, read_text

_ROOT = Path("/sys/bus/w1/devices")
_FAMILY = "28-"
_TEMPERATURE = re.compile(r"t=(-?\d{1,6})$")
_POWER_ON_MILLI_C = 85_000
"""What the sensor's register holds before its first conversion (DS18B20 data sheet): no measurement."""


def make_one_wire_sensor(options: SensorOptions, clock: Clock) -> PollingSensor:
    """``w1``: options ``id`` (28-…; the only one by default), ``name``, ``period_s`` (10), ``root``.

    Raises ConfigurationError.
    """
    root = options.path("root", _ROOT)
    wanted = options.text("id")
    name = options.text("name", "temperature") or "temperature"
    period_s = options.positive("period_s", 10.0) or 10.0
    options.finish()
    return PollingSensor(f"w1 {wanted or ''}".strip(), partial(_read, root, wanted, name), period_s, clock)


def _read(root: Path, wanted: str | None, name: str) -> list[tuple[str, float, str | None]]:
    device = _find_device(root, wanted)
    if (device / "w1_slave").exists():
        milli_c = _parse_w1_slave(device / "w1_slave")
    else:
        milli_c = read_number(device / "temperature")
    if milli_c == _POWER_ON_MILLI_C:
        raise SensorError(f"{device.name} shows its power-on value of 85 °C", remedy="Check its supply voltage.")
    return [(name, milli_c / 1000.0, "Cel")]


def _find_device(root: Path, wanted: str | None) -> Path:
    found = sorted(root.glob(f"{_FAMILY}*")) if root.is_dir() else []
    if wanted:
        found = [device for device in found if device.name == wanted]
    if not found:
        raise SensorError(
            f"there is no 1-wire thermometer{f' {wanted}' if wanted else ''} under {root}",
            remedy="Add dtoverlay=w1-gpio to /boot/firmware/config.txt, reboot, check wiring and pull-up resistor.",
            code=ErrorCode.SENSOR_NOT_FOUND,
        )
    if len(found) > 1:
        names = ", ".join(device.name for device in found)
        raise SensorError(
            f"there are several 1-wire thermometers: {names}",
            remedy="Choose one: --sensor w1:id=28-…",
            code=ErrorCode.SENSOR_AMBIGUOUS,
        )
    return found[0]


def _parse_w1_slave(path: Path) -> float:
    """Thousandths of a degree: the first line ends with the verdict on the CRC, the second with ``t=``."""
    lines = read_text(path).splitlines()
    if len(lines) != 2 or not lines[0].endswith("YES"):
        raise SensorError(
            f"{path} has a wrong checksum", remedy="Check the wiring; long cables need a stronger pull-up."
        )
    match = _TEMPERATURE.search(lines[1])
    if match is None:
        raise SensorError(f"{path} holds no temperature")
    return float(match[1])
