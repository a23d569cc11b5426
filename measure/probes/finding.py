"""Which probes this machine has, and why not the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from measure.probes.coefficients import Coefficient, find_coefficient
from measure.probes.cpu_time import CpuTimeModel
from measure.probes.ina import InaSensor
from measure.probes.meter import MeterProbe
from measure.probes.pi_pmic import PmicSensor, run_vcgencmd
from measure.probes.port import EnergyProbe, ProbeCard
from measure.probes.rapl import RaplProbe
from measure.probes.sampled import SampledProbe

NO_PROBE = "none"


@dataclass(frozen=True, slots=True)
class ProbeWishes:
    """What the user asked for.

    Attributes:
        name: auto, rapl, ina, pmic, meter, model or none.
        meter_file: CSV of an external meter.
        meter_offset_s: To add to the meter's clock.
        meter_step_s: The meter's usual step.
        busy_core_w: The model's coefficient, in place of the table's; needs ``busy_core_source``.
        busy_core_source: Who says so.
    """

    name: str = "auto"
    meter_file: Path | None = None
    meter_offset_s: float = 0.0
    meter_step_s: float = 1.0
    busy_core_w: float | None = None
    busy_core_source: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One kind of probe on this machine.

    Attributes:
        make: Opens it; None if it is not there.
        card: What it is; None if it is not there.
        missing: Why it is not there, and ...
        remedy: ... what to do.
    """

    name: str
    make: Callable[[], EnergyProbe] | None = None
    card: ProbeCard | None = None
    missing: str = ""
    remedy: str = ""


def look_for_probes(
    wishes: ProbeWishes, *, model_name: str, architecture: str, sysfs: Path = Path("/sys"),
    run_pmic: Callable[[], str] = run_vcgencmd, wait_for_meter: Callable[[], None] = lambda: None,
) -> tuple[Found, ...]:  # fmt: skip
    """Try every kind, the best first. Nothing stays open."""
    return (
        _try("rapl", lambda: RaplProbe(sysfs)),
        _try("ina", lambda: SampledProbe(InaSensor(sysfs))),
        _try("pmic", lambda: SampledProbe(PmicSensor(run_pmic))),
        _try("meter", lambda: _meter(wishes, wait_for_meter)),
        _try("model", lambda: CpuTimeModel(_coefficient(wishes, model_name, architecture))),
    )


def open_probe(wishes: ProbeWishes, found: Sequence[Found]) -> EnergyProbe | None:
    """The probe that was asked for, or the best that is there; None for ``none`` or if there is none at all.

    Raises:
        ConfigurationError: The one that was asked for is not there; says why.
    """
    if wishes.name == NO_PROBE:
        return None
    if wishes.name == "auto":
        names = ["meter"] if wishes.meter_file is not None else [one.name for one in found]
        chosen = next((one for one in found if one.name in names and one.make is not None), None)
        if chosen is None and wishes.meter_file is None:
            return None
        chosen = chosen or next(one for one in found if one.name == "meter")
    else:
        chosen = next((one for one in found if one.name == wishes.name), Found(wishes.name, missing="unknown kind"))
    if chosen.make is None:
        known = ", ".join(["auto", *(one.name for one in found), NO_PROBE])
        remedy = chosen.remedy or f"--probe is one of {known}."
        raise ConfigurationError(
            f"no probe {wishes.name}: {chosen.missing}", remedy=remedy, code=ErrorCode.NO_POWER_PROBE
        )
    return chosen.make()


def _try(name: str, make: Callable[[], EnergyProbe]) -> Found:
    try:
        probe = make()
    except ConfigurationError as exc:
        return Found(name, missing=str(exc), remedy=exc.remedy)
    probe.close()
    return Found(name, make, probe.card)


def _meter(wishes: ProbeWishes, wait_for_meter: Callable[[], None]) -> MeterProbe:
    if wishes.meter_file is None:
        raise ConfigurationError(
            "no file of an external meter was named", remedy="Name one with --meter.", code=ErrorCode.NO_POWER_PROBE
        )
    return MeterProbe(wishes.meter_file, wishes.meter_offset_s, wishes.meter_step_s, wait_for_meter)


def _coefficient(wishes: ProbeWishes, model_name: str, architecture: str) -> Coefficient:
    if wishes.busy_core_w is not None:
        if not wishes.busy_core_source:
            raise ConfigurationError(
                "a coefficient without a source is a guess",
                remedy="Say who measured it with --busy-core-source.",
                code=ErrorCode.NO_POWER_PROBE,
            )
        return Coefficient("as given", "", wishes.busy_core_w, f"{wishes.busy_core_w:g} W", wishes.busy_core_source)
    coefficient = find_coefficient(model_name, architecture)
    if coefficient is None:
        raise ConfigurationError(
            f"no coefficient is known for {model_name or 'this processor'}",
            remedy="Give one: --busy-core-w WATTS --busy-core-source TEXT.",
            code=ErrorCode.NO_POWER_PROBE,
        )
    return coefficient
