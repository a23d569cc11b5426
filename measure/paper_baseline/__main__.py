"""`python -m measure.paper_baseline [JOINS]`: joins over loopback, and the table of their bytes beside the captures."""

import asyncio
import os
import sys

from measure.paper_baseline.traffic import count_join, render_table

DEFAULT_JOINS = 20
"""Most of a second each: two RSA keys are made for every one."""


async def _count(joins: int) -> str:
    return render_table([await count_join(os.urandom) for _ in range(joins)])


def main(arguments: list[str]) -> int:
    """Print the table; 2 where the argument is not a positive number."""
    wanted = arguments[0] if arguments else str(DEFAULT_JOINS)
    if len(arguments) > 1 or not wanted.isdecimal() or int(wanted) == 0:
        sys.stderr.write("usage: python -m measure.paper_baseline [JOINS]   (JOINS: a positive number)\n")
        return 2
    sys.stdout.write(asyncio.run(_count(int(wanted))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
