"""One HTML page with everything in it: tables, plots as SVG, no file beside it, no script, nothing from the network."""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.figure import Figure

from measure.machine import Machine
from measure.report.plots import to_image
from measure.report.tables import Table, to_html
from measure.results import Results

_STYLE: Final = """
:root { color-scheme: light; --ink: #1d2530; --dim: #647084; --line: #e2e6ec; --accent: #0b6e99; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 70rem; padding: 2.5rem 1.5rem 5rem; color: var(--ink); background: #fff;
  font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.25rem; margin: 3rem 0 .5rem; padding-top: 1.2rem; border-top: 2px solid var(--line); }
p.lead { color: var(--dim); margin: 0 0 1.2rem; }
figure { margin: 1.6rem 0; }
figcaption { font-weight: 600; margin-bottom: .5rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th { text-align: left; border-bottom: 2px solid var(--ink); padding: .35rem .9rem .35rem 0; white-space: nowrap; }
td { border-bottom: 1px solid var(--line); padding: .3rem .9rem .3rem 0; vertical-align: top; }
th.number, td.number { text-align: right; }
td.number { white-space: nowrap; }
td.modelled { color: #7a5a00; background: #fdf6e3; }
td.good { color: #2b7a3d; } td.bad { color: #b3261e; font-weight: 600; }
figure ul { color: var(--dim); font-size: 12.5px; margin: .6rem 0 0; padding-left: 1.1rem; }
img { max-width: 100%; height: auto; }
.note { border-left: 4px solid #d9a400; background: #fdf6e3; padding: .6rem .9rem; margin: 1rem 0; }
nav a { color: var(--accent); margin-right: 1.2rem; }
details summary { cursor: pointer; color: var(--accent); margin: 1rem 0; }
@media print { details > * { display: block; } h2 { break-before: page; } }
"""


@dataclass(frozen=True, slots=True)
class Section:
    """One experiment.

    Attributes:
        appendix: Tables that are long: folded away.
    """

    name: str
    title: str
    results: Results
    tables: Sequence[Table]
    plots: Mapping[str, Figure]
    appendix: Sequence[Table] = ()


def render_page(machine: Machine, manifest: Sequence[Table], sections: Sequence[Section]) -> str:
    """The whole page."""
    links = "".join(f'<a href="#{one.name}">{html.escape(one.title)}</a>' for one in sections)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>vgroup measure: {html.escape(machine.title)}</title><style>{_STYLE}</style></head><body>",
        "<h1>The paper's experiments, repeated</h1>",
        f'<p class="lead">{html.escape(_made_on(machine))}</p>',
        f'<nav>{links}<a href="#manifest">Manifest</a></nav>',
        *_warnings(sections),
        *map(_section, sections),
        '<h2 id="manifest">Manifest</h2>',
        *map(to_html, manifest),
        "</body></html>",
    ]
    return "\n".join(parts)


def _made_on(machine: Machine) -> str:
    return f"{machine.title}, {machine.system}, vgroup {machine.version} {machine.commit}"


def _warnings(sections: Sequence[Section]) -> list[str]:
    warnings = []
    if any(one.results.probe and one.results.probe.is_modelled for one in sections):
        warnings.append(
            "<strong>No energy was measured on this machine.</strong> Every power and energy is modelled from CPU time,"
            " is marked so, and is an order of magnitude at best."
        )
    failing = {check.answer for one in sections for check in one.results.checks if not check.holds}
    if failing:
        warnings.append(f"The machine was not as quiet as it should be: {html.escape('; '.join(sorted(failing)))}.")
    if any(one.results.is_partial for one in sections):
        warnings.append("This run was stopped before its end.")
    return [f'<p class="note">{warning}</p>' for warning in warnings]


def _section(section: Section) -> str:
    images = "".join(
        f'<figure><img alt="{html.escape(name)}" src="data:image/svg+xml;base64,{_svg(figure)}"></figure>'
        for name, figure in section.plots.items()
    )
    tables = "".join(map(to_html, section.tables))
    folded = "".join(map(to_html, section.appendix))
    appendix = f"<details><summary>Packets and fields</summary>{folded}</details>" if folded else ""
    return f'<h2 id="{section.name}">{html.escape(section.title)}</h2>{images}{tables}{appendix}'


def _svg(figure: Figure) -> str:
    return base64.b64encode(to_image(figure, "svg")).decode("ascii")
