"""Progress bars on everything long; on anything but a terminal, nothing."""

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class ProgressBars:
    """Shows how far a loop is. A loop that is left early leaves its bar where it was.

    Args:
        console: Where to; standard error, so that standard output stays clean.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, numbers: Iterable[int], what: str) -> Iterator[int]:
        """Pass the numbers on."""
        items = list(numbers)
        with Progress(
            TextColumn("  {task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=self._console, transient=True, disable=not self._console.is_terminal,
        ) as progress:  # fmt: skip
            task = progress.add_task(what, total=len(items))
            for item in items:
                yield item
                progress.advance(task)
