"""Table 2's results as tables."""

from measure.errors import MeasurementError
from measure.quantities import ModelledSeries, Series
from measure.report.figures import ABSENT, show_interval, show_mean, show_ratio, show_value, summary_of
from measure.report.tables import Table
from measure.results import Results
from measure.statistics import Ratio, paired_ratio
from measure.table2.operations import CONTAINS, OURS, THEIRS
from measure.table2.published import ASSOCIATION, BBTRUST, COLUMNS, DATA, PAPER, SIGNED_DATA

OPERATIONS = (ASSOCIATION, DATA, SIGNED_DATA)
QUANTITIES = (("time", "ms"), ("power", "mW"), ("energy", "µJ"))


def all_tables(results: Results) -> list[Table]:
    """Everything of one run, the main table first."""
    tables = [main_table(results), published_table(results), detail_table(results)]
    if "joins" in results.extra:
        tables.append(waiting_table(results))
    return tables


def main_table(results: Results) -> Table:
    """Ours beside the paper's protocol in the same run."""
    rows = []
    for quantity, unit in QUANTITIES:
        for operation in OPERATIONS:
            ours, theirs = (results.find(system, operation, quantity) for system in (OURS, THEIRS))
            ratio = show_ratio(ratio_of(ours, theirs), ours) if ours and theirs else ABSENT
            rows.append((f"{operation}, {unit}", show_mean(ours), show_mean(theirs), ratio))
    count = results.extra.get("experiments", 0)
    return Table(
        f"Table 2 on this machine: {results.machine.title}, {count} experiments" + _partial(results),
        ("Preparing a", "ours", "paper's protocol", "ratio of medians (95 %)"),
        tuple(rows),
        notes=(
            (
                "Mean ± standard deviation, as the paper has it. A ratio below 1 is in our favour;"
                " both run in one process, in turns."
            ),
            *[f"{operation.capitalize()}: {CONTAINS[operation]}." for operation in OPERATIONS],
            *energy_notes(results),
        ),
    )


def published_table(results: Results) -> Table:
    """This machine beside what was published."""
    rows = []
    for quantity, unit in QUANTITIES[:2]:
        for operation in OPERATIONS[:2]:
            published = (column.find(operation, quantity) for column in COLUMNS)
            here = (show_mean(results.find(system, operation, quantity)) for system in (OURS, THEIRS))
            rows.append((f"{operation}, {unit}", *here, *(figure.text if figure else ABSENT for figure in published)))
    return Table(
        "Beside the published figures",
        ("Preparing a", "ours, here", "paper's protocol, here", *(column.title for column in COLUMNS)),
        tuple(rows),
        notes=(
            (
                f"{PAPER}: Table 2 of the paper (2022). {BBTRUST}: the design it comes from, Hammi et al. 2018."
                " Other machines, another language: these columns are no comparison, only a place to stand."
            ),
            (
                "The paper does not say over what time its mW are taken; energy per operation is what can be compared."
                " docs/paper_figures.md says which of its numbers can be reproduced."
            ),
        ),
    )


def detail_table(results: Results) -> Table:
    """Median, tails, interval and outliers of times and energies. Powers are energies over equal windows: no row."""
    found = [
        results.find(system, operation, quantity)
        for quantity in ("time", "energy")
        for operation in OPERATIONS
        for system in (OURS, THEIRS)
    ]
    return Table(
        "Spread",
        ("Preparing a", "system", "n", "mean", "95 % of mean", "median", "p95", "p99", "outliers"),
        tuple(_detail_row(series) for series in found if series is not None),
        notes=(
            "Outliers lie beyond three interquartile ranges from the quartiles; they are counted in every figure.",
            *lost_notes(results),
        ),
        text_columns=frozenset({1}),
    )


def lost_notes(results: Results) -> list[str]:
    """Which figures are missing, and why the first of them is."""
    return [
        f"{series.key.system}, {series.key.operation}, {series.key.quantity}: {len(lost)} windows lost ({lost[0]})."
        for series in results.series
        if (lost := getattr(series, "lost", ()))
    ]


def waiting_table(results: Results) -> Table:
    """Network and block time, apart from preparation."""
    rows = []
    for name, system, quantity in (
        ("whole join", OURS, "join"),
        ("… slave's own work, disk included", OURS, "join, slave"),
        ("… master's answers and the way there", OURS, "join, master"),
        ("… transaction, block and receipt", OURS, "join, chain"),
        ("data message, sent and acknowledged", OURS, "round trip"),
        ("whole join, no chain", THEIRS, "join"),
        ("data message, sent and answered", THEIRS, "round trip"),
    ):
        series = results.find(system, "network", quantity)
        if series is not None and series.values:
            median = show_value(summary_of(series).median, series)
            rows.append((f"{system}: {name}", show_mean(series), median, str(len(series.values))))
    return Table(
        "Network and block time, apart from preparation (ms)",
        ("Over loopback", "mean ± SD", "median", "n"),
        tuple(rows),
        notes=(
            (
                "Ours waits for a block of the embedded chain; the paper's register is in memory here, so its join has"
                " no block time. The master is a process of its own and keeps what it acknowledges on the disk."
            ),
        ),
    )


def energy_notes(results: Results) -> list[str]:
    """Where power and energy come from, or why there are none."""
    if results.probe is None:
        why = "; ".join(f"{name}: {reason}" for name, reason in results.missing_probes.items())
        return [f"No power and no energy: this machine has no source of them. {why}"]
    if results.probe.is_modelled:
        why = "; ".join(
            f"{name}: {reason}" for name, reason in results.missing_probes.items() if name not in ("model", "meter")
        )
        return [
            f"Power and energy are modelled, not measured: CPU time × {results.probe.detail}.",
            f"Why nothing is measured: {why}",
        ]
    idle = results.extra.get("idle_power_w")
    subtracted = f" Idle power {idle[0]:.3f} ± {idle[1]:.3f} W is subtracted." if idle else ""
    return [f"Power and energy above idle: {results.probe.name}, {results.probe.detail}.{subtracted}"]


def ratio_of(ours: Series | None, theirs: Series | None) -> Ratio | None:
    """Ours over theirs, paired; None where there is nothing to divide or the two are of different provenance."""
    if ours is None or theirs is None or isinstance(ours, ModelledSeries) != isinstance(theirs, ModelledSeries):
        return None
    count = min(len(ours.values), len(theirs.values))
    try:
        return paired_ratio(ours.values[:count], theirs.values[:count])
    except MeasurementError:
        return None


def _detail_row(series: Series) -> tuple[str, ...]:
    key, summary = series.key, summary_of(series)
    return (
        f"{key.operation}, {key.unit}",
        key.system,
        str(summary.count),
        show_value(summary.mean, series),
        show_interval(summary.of_mean, series),
        *(show_value(value, series) for value in (summary.median, summary.p95, summary.p99)),
        str(len(summary.outliers)),
    )


def _partial(results: Results) -> str:
    return " (stopped before its end)" if results.is_partial else ""
