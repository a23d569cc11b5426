"""``python -m benchmarks.chain``: measures, prints tables, writes JSON, a page and plots into ``chain/results``.

Without ``--site`` all three chains, without ``--part`` all parts. A part that is measured replaces what the results
held of it and leaves the others as they are.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks.chain.gas import measure_gas
from benchmarks.chain.joins import ROUNDS, run_crowd
from benchmarks.chain.master_control import chain_master
from benchmarks.chain.page import write_page
from benchmarks.chain.plots import write_plots
from benchmarks.chain.results import Results
from benchmarks.chain.revocation import measure_revocations
from benchmarks.chain.sites import SITES, Site
from benchmarks.machine import source_root

PARTS: Final = ("gas", "joins", "revocation")
REVOCATIONS: Final = 110
BYSTANDERS: Final = 30
QUICK_REVOCATIONS: Final = 10
QUICK_ROUNDS: Final = {1: 3, 10: 1, 100: 1}

Say = Callable[[str], None]


async def measure_joins(site: Site, rounds: dict[int, int], log: Path, say: Say) -> list[dict[str, Any]]:
    """Every size of crowd, each on a master and a contract of its own."""
    crowds = []
    for devices, times in rounds.items():
        async with chain_master(site, log) as master:
            for at in range(times):
                crowd = await run_crowd(master, devices, at * devices)
                say(f"{site.name}: {devices} at once in {crowd.seconds:.2f} s, {crowd.transactions} transactions")
                crowds.append(crowd.as_json())
    return crowds


async def measure_site(site: Site, parts: set[str], results: Results, log: Path, *, is_quick: bool, say: Say) -> None:
    """All parts that make sense on this chain."""
    if "gas" in parts:
        results.put("gas", site.name, await measure_gas(site))
        say(f"{site.name}: gas")
    if "joins" in parts:
        rounds = QUICK_ROUNDS if is_quick else ROUNDS
        results.put("joins", site.name, await measure_joins(site, rounds, log, say))
    if "revocation" in parts and site.period_s:
        async with chain_master(site, log) as master:
            count = QUICK_REVOCATIONS if is_quick else REVOCATIONS
            revoked = await measure_revocations(site, master, count, BYSTANDERS)
        results.put("revocation", site.name, {"period_s": site.period_s, **revoked.as_json()})
        say(f"{site.name}: {len(revoked.cuts)} revocations")


def main(arguments: Sequence[str]) -> int:
    """Answers 0; a missed target is a result, and stands on the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chain", description=__doc__)
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--site", action="append", choices=tuple(SITES))
    parser.add_argument("--quick", action="store_true", help="few rounds, no thousand; a minute or two")
    parser.add_argument("--results", type=Path, default=source_root() / "benchmarks" / "chain" / "results")
    parser.add_argument("--note", default="", help="what else the machine did meanwhile; goes into the results")
    chosen = parser.parse_args(arguments)
    console = Console(width=130)
    began_s = time.monotonic()
    chosen.results.mkdir(parents=True, exist_ok=True)
    results = Results.read(chosen.results, note=chosen.note)
    log = source_root() / ".cache" / "bench-chain-master.log"
    log.parent.mkdir(exist_ok=True)
    for name in chosen.site or SITES:
        with SITES[name]() as site:
            parts = set(chosen.part or PARTS)
            say = lambda line: console.print(f"  {line}", style="dim")  # noqa: E731 - a name for it
            asyncio.run(measure_site(site, parts, results, log, is_quick=chosen.quick, say=say))
    write_page(results)
    write_plots(results)
    console.print((chosen.results / "README.md").read_text("utf-8"), markup=False)
    console.print(f"{time.monotonic() - began_s:.0f} s; results in {chosen.results}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
