"""Run the demo and draw what it showed: `python tools/picture_demo.py docs/demo.svg`."""

import asyncio
import io
import re
import sys
from pathlib import Path

from rich.console import Console

from vgroup.demo.closing import show_summary
from vgroup.demo.scenario import play
from vgroup.demo.screen import Screen
from vgroup.demo.settings import DemoSettings

WIDTH = 116
"""Columns: the longest line of the demo fits."""


async def draw(console: Console) -> bool:
    """Play the demo with its defaults on this console; whether everything held."""
    with Screen(console) as screen:
        summary = await play(DemoSettings(), screen)
        show_summary(screen, summary)
    return summary.holds


def main() -> int:
    """Write the picture if everything held; 0 if so, 1 else."""
    console = Console(record=True, file=io.StringIO(), width=WIDTH)
    if not asyncio.run(draw(console)):
        print(console.export_text())
        return 1
    picture = console.export_svg(title="vgroup demo")
    # Rich names a font on the network; without it the viewer takes its own monospaced one.
    Path(sys.argv[1]).write_text(re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
