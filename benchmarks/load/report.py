"""Load results: run all scenarios, print them, write them."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.load.scenarios import FACTOR_MAX, SCENARIOS, Outcome, run_scenario, smaller
from benchmarks.machine import Description


def run_load(report: Callable[[str], None], *, divisor: int = 1) -> list[Outcome]:
    """All scenarios, one after the other, each on a fresh master."""
    outcomes = []
    for scenario in SCENARIOS:
        report(scenario.name)
        chosen = scenario if divisor == 1 else smaller(scenario, divisor)
        outcomes.append(asyncio.run(run_scenario(chosen)))
    return outcomes


def write_outcomes(path: Path, outcomes: Sequence[Outcome], machine: Description) -> None:
    """As JSON, with the machine."""
    document = {"machine": machine, "scenarios": [outcome.as_json() for outcome in outcomes]}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")


def print_outcomes(console: Console, outcomes: Sequence[Outcome]) -> None:
    """One line for each: the honest device, what the attacker got, the master's memory."""
    table = Table(title=f"an honest device's join beside an attack; target ≤ {FACTOR_MAX:g} ×", title_justify="left")
    for column in ("attack", "join, quiet", "beside", "factor", "told to wait", "attacker got", "RSS MiB", "half open"):
        table.add_column(column)
    for outcome in outcomes:
        table.add_row(*_cells(outcome), style="green" if outcome.factor <= FACTOR_MAX else "bold red")
    console.print(table)


def _cells(outcome: Outcome) -> tuple[str, ...]:
    memory = outcome.memory
    answers = ", ".join(
        f"{count:,} {name}" for name, count in sorted(outcome.answers.items()) if name != "milliseconds"
    )
    return (
        outcome.name,
        f"{outcome.quiet_ms:.0f} ms",
        f"{outcome.beside_ms:.0f} ms" if outcome.joins_beside else "none joined",
        f"{outcome.factor:.1f} ×",
        f"{outcome.told_to_wait} ({outcome.joins_beside} joined)",
        f"{answers} in {outcome.answers['milliseconds'] / 1_000:.0f} s",
        f"{memory.before:.0f}, peak {memory.peak:.0f}, after {memory.after:.0f}"
        + ("" if memory.again is None else f", again {memory.again:.0f}"),
        f"peak {memory.half_open_peak}, after {memory.half_open_after}",
    )
