"""Bytes of a join as a picture: the paper's captures, its protocol here, and ours."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from measure.paper_baseline.http_form import CAPTURED
from measure.report.plots import OURS_COLOUR, PUBLISHED_COLOUR, THEIRS_COLOUR, new_figure, styled
from measure.traffic.run import SystemTraffic
from measure.traffic.tables import JOIN_PATHS, join_steps

_HEIGHT = 0.62


@styled
def draw_traffic(systems: Sequence[SystemTraffic]) -> Figure:
    """One bar a system, cut into steps; requests dark, answers light."""
    figure, (axis,) = new_figure(9.0, 0.65 * (len(systems) + 2))
    captured = [(step.path, step.request_bytes, step.answer_bytes) for step in CAPTURED]
    bars = [("paper's captures", PUBLISHED_COLOUR, captured)]
    for one in systems:
        steps = [(step.path, step.request_bytes, step.answer_bytes) for step in join_steps(one.capture)]
        bars.append((f"{one.system}, here", OURS_COLOUR if one.is_ours else THEIRS_COLOUR, steps))
    for at, (_, colour, steps) in enumerate(bars):
        left = 0
        for path, request_bytes, answer_bytes in steps:
            for part, alpha in ((request_bytes, 1.0), (answer_bytes, 0.55)):
                axis.barh(at, part, _HEIGHT, left, color=colour, alpha=alpha, edgecolor="white")
                if part >= 230:
                    axis.text(
                        left + part / 2,
                        at,
                        f"{part:,}",
                        ha="center",
                        va="center",
                        fontsize=7,
                        color="white" if alpha == 1 else "#222222",
                    )
                left += part
            middle = left - (request_bytes + answer_bytes) / 2
            axis.text(middle, at - _HEIGHT / 2 - 0.04, path, ha="center", va="bottom", fontsize=6.5, color="#555555")
        axis.text(left + 60, at, f"{left:,}", va="center", fontsize=9, fontweight="bold")
    axis.set_yticks(range(len(bars)), [name for name, _, _ in bars])
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    axis.set_xlabel(f"bytes of HTTP, {', '.join(JOIN_PATHS)}; dark: request, light: answer")
    axis.set_title("Bytes on the wire to join a group")
    axis.margins(x=0.1)
    return figure
