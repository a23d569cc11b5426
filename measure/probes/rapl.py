"""RAPL, the energy counters of Intel's and AMD's processors, through Linux's powercap.

A zone is a directory with ``name``, ``energy_uj`` (µJ, rising) and ``max_energy_range_uj`` (where it wraps to zero);
Documentation/power/powercap/powercap.rst of the kernel. Zones of one name (two sockets) are added up. The counters move
about once a millisecond. No Raspberry Pi has RAPL.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from measure.errors import MeasurementError
from measure.probes.port import Domain, Mark, ProbeCard
from measure.quantities import Energy, MeasuredEnergy

_ZONE: Final = re.compile(r"intel-rapl:\d+(:\d+)?")
"""Not intel-rapl-mmio, which shows the same package a second time."""
_UPDATE_S: Final = 0.001
_POWER_MAX_W: Final = 2_000.0
"""More than any socket draws: a window in which a counter could have wrapped twice at this power is refused."""
_J_PER_UJ: Final = 1e-6
PERMISSION_REMEDY: Final = (
    "Since Linux 5.10 only root may read energy_uj, because it leaks what other users compute (CVE-2020-8694)."
    " Run as root, or for this boot: sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"
    " /sys/class/powercap/intel-rapl:*:*/energy_uj"
)


@dataclass(frozen=True, slots=True)
class _Zone:
    path: Path
    domain: Domain
    range_uj: int

    @property
    def key(self) -> str:
        return self.path.name

    def read_uj(self) -> int:
        return int((self.path / "energy_uj").read_text("ascii"))


class RaplProbe:
    """Reads every zone of known name.

    Args:
        sysfs: Usually ``/sys``.

    Raises:
        ConfigurationError: There is no RAPL, or its counters may not be read; says what to do.
    """

    def __init__(self, sysfs: Path = Path("/sys"), monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._zones = _find_zones(sysfs / "class" / "powercap")
        for zone in self._zones:
            _try_reading(zone)
        domains = tuple(domain for domain in Domain if any(zone.domain is domain for zone in self._zones))
        names = ", ".join(f"{zone.path.name} {zone.domain}" for zone in self._zones)
        self.card = ProbeCard("RAPL", is_modelled=False, detail=f"powercap: {names}", domains=domains,
                              shortest_window_s=0.05)  # fmt: skip

    def mark(self) -> Mark:
        """Read all counters, in µJ."""
        return Mark(self._monotonic_s(), time.time(), {zone.key: zone.read_uj() for zone in self._zones})

    def energy(self, begin: Mark, end: Mark) -> Mapping[Domain, Energy]:
        """Differences of the counters; one that has wrapped is put right."""
        elapsed_s = end.monotonic_s - begin.monotonic_s
        total_uj: dict[Domain, float] = {}
        for zone in self._zones:
            if elapsed_s * _POWER_MAX_W > zone.range_uj * _J_PER_UJ:
                raise MeasurementError(f"{elapsed_s:.0f} s is so long that {zone.key} may have wrapped more than once")
            # In Python the remainder of a negative difference is what a wrapped counter has counted.
            spent_uj = (end.counters[zone.key] - begin.counters[zone.key]) % (zone.range_uj + 1)
            total_uj[zone.domain] = total_uj.get(zone.domain, 0.0) + spent_uj
        # The counter stands still between updates: each end is off by up to one update's energy.
        share = _UPDATE_S / max(elapsed_s, _UPDATE_S) / 3**0.5
        return {
            domain: MeasuredEnergy(spent_uj * _J_PER_UJ, spent_uj * _J_PER_UJ * share)
            for domain, spent_uj in total_uj.items()
        }

    def close(self) -> None:
        """Nothing runs."""


def _find_zones(powercap: Path) -> tuple[_Zone, ...]:
    paths = sorted(path for path in powercap.glob("intel-rapl:*") if _ZONE.fullmatch(path.name))
    zones = [zone for path in paths if (zone := _read_zone(path)) is not None]
    if not zones:
        raise ConfigurationError(
            f"no RAPL zones below {powercap}",
            remedy="RAPL exists on Intel and AMD processors only, seldom in a virtual machine, and on no Raspberry Pi.",
            code=ErrorCode.NO_POWER_PROBE,
        )
    return tuple(zones)


def _read_zone(path: Path) -> _Zone | None:
    """None for a zone of an unknown name, or one without a counter."""
    try:
        domain = _domain_of((path / "name").read_text("ascii").strip())
        range_uj = int((path / "max_energy_range_uj").read_text("ascii"))
    except (OSError, ValueError):
        return None
    return _Zone(path, domain, range_uj) if domain is not None and range_uj > 0 else None


def _domain_of(name: str) -> Domain | None:
    if name.startswith("package-"):
        return Domain.PACKAGE
    return {"core": Domain.CORES, "uncore": Domain.UNCORE, "dram": Domain.DRAM, "psys": Domain.PLATFORM}.get(name)


def _try_reading(zone: _Zone) -> None:
    try:
        zone.read_uj()
    except PermissionError as exc:
        raise ConfigurationError(
            f"{zone.path}/energy_uj may not be read", remedy=PERMISSION_REMEDY, code=ErrorCode.NO_POWER_PROBE
        ) from exc
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{zone.path}/energy_uj cannot be read: {exc}", code=ErrorCode.NO_POWER_PROBE) from exc
