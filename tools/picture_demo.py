"""Run the demo and show what it showed: `python tools/picture_demo.py docs/demo.svg README.md` (`make demo-picture`).

The picture has all of it; the README, between the fences below "`make demo` ends like this", the first attacks, the
beginning of the revocation, and the summary. For a quiet machine: the times of a join are in it.
"""

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
QUOTED = {"Attacks on the running system": 5, "Revoking slave-3": 3, "Summary": 100}
"""What the README shows: so many lines of a part, its heading among them."""
BLOCK = re.compile(r"(`make demo` ends like this.*?\n```\n).*?(```\n)", re.DOTALL)


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
    text = console.export_text(clear=False)
    picture = console.export_svg(title="vgroup demo")
    # Rich names a font on the network; without it the viewer takes its own monospaced one.
    Path(sys.argv[1]).write_text(re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL), "utf-8")
    readme = Path(sys.argv[2])
    readme.write_text(quote(readme.read_text("utf-8"), text), "utf-8")
    return 0


def quote(readme: str, shown: str) -> str:
    """The README with what was shown now. Raises ValueError: a part, or the place for it, is not there."""
    parts = {part.partition("\n")[0].strip(): part for part in re.split(r"\n\s*\n(?=\S)", shown.strip("\n"))}
    lines = []
    for heading, most in QUOTED.items():
        if heading not in parts:
            raise ValueError(f"the demo shows no {heading!r} any more")
        part = [line.rstrip() for line in parts[heading].rstrip().splitlines()]
        lines += [*part[:most], *(["    …"] if len(part) > most else [])]
    changed, count = BLOCK.subn(lambda found: found[1] + "\n".join(lines) + "\n" + found[2], readme)
    if count != 1:
        raise ValueError("the README has no place for the demo")
    return changed


if __name__ == "__main__":
    sys.exit(main())
