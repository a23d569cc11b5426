"""Watching the slaves stream."""

import asyncio
from time import perf_counter
from typing import Final

from vgroup.demo.stage import Stage

_POLL_S: Final = 0.25
_FIRST_LINES_S: Final = 0.5
_LINES_EVERY_S: Final = 3.0
"""Where there is no live table."""


async def watch(stage: Stage, seconds: float) -> None:
    """Let the slaves stream for some seconds, and show how far they are."""
    began_s = perf_counter()
    next_lines_s = began_s + _FIRST_LINES_S
    while (now_s := perf_counter()) < began_s + seconds:
        stage.screen.doing(f"streaming for {began_s + seconds - now_s:.0f} s more")
        rows = [slave.row() for slave in stage.slaves]
        stage.screen.show_slaves(rows, stage.footer)
        if not stage.screen.is_live and now_s >= next_lines_s:
            stage.screen.write_slaves(rows)
            next_lines_s = now_s + _LINES_EVERY_S
        await asyncio.sleep(min(_POLL_S, began_s + seconds - now_s))
    stage.summary.streamed_s += perf_counter() - began_s
