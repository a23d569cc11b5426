"""Figure 8 in numbers: each phase, and what sending added."""

from collections.abc import Sequence
from statistics import fmean, stdev

from measure.figure8.run import TRACE, Phase
from measure.quantities import MeasuredSeries, ModelledSeries, Series
from measure.report.figures import ABSENT, show_number, show_value
from measure.report.tables import Table
from measure.results import Results
from measure.statistics import mean_with_uncertainty
from measure.table2.tables import energy_notes


def all_tables(results: Results) -> list[Table]:
    """One table."""
    rows = [row for series in results.series for row in _rows(results, series)]
    sent = results.extra[TRACE]["sent"]
    stopped = " (stopped before its end)" if results.is_partial else ""
    return [
        Table(
            f"Figure 8 on this machine: {results.machine.title}, {sent} messages{stopped}",
            ("Domain", "phase", "seconds", "mean W", "SD W", "highest W", "above idle, mJ per message"),
            tuple(rows),
            notes=(*_notes(results), *energy_notes(results)),
            text_columns=frozenset({1}),
        )
    ]


def values_in(results: Results, series: Series, phase: str) -> list[float]:
    """The figures of one phase."""
    trace = results.extra[TRACE]
    spans = [(begin_s, end_s) for name, begin_s, end_s in trace["phases"] if name == phase]
    return [
        value
        for time_s, value in zip(trace["times_s"], series.values, strict=True)
        if any(begin_s <= time_s < end_s for begin_s, end_s in spans)
    ]


def domain_of(series: Series) -> str:
    """What the series covers, as text."""
    return series.key.quantity.removeprefix("power, ")


def _rows(results: Results, series: Series) -> list[tuple[str, ...]]:
    rows = []
    for phase in Phase:
        values = values_in(results, series, phase)
        if len(values) > 1:
            seconds = sum(end_s - begin_s for name, begin_s, end_s in results.extra[TRACE]["phases"] if name == phase)
            shown = (show_value(value, series) for value in (fmean(values), stdev(values), max(values)))
            added = _added(results, series, values, seconds) if phase is Phase.LOOP else ABSENT
            rows.append((domain_of(series), phase.value, f"{seconds:.1f}", *shown, added))
    return rows


def _added(results: Results, series: Series, loop: Sequence[float], seconds: float) -> str:
    """Energy above the idle phases for each message, with both phases' uncertainty."""
    idle = [value for phase in (Phase.BEFORE, Phase.AFTER) for value in values_in(results, series, phase)]
    sent = results.extra[TRACE]["sent"]
    if len(idle) < 2 or not sent:
        return ABSENT
    (loop_w, loop_u), (idle_w, idle_u) = mean_with_uncertainty(loop), mean_with_uncertainty(idle)
    each_mj = (loop_w - idle_w) * seconds / sent * 1_000
    if isinstance(series, ModelledSeries):
        return show_value(each_mj, series)
    uncertainty_mj = (loop_u**2 + idle_u**2) ** 0.5 * seconds / sent * 1_000
    return f"{show_number(each_mj)} ± {show_number(uncertainty_mj, 2)}"


def _notes(results: Results) -> list[str]:
    notes = ["The paper: the loop does not exceed 0.5 W on its laptop nor 1 W on its Pi 4; it gives no table."]
    if results.probe and not any(domain_of(series) == "DRAM" for series in results.series):
        notes.append("DRAM: no source on this machine. RAPL's DRAM domain exists on servers.")
    if any(isinstance(series, MeasuredSeries) for series in results.series):
        notes.append("Figures of the machine include the master, which runs on it too, and the probe's own readings.")
    if lost := results.extra[TRACE]["lost"]:
        notes.append(f"{len(lost)} readings lost ({lost[0]}).")
    return notes
