"""What the demo shows: lines as things happen, and below them, on a terminal, a live table of the slaves."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

_REFRESH_PER_S: Final = 8
_ROWS_BELOW_TABLE: Final = 8
"""Lines of a terminal that the table leaves to its frame, the footer and the newest line above it."""
_FACT_NAME_WIDTH: Final = 9
_STATE_STYLES: Final = {"streaming": "green", "revoked": "red", "backing-off": "yellow"}


@dataclass(frozen=True, slots=True)
class SlaveRow:
    """One slave in the live table.

    Attributes:
        oid: Display form, two bytes in hex.
        ack_age_s: Seconds since its last acknowledgement; None before the first.
    """

    name: str
    state: str
    oid: str
    recording: str
    via: str
    records_sent: int
    records_acknowledged: int
    readings: int
    ack_age_s: float | None


class Screen:
    """Writes to a terminal, or line by line to anything else. Use as a context manager.

    Args:
        console: Where to. Rich finds out whether it is a terminal, how wide, and whether colours are wanted (NO_COLOR).
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._doing = ""
        self._rows: Sequence[SlaveRow] = ()
        self._footer = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                console=self._console,
                refresh_per_second=_REFRESH_PER_S,
                transient=True,
                get_renderable=self._render_live,
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    @property
    def is_live(self) -> bool:
        """Whether a table is shown that is drawn again and again."""
        return self._live is not None

    def heading(self, text: str) -> None:
        """Begin a part."""
        self._doing = ""
        self.line(f"\n[bold]{escape(text)}[/bold]")

    def doing(self, text: str) -> None:
        """Say what is going on, until something else is said. Shown on a terminal only."""
        self._doing = text

    def done(self, text: str) -> None:
        """Something went as it should."""
        self._doing = ""
        self._item("[green]✓[/green]", escape(text))

    def failed(self, text: str) -> None:
        """Something did not."""
        self._doing = ""
        self._item("[bold red]✗[/bold red]", f"[bold red]{escape(text)}[/bold red]")

    def detail(self, text: str) -> None:
        """More about the line before."""
        self._item(" ", f"[dim]{escape(text)}[/dim]")

    def line(self, markup: str) -> None:
        """A line as it is, never broken when it goes to a file or a pipe."""
        self._console.print(markup, highlight=False, soft_wrap=not self._console.is_terminal)

    def fact(self, name: str, text: str) -> None:
        """One line of a summary."""
        self._item(f"[bold]{escape(name):{_FACT_NAME_WIDTH}}[/bold]", escape(text), width=_FACT_NAME_WIDTH + 2)

    def _item(self, mark: str, markup: str, *, width: int = 3) -> None:
        """A line with a mark before it; on a terminal it is broken where it is too long, and stays indented."""
        if not self._console.is_terminal:
            self.line(f"  {mark} {markup}")
            return
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(width=width)
        grid.add_column()
        grid.add_row(f"  {mark}", Text.from_markup(markup))
        self._console.print(grid)

    def show(self, renderable: RenderableType) -> None:
        """Anything that Rich can draw."""
        self._console.print(renderable)

    def show_slaves(self, rows: Sequence[SlaveRow], footer: str) -> None:
        """What the live table shows from now on."""
        self._rows, self._footer = rows, footer

    def hide_slaves(self) -> None:
        """End the live table, and leave its last state among the lines."""
        rows, self._rows = self._rows, ()
        if rows and self.is_live:
            self.show(slaves_table(rows))

    def write_slaves(self, rows: Sequence[SlaveRow]) -> None:
        """The same as lines, where there is no live table."""
        for row in rows:
            self.line(
                f"    {row.name} {row.state} {row.oid or '----'} {row.recording} over {row.via}:"
                f" {row.records_sent} records sent, {row.records_acknowledged} acknowledged, {row.readings:,} readings"
            )

    def _render_live(self) -> RenderableType:
        parts: list[RenderableType] = []
        if self._rows:
            room = max(1, self._console.height - _ROWS_BELOW_TABLE)
            parts.append(slaves_table(self._rows[:room]))
            if len(self._rows) > room:
                parts.append(Text(f"  and {len(self._rows) - room} more slaves", style="dim"))
            parts.append(Text(f"  {self._footer}", style="dim", overflow="ellipsis", no_wrap=True))
        if self._doing:
            parts.append(Padding(Spinner("dots", Text(self._doing, style="dim", no_wrap=True)), (0, 0, 0, 2)))
        return Group(*parts)


def slaves_table(rows: Sequence[SlaveRow]) -> Table:
    """The slaves as a table that fits into 80 columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("  Slave", no_wrap=True)
    table.add_column("State", no_wrap=True)
    table.add_column("oid", no_wrap=True)
    table.add_column("Recording", no_wrap=True, overflow="ellipsis")
    for header in ("Sent", "Acked", "Readings", "Last ack"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            f"  {row.name}",
            Text(row.state, style=_STATE_STYLES.get(row.state, "")),
            row.oid or "-",
            f"{row.recording}, {row.via}",
            f"{row.records_sent:,}",
            f"{row.records_acknowledged:,}",
            f"{row.readings:,}",
            "-" if row.ack_age_s is None else f"{row.ack_age_s:.1f} s",
        )
    return table
