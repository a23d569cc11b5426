"""Table 2 as a picture: every sample of ours and of the paper's protocol, with the published times beside them."""

from math import inf, log10
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from measure.quantities import ModelledSeries
from measure.report.plots import OURS_COLOUR, PUBLISHED_COLOUR, THEIRS_COLOUR, draw_samples, new_figure, styled
from measure.results import Results
from measure.table2.operations import OURS, THEIRS
from measure.table2.published import ASSOCIATION, COLUMNS, DATA, SIGNED_DATA

_OPERATIONS: Final = ((ASSOCIATION, "association\nrequest"), (DATA, "data,\nencrypted"), (SIGNED_DATA, "data,\nsigned"))
_LABEL_DECADES: Final = 0.11
"""Room that a label needs on the logarithmic axis."""
_QUANTITIES: Final = (("time", "ms"), ("energy", "µJ"))


@styled
def draw_table2(results: Results) -> Figure:
    """Times, and energies where there are any; logarithmic, since the published times are far away."""
    quantities = [pair for pair in _QUANTITIES if results.find(OURS, ASSOCIATION, pair[0]) is not None]
    figure, axes = new_figure(5.4 * len(quantities), 4.4, columns=len(quantities))
    for axis, (quantity, unit) in zip(axes, quantities, strict=True):
        _draw_quantity(axis, results, quantity, unit)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=4)
    figure.suptitle(f"Preparing messages on {results.machine.title}", x=0.01, ha="left")
    return figure


def _draw_quantity(axis: Axes, results: Results, quantity: str, unit: str) -> None:
    is_modelled = False
    for at, (operation, _) in enumerate(_OPERATIONS):
        for system, offset, colour in ((OURS, -0.2, OURS_COLOUR), (THEIRS, 0.2, THEIRS_COLOUR)):
            series = results.find(system, operation, quantity)
            if series is not None:
                draw_samples(axis, at + offset, series, colour, width=0.16)
                is_modelled |= isinstance(series, ModelledSeries)
        _draw_published(axis, at, operation, quantity)
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_xticks(range(len(_OPERATIONS)), [label for _, label in _OPERATIONS])
    axis.set_xlim(-0.5, len(_OPERATIONS) - 0.35)
    axis.set_title(f"{quantity} per message, {unit}" + (" (MODELLED, not measured)" if is_modelled else ""))
    if is_modelled:
        axis.set_facecolor("#fdf6e3")


def _draw_published(axis: Axes, at: int, operation: str, quantity: str) -> None:
    """Ticks beside our samples; labels that would lie on each other are pushed apart."""
    figures = [(float(found.mean), column.title) for column in COLUMNS if (found := column.find(operation, quantity))]
    lowest_label = -inf
    for value, title in sorted(figures):
        lowest_label = max(log10(value), lowest_label + _LABEL_DECADES)
        axis.plot(at + 0.42, value, "_", color=PUBLISHED_COLOUR, markersize=8)
        axis.text(at + 0.48, 10**lowest_label, title, fontsize=6.5, color=PUBLISHED_COLOUR, va="center")


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=OURS_COLOUR, marker="o", markersize=4, label="ours"),
        Line2D([], [], color=THEIRS_COLOUR, marker="o", markersize=4, label="paper's protocol, here"),
        Line2D([], [], color="#555555", marker="x", linestyle="", markersize=5, label="outlier (kept)"),
        Line2D([], [], color=PUBLISHED_COLOUR, marker="_", linestyle="", markersize=10, label="published"),
    ]
