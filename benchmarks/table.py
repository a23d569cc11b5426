"""The table that ``make bench`` prints."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.machine import Description
from benchmarks.speed import Row

_STYLES = {"met": "green", "MISSED": "bold red", "": ""}


def format_value(value: float, unit: str) -> str:
    """With as many digits as mean something."""
    if unit in {"bytes", "connections"}:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if value >= 10 else f"{value:,.2f}"


def print_rows(console: Console, title: str, rows: Sequence[Row]) -> None:
    """What, median with quartiles, target, verdict."""
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    table.add_column("median", justify="right")
    table.add_column("quartiles", justify="right")
    table.add_column("target", justify="right")
    table.add_column("verdict")
    for row in rows:
        is_exact = row.low == row.high
        quartiles = "" if is_exact else f"{format_value(row.low, row.unit)}–{format_value(row.high, row.unit)}"
        target = "" if row.target is None else f"≤ {format_value(row.target, row.unit)}"
        median = f"{format_value(row.median, row.unit)} {row.unit}"
        table.add_row(row.what, median, quartiles, target, row.verdict, style=_STYLES[row.verdict])
    console.print(table)


def print_machine(console: Console, machine: Description) -> None:
    """One line of it."""
    console.print(
        f"{machine.get('cpu_model_name', 'unknown processor')}, {machine.get('cpu_count', '?')} cores;"
        f" {machine.get('platform', '')}; Python {machine.get('python_version', '')};"
        f" load {machine['load average (1, 5, 15 min)']}",
        highlight=False,
        soft_wrap=True,
    )
