"""INA219 and INA226: a shunt and a converter in the supply line of a board, through Linux's hwmon.

``name`` is ina219 or ina226 (driver ina2xx), ``power1_input`` is in µW (Documentation/hwmon/ina2xx.rst of the kernel);
``update_interval`` in ms where the chip has one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from measure.errors import MeasurementError
from measure.probes.port import Domain, ProbeCard

_CHIPS: Final = {"ina219": 0.005, "ina220": 0.005, "ina226": 0.001, "ina230": 0.005, "ina231": 0.005}
"""Chip and its largest gain error as a share, by TI's data sheets (INA219B 0.5 %, INA226 0.1 %); the shunt's own error
comes on top and nobody but its owner knows it."""
_W_PER_UW: Final = 1e-6
_INTERVAL_S: Final = 0.01


class InaSensor:
    """The first INA2xx below hwmon.

    Args:
        sysfs: Usually ``/sys``.

    Raises:
        ConfigurationError: There is none, or it cannot be read.
    """

    def __init__(self, sysfs: Path = Path("/sys")) -> None:
        folder, chip = _find_chip(sysfs / "class" / "hwmon")
        self._power = folder / "power1_input"
        self.interval_s = max(_read_interval_s(folder), _INTERVAL_S)
        self.uncertainty = _CHIPS[chip] / 3**0.5
        detail = f"{chip.upper()} by hwmon ({folder.name}), every {self.interval_s * 1_000:.0f} ms"
        self.card = ProbeCard(chip.upper(), is_modelled=False, detail=detail, domains=(Domain.BOARD,),
                              shortest_window_s=max(0.25, 10 * self.interval_s))  # fmt: skip
        try:
            self.read_w()
        except MeasurementError as exc:
            raise ConfigurationError(
                str(exc), remedy="Check wiring, driver and permissions of the sensor.", code=ErrorCode.NO_POWER_PROBE
            ) from exc

    def read_w(self) -> Mapping[Domain, float]:
        """The supply line's power."""
        try:
            return {Domain.BOARD: int(self._power.read_text("ascii")) * _W_PER_UW}
        except (OSError, ValueError) as exc:
            raise MeasurementError(f"{self._power} cannot be read: {exc}") from exc


def _find_chip(hwmon: Path) -> tuple[Path, str]:
    for folder in sorted(hwmon.glob("hwmon*")):
        try:
            name = (folder / "name").read_text("ascii").strip()
        except OSError:
            continue
        if name in _CHIPS:
            return folder, name
    raise ConfigurationError(
        f"no INA219 or INA226 below {hwmon}",
        remedy="On a Raspberry Pi: dtoverlay=i2c-sensor,ina219 (or ina226) in config.txt, shunt_resistor in µΩ.",
        code=ErrorCode.NO_POWER_PROBE,
    )


def _read_interval_s(folder: Path) -> float:
    try:
        return int((folder / "update_interval").read_text("ascii")) / 1_000
    except (OSError, ValueError):
        return 0.0
