"""What every command begins with: the machine, its probes, its idle checks; and how each ends."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer
from matplotlib.figure import Figure
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from group_protocol.exit_codes import ExitCode
from measure.idle import Condition, IdleCheck, check_idle, observe_condition
from measure.machine import Machine, describe_machine
from measure.probes.finding import Found, ProbeWishes, look_for_probes, open_probe
from measure.probes.port import EnergyProbe
from measure.progress import ProgressBars
from measure.report.files import write_outputs
from measure.report.tables import Table, to_terminal
from measure.results import Results

_WATCHED_S: Final = 1.0
_PIPE_COLUMNS: Final = 160


@dataclass(frozen=True, slots=True)
class Bench:
    """Passed to every experiment.

    Attributes:
        console: Standard output, for results.
        aside: Standard error, for everything else.
    """

    machine: Machine
    condition: Condition
    checks: tuple[IdleCheck, ...]
    found: tuple[Found, ...]
    probe: EnergyProbe | None
    console: Console
    aside: Console

    @property
    def missing(self) -> dict[str, str]:
        """Why each probe that is not there is not."""
        return {one.name: one.missing for one in self.found if one.missing}

    @property
    def progress(self) -> ProgressBars:
        """Bars on standard error."""
        return ProgressBars(self.aside)


def make_consoles() -> tuple[Console, Console]:
    """Standard output and standard error; wide where no terminal limits them."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    out = Console()
    return (out if out.is_terminal else Console(width=_PIPE_COLUMNS)), Console(stderr=True)


def open_bench(wishes: ProbeWishes, *, requires_idle: bool = False) -> Bench:
    """Look at the machine before anything is measured, and say how quiet it is.

    Raises:
        ConfigurationError: The probe that was asked for is not there.
        typer.Exit: The machine is not quiet, and had to be.
    """
    console, aside = make_consoles()
    machine = describe_machine()
    found = look_for_probes(
        wishes,
        model_name=machine.model,
        architecture=machine.architecture,
        wait_for_meter=lambda: _wait_for_meter(wishes),
    )
    probe = open_probe(wishes, found)
    condition = observe_condition(_WATCHED_S)
    checks = check_idle(condition, machine)
    show_checks(aside, checks)
    if requires_idle and not all(check.holds for check in checks[:3]):
        aside.print("  Nothing was measured: the machine is not quiet (--require-idle).", style="bold red")
        raise typer.Exit(ExitCode.CHECK_FAILED)
    return Bench(machine, condition, checks, found, probe, console, aside)


def show_checks(aside: Console, checks: Sequence[IdleCheck]) -> None:
    """One line each."""
    for check in checks:
        mark = "[green]✓[/green]" if check.holds else "[yellow]![/yellow]"
        aside.print(f"  {mark} {escape(check.question)} {escape(check.answer)}", highlight=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One experiment's results and how they are shown.

    Attributes:
        appendix: Long tables: always in the files, on the terminal only when this experiment alone was asked for.
    """

    results: Results
    tables: Sequence[Table]
    plots: dict[str, Figure]
    appendix: Sequence[Table] = ()


def show_and_write(bench: Bench, out: Path, outcome: Outcome, *, shows_appendix: bool) -> None:
    """Write everything, then show the tables, the main ones last."""
    paths = write_outputs(out, outcome.results, [*outcome.tables, *outcome.appendix], outcome.plots)
    for table in [*(outcome.appendix if shows_appendix else ()), *outcome.tables]:
        bench.console.print(to_terminal(table))
    bench.aside.print(f"  Written to {out}: {', '.join(path.name for path in paths)}", highlight=False, style="dim")


def end(bench: Bench, results: Results) -> None:
    """End as the experiment did.

    Raises:
        typer.Exit: It was stopped or failed; what was measured is written.
    """
    if failure := results.extra.get("failure"):
        bench.aside.print(f"  {escape(failure)}", style="bold red", highlight=False)
        raise typer.Exit(ExitCode.CHECK_FAILED)
    if results.is_partial:
        bench.aside.print("  Stopped. What was measured until then is kept.", style="yellow")
        raise typer.Exit(ExitCode.INTERRUPTED)


def probes_table(found: Sequence[Found]) -> RichTable:
    """What there is and what is missing."""
    table = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("  Probe", "Kind", "What it is, or why it is not there"):
        table.add_column(name, overflow="fold")
    for one in found:
        kind, text = "–", f"{one.missing}. {one.remedy}"
        if one.card is not None:
            text = f"{', '.join(one.card.domains)}: {one.card.detail}"
            kind = "[yellow]modelled[/yellow]" if one.card.is_modelled else "[green]measured[/green]"
        text = (
            f"{one.missing}. {one.remedy}" if one.card is None else f"{', '.join(one.card.domains)}: {one.card.detail}"
        )
        table.add_row(f"  {one.name}", kind, escape(text))
    return table


def _wait_for_meter(wishes: ProbeWishes) -> None:
    """The run is over; give the meter's file the time to be complete or to be copied here."""
    if sys.stdin.isatty():
        typer.prompt(f"Is {wishes.meter_file} complete? Press Enter", default="", show_default=False, err=True)
