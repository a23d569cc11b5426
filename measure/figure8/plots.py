"""Figure 8 as a picture; several machines lie over each other."""

from collections.abc import Sequence
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from measure.figure8.run import TRACE, Phase
from measure.figure8.tables import domain_of
from measure.quantities import ModelledSeries, Series
from measure.report.plots import PALETTE, PUBLISHED_COLOUR, new_figure, styled
from measure.results import Results

_SHADE = "#e8f1f5"


@styled
def draw_figure8(all_results: Sequence[Results]) -> Figure:
    """Power of every domain above, the processor's use below; machines are aligned where their loops begin."""
    figure, (power, busy) = new_figure(9.5, 5.4, rows=2)
    colours = cycle(PALETTE)
    is_overlay = len(all_results) > 1
    for results in all_results:
        shift_s = _loop_begin_s(results) if is_overlay else 0.0
        times_s = [time_s - shift_s for time_s in results.extra[TRACE]["times_s"]]
        name = f"{results.machine.name}: " if is_overlay else ""
        for series in results.series:
            _draw_power(power, times_s, series, next(colours), name)
        busy.plot(times_s, results.extra[TRACE]["busy_percent"], color=next(colours), linewidth=1.0,
                  label=f"{name}all processes")  # fmt: skip
    _mark_phases((power, busy), all_results[0], _loop_begin_s(all_results[0]) if is_overlay else 0.0)
    is_modelled = any(isinstance(series, ModelledSeries) for results in all_results for series in results.series)
    power.set_title("Power, W" + (" (MODELLED where dotted, not measured)" if is_modelled else ""))
    if is_modelled and not is_overlay:
        power.set_facecolor("#fdf6e3")
    busy.set_title("Processor use, %")
    busy.set_xlabel("seconds since the loop began" if is_overlay else "seconds")
    lowest = min((value for results in all_results for one in results.series for value in one.values), default=0.0)
    for axis, bottom in ((power, min(0.0, lowest)), (busy, 0.0)):
        axis.margins(x=0.01, y=0.25)
        if axis.get_lines():
            axis.legend(loc="upper left", fontsize=7.5, ncols=4)
            axis.set_ylim(bottom=bottom)
    title = f"{len(all_results)} machines" if is_overlay else all_results[0].machine.title
    sent = all_results[0].extra[TRACE]["sent"]
    figure.suptitle(f"{sent} messages between two idle phases: {title}", x=0.01, ha="left")
    return figure


def _draw_power(axis: Axes, times_s: Sequence[float], series: Series, colour: str, name: str) -> None:
    is_modelled = isinstance(series, ModelledSeries)
    axis.plot(times_s, series.values, ":" if is_modelled else "-", color=colour, linewidth=1.3,
              label=f"{name}{domain_of(series)}{', modelled' if is_modelled else ''}")  # fmt: skip


def _loop_begin_s(results: Results) -> float:
    return next((begin_s for name, begin_s, _ in results.extra[TRACE]["phases"] if name == Phase.LOOP), 0.0)


def _mark_phases(axes: Sequence[Axes], results: Results, shift_s: float) -> None:
    for name, begin_s, end_s in results.extra[TRACE]["phases"]:
        for axis in axes:
            if name == Phase.LOOP:
                axis.axvspan(begin_s - shift_s, end_s - shift_s, color=_SHADE, zorder=0, linewidth=0)
        middle = (begin_s + end_s) / 2 - shift_s
        axes[0].annotate(name, (middle, 0.0), (0, 4), xycoords=("data", "axes fraction"), textcoords="offset points",
                         ha="center", va="bottom", fontsize=8, color=PUBLISHED_COLOUR)  # fmt: skip
