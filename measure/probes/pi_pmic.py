"""The Raspberry Pi 5's power management chip: ``vcgencmd pmic_read_adc`` shows current and voltage of its rails.

What USB and the pins of the header draw goes past the rails, and so does the chip's own loss: the sum is less than what
the supply gives. Each call starts a program, so there are some tens of readings a second at most.
"""

import re
import subprocess
from collections.abc import Callable, Mapping
from typing import Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from measure.errors import MeasurementError
from measure.probes.port import Domain, ProbeCard

_LINE: Final = re.compile(r"^\s*(?P<rail>\w+)_(?P<kind>[AV])\b[^=\n]*=(?P<value>-?[0-9.]+)[AV]\s*$", re.MULTILINE)
_CORE_RAIL: Final = "VDD_CORE"
"""The rail of the processor's cores."""
_DRAM_RAILS: Final = ("DDR_VDD2", "DDR_VDDQ")
_COMMAND: Final = ("vcgencmd", "pmic_read_adc")
_TIMEOUT_S: Final = 2.0


def run_vcgencmd() -> str:
    """The command's output.

    Raises:
        ConfigurationError: There is no such command, or it may not be used.
    """
    try:
        done = subprocess.run(_COMMAND, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)  # noqa: S603 - fixed words
    except FileNotFoundError as exc:
        raise ConfigurationError(
            "vcgencmd is not installed", remedy="It comes with Raspberry Pi OS.", code=ErrorCode.NO_POWER_PROBE
        ) from exc
    except (OSError, subprocess.SubprocessError) as exc:
        raise ConfigurationError(
            f"vcgencmd pmic_read_adc failed: {exc}",
            remedy="Be in the group video, on a Raspberry Pi 5.",
            code=ErrorCode.NO_POWER_PROBE,
        ) from exc
    return done.stdout


def parse_rails(output: str) -> dict[str, float]:
    """Watts by rail: current times voltage, for every rail that shows both."""
    values = {(match["rail"], match["kind"]): float(match["value"]) for match in _LINE.finditer(output)}
    return {
        rail: value * values[rail, "V"]
        for (rail, kind), value in values.items()
        if kind == "A" and (rail, "V") in values
    }


class PmicSensor:
    """The Pi 5's rails. Raises ConfigurationError where there are none."""

    interval_s = 0.1
    uncertainty = 0.0
    """The manufacturer states none."""

    def __init__(self, run: Callable[[], str] = run_vcgencmd) -> None:
        self._run = run
        rails = parse_rails(run())
        if not rails:
            raise ConfigurationError(
                "vcgencmd pmic_read_adc shows no rails",
                remedy="Only the Raspberry Pi 5 measures its rails.",
                code=ErrorCode.NO_POWER_PROBE,
            )
        domains = [Domain.BOARD]
        domains += [Domain.CORES] if _CORE_RAIL in rails else []
        domains += [Domain.DRAM] if any(rail in rails for rail in _DRAM_RAILS) else []
        detail = f"vcgencmd pmic_read_adc, {len(rails)} rails (without USB, header and the chip's own loss)"
        self.card = ProbeCard(
            "Pi 5 PMIC", is_modelled=False, detail=detail, domains=tuple(domains), shortest_window_s=1.0
        )

    def read_w(self) -> Mapping[Domain, float]:
        """All rails together, and those of cores and memory."""
        try:
            rails = parse_rails(self._run())
        except ConfigurationError as exc:
            raise MeasurementError(str(exc)) from exc
        watts = {Domain.BOARD: sum(rails.values())}
        if Domain.CORES in self.card.domains:
            watts[Domain.CORES] = rails.get(_CORE_RAIL, 0.0)
        if Domain.DRAM in self.card.domains:
            watts[Domain.DRAM] = sum(rails.get(rail, 0.0) for rail in _DRAM_RAILS)
        return watts
