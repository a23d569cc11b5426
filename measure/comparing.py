"""``compare A.json B.json``: does what two runs say differ, or is it noise?"""

from collections.abc import Iterator
from dataclasses import dataclass

from measure.errors import MeasurementError, ProvenanceError
from measure.quantities import ModelledSeries, Series, SeriesKey, require_same_provenance
from measure.report.figures import show_ratio, show_value, summary_of
from measure.report.tables import Table
from measure.results import Results
from measure.statistics import Ratio, unpaired_ratio

SMALLEST_COUNT = 10
"""Fewer samples on either side decide nothing."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One series in both runs; ``ratio`` is the second over the first, ``why_not`` says why there is none."""

    key: SeriesKey
    first: Series
    second: Series
    ratio: Ratio | None
    why_not: str = ""

    @property
    def verdict(self) -> str:
        """In words."""
        if self.ratio is None:
            return self.why_not
        if not self.ratio.is_real:
            return "no difference shown"
        change = (self.ratio.value - 1) * 100
        return f"real: {abs(change):.1f} % {'more' if change > 0 else 'less'}"


def compare(first: Results, second: Results) -> list[Comparison]:
    """Every series that both have, in the order of the first."""
    return list(_compare_all(first, second))


def comparison_table(first: Results, second: Results, comparisons: list[Comparison]) -> Table:
    """For people."""
    rows = tuple(
        (
            f"{one.key.system}, {one.key.operation}, {one.key.quantity} ({one.key.unit})",
            show_value(summary_of(one.first).median, one.first),
            show_value(summary_of(one.second).median, one.second),
            show_ratio(one.ratio, one.first),
            one.verdict,
        )
        for one in comparisons
    )
    notes = [
        (
            "Medians. A difference is called real where the 95 % interval of the ratio (block bootstrap) leaves 1 out:"
            " of twenty series that do not differ, one is called real all the same."
        ),
        f"A: {first.machine.title}, {first.at}, commit {first.machine.commit or 'unknown'}.",
        f"B: {second.machine.title}, {second.at}, commit {second.machine.commit or 'unknown'}.",
    ]
    if any(isinstance(one.first, ModelledSeries) for one in comparisons):
        notes.append(
            "Modelled energies are CPU times in other units; modelled powers follow what CPU time was left to us."
        )
    if busy := [name for name, one in (("A", first), ("B", second)) if not all(check.holds for check in one.checks)]:
        where = " and ".join(busy)
        notes.append(f"The machine was not quiet, or is virtual, in {where}: a real difference may be the load's.")
    return Table(f"B over A: {second.experiment}", ("Series", "A", "B", "B / A (95 %)", "verdict"), rows,
                 notes=tuple(notes), text_columns=frozenset({4}))  # fmt: skip


def _compare_all(first: Results, second: Results) -> Iterator[Comparison]:
    for one in first.series:
        other = second.find(one.key.system, one.key.operation, one.key.quantity)
        if other is None or not one.values or not other.values:
            continue
        ratio, why_not = None, ""
        try:
            require_same_provenance(one, other)
            if min(len(one.values), len(other.values)) < SMALLEST_COUNT:
                why_not = f"fewer than {SMALLEST_COUNT} samples"
            else:
                ratio = unpaired_ratio(other.values, one.values)
        except ProvenanceError as exc:
            why_not = str(exc)
        except MeasurementError as exc:
            why_not = str(exc)
        yield Comparison(one.key, one, other, ratio, why_not)
