"""The plots, as PNG and SVG. Drawn without a display; a modelled figure is hatched and says so in its label."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import matplotlib as mpl

mpl.use("Agg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from measure.quantities import MODELLED_MARK, Series, mark_of
from measure.report.figures import summary_of

OURS_COLOUR: Final = "#0b6e99"
THEIRS_COLOUR: Final = "#c4622d"
PUBLISHED_COLOUR: Final = "#8a8f98"
PALETTE: Final = (OURS_COLOUR, THEIRS_COLOUR, "#5a8f3c", "#7a5195", "#b8860b", "#444444")
STYLE: Final[dict[Any, Any]] = {
    "font.size": 9.5,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#e4e6ea",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "svg.hashsalt": "vgroup",
    "svg.fonttype": "path",
}
_PNG_DPI: Final = 160
styled: Final = mpl.rc_context(STYLE)
"""Decorates whatever draws, so that the style is there while it does and nowhere else."""


def new_figure(width_in: float, height_in: float, columns: int = 1, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure with its axes, row by row."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, [axis for row in axes for axis in row]


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """As NAME.png and NAME.svg."""
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    paths[0].write_bytes(to_image(figure, "png"))
    paths[1].write_bytes(to_image(figure, "svg"))
    return paths


def to_image(figure: Figure, kind: str) -> bytes:
    """The drawn figure. The same figure gives the same bytes: no date is written."""
    drawn = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(drawn, format=kind, dpi=_PNG_DPI, metadata={"Date": None} if kind == "svg" else {})
    return drawn.getvalue()


def draw_samples(axis: Axes, at: float, series: Series, colour: str, *, width: float = 0.3) -> None:
    """Every sample as a dot, outliers as crosses, median as a bar and the mean's interval as a whisker."""
    summary = summary_of(series)
    outliers = set(summary.outliers)
    spread = _spread(len(series.values), width)
    inside = [(at + spread[index], value) for index, value in enumerate(series.values) if index not in outliers]
    outside = [(at + spread[index], series.values[index]) for index in sorted(outliers)]
    axis.plot(*_columns(inside), ".", color=colour, alpha=0.35, markersize=4, markeredgewidth=0)
    if outside:
        axis.plot(*_columns(outside), "x", color=colour, markersize=5, markeredgewidth=1.1)
    style: Literal[":", "-"] = ":" if mark_of(series) else "-"
    axis.hlines(summary.median, at - width, at + width, color=colour, linewidth=2.2, linestyles=style)


def label_of(series: Series, text: str) -> str:
    """For a legend or a tick."""
    return f"{text}\n({MODELLED_MARK})" if mark_of(series) else text


def _spread(count: int, width: float) -> list[float]:
    """Positions side by side that look scattered and are the same every time (multiples of the golden ratio)."""
    return [((index * 0.618034) % 1.0 - 0.5) * 2 * width * 0.85 for index in range(count)]


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
