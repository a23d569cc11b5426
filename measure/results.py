"""One experiment's results as a document: everything that its tables and plots are made of, raw samples included."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from measure.idle import IdleCheck
from measure.machine import Machine
from measure.probes.port import Domain, ProbeCard
from measure.quantities import MeasuredSeries, ModelledSeries, Series, SeriesKey

FORMAT: Final = "vgroup measure 1"
_MEASURED: Final = "measured"
_MODELLED: Final = "modelled"


@dataclass(slots=True)
class Results:
    """What one experiment found.

    Attributes:
        experiment: ``table2``, ``figure8`` or ``traffic``.
        settings: What it was asked for.
        probe: Where energies come from; None if this machine has no source.
        missing_probes: Why each other source is not there.
        is_partial: Stopped before its end; what was measured until then is here.
        extra: What only this experiment has.
    """

    experiment: str
    machine: Machine
    settings: dict[str, Any]
    checks: tuple[IdleCheck, ...] = ()
    probe: ProbeCard | None = None
    missing_probes: dict[str, str] = field(default_factory=dict)
    series: list[Series] = field(default_factory=list)
    is_partial: bool = False
    at: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def find(self, system: str, operation: str, quantity: str) -> Series | None:
        """One series, if it was measured."""
        wanted = (system, operation, quantity)
        for series in self.series:
            if (series.key.system, series.key.operation, series.key.quantity) == wanted:
                return series
        return None

    def to_json(self) -> dict[str, Any]:
        """As JSON fields."""
        return {
            "format": FORMAT,
            "experiment": self.experiment,
            "at": self.at,
            "is_partial": self.is_partial,
            "settings": self.settings,
            "machine": asdict(self.machine),
            "idle_checks": [asdict(check) for check in self.checks],
            "probe": asdict(self.probe) if self.probe else None,
            "missing_probes": self.missing_probes,
            "series": [_series_to_json(series) for series in self.series],
            "extra": self.extra,
        }

    def write(self, path: Path) -> None:
        """As a file, in one step."""
        draft = path.with_name(path.name + ".new")
        draft.write_text(json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n", "utf-8")
        draft.rename(path)


def now_text() -> str:
    """This moment, for a heading."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_results(path: Path) -> Results:
    """Read a document back.

    Raises:
        ConfigurationError: It cannot be read or is none of ours.
    """
    try:
        fields = json.loads(path.read_text("utf-8"))
        return results_from_json(fields)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ConfigurationError(
            f"{path} holds no results of vgroup measure: {exc}",
            remedy="Name a JSON file that it wrote.",
            code=ErrorCode.MEASUREMENT_FILE_WRONG,
        ) from exc


def results_from_json(fields: Mapping[str, Any]) -> Results:
    """The document out of its fields. Raises ValueError, KeyError or TypeError for anything else."""
    if fields["format"] != FORMAT:
        raise ValueError(f"its format is {str(fields['format'])[:40]!r}, not {FORMAT!r}")
    probe = fields["probe"]
    return Results(
        experiment=str(fields["experiment"]),
        machine=Machine(**fields["machine"]),
        settings=dict(fields["settings"]),
        checks=tuple(IdleCheck(**check) for check in fields["idle_checks"]),
        probe=ProbeCard(**{**probe, "domains": tuple(Domain(name) for name in probe["domains"])}) if probe else None,
        missing_probes=dict(fields["missing_probes"]),
        series=[_series_from_json(series) for series in fields["series"]],
        is_partial=bool(fields["is_partial"]),
        at=str(fields["at"]),
        extra=dict(fields["extra"]),
    )


def sample_rows(series: Sequence[Series]) -> Iterator[tuple[str, ...]]:
    """Every raw sample as a row of CSV, the head first. Each says whether it was measured or modelled."""
    yield ("system", "operation", "quantity", "unit", "provenance", "by", "experiment", "value")
    for one in series:
        key, provenance = one.key, _provenance(one)
        for number, value in enumerate(one.values, start=1):
            yield (key.system, key.operation, key.quantity, key.unit, provenance, one.by, str(number), repr(value))


def _provenance(series: Series) -> str:
    return _MODELLED if isinstance(series, ModelledSeries) else _MEASURED


def _series_to_json(series: Series) -> dict[str, Any]:
    return {**asdict(series), "values": list(series.values), "provenance": _provenance(series)}


def _series_from_json(fields: Mapping[str, Any]) -> Series:
    key = SeriesKey(**fields["key"])
    values = tuple(float(value) for value in fields["values"])
    if fields["provenance"] == _MODELLED:
        return ModelledSeries(key, values, str(fields["by"]))
    if fields["provenance"] != _MEASURED:
        raise ValueError("a series is neither measured nor modelled")
    return MeasuredSeries(
        key, values, str(fields["by"]), float(fields["shared_uncertainty"]), tuple(map(str, fields["lost"]))
    )
