"""``python -m benchmarks [speed|profiles|leaks|load]…``: measures, prints, writes results. No word: all."""

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console

from benchmarks.leaks import run_leaks, write_leaks
from benchmarks.load.report import print_outcomes, run_load, write_outcomes
from benchmarks.machine import describe_machine, source_root
from benchmarks.markdown import LEAKS, LOAD, SPEED, write_page
from benchmarks.profiles import FOLDER, write_profiles
from benchmarks.results_file import write_samples, write_table
from benchmarks.speed import measure_all, tabulate
from benchmarks.table import print_machine, print_rows

_PARTS = ("speed", "profiles", "leaks", "load")


def run_speed(console: Console, results: Path, rounds_divisor: int) -> None:
    """Measure, print, write."""
    machine = describe_machine()
    print_machine(console, machine)
    collected = measure_all(rounds_divisor=rounds_divisor, report=lambda line: console.print(f"  {line}", style="dim"))
    rows = tabulate(collected)
    print_rows(console, "CPU time, scaled to 26 µs for one secp256k1 signature; bytes as they are", rows)
    write_samples(results / "speed_samples.json", collected, machine)
    write_table(results / SPEED, rows, machine)


def run_leaks_part(console: Console, results: Path, divisor: int) -> None:
    """Ask, write; the page shows it."""
    machine = describe_machine()
    findings = run_leaks(lambda line: console.print(f"  {line}", style="dim"), divisor=divisor)
    for found in findings:
        verdict = f"told apart after {found.samples_needed} of each" if found.is_told_apart else "not told apart"
        asked = found.question
        console.print(f"{asked.first} / {asked.second}: {found.first_us:.0f} / {found.second_us:.0f} µs,", end=" ")
        console.print(f"t = {found.t:.1f}: {verdict}")
    write_leaks(results / LEAKS, findings, machine)


def run_load_part(console: Console, results: Path, divisor: int) -> None:
    """Attack, print, write."""
    machine = describe_machine()
    print_machine(console, machine)
    outcomes = run_load(lambda line: console.print(f"  {line}", style="dim"), divisor=divisor)
    print_outcomes(console, outcomes)
    write_outcomes(results / LOAD, outcomes, machine)


def main(arguments: list[str]) -> int:
    """Answers 0; a missed target is a result, not an error, and stands in the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"any of {', '.join(_PARTS)}; all if none is named")
    parser.add_argument("--quick", action="store_true", help="a fifth of the rounds, a tenth of the load")
    parser.add_argument("--results", type=Path, default=source_root() / "benchmarks" / "results")
    chosen = parser.parse_args(arguments)
    parts = set(chosen.parts) or set(_PARTS)
    if not parts <= set(_PARTS):
        parser.error(f"there is no such part: {', '.join(sorted(parts - set(_PARTS)))}")
    console = Console(width=130)
    began_s = time.monotonic()
    chosen.results.mkdir(parents=True, exist_ok=True)
    if "speed" in parts:
        run_speed(console, chosen.results, 5 if chosen.quick else 1)
    if "profiles" in parts:
        write_profiles(chosen.results / FOLDER)
    if "leaks" in parts:
        run_leaks_part(console, chosen.results, 10 if chosen.quick else 1)
    if "load" in parts:
        run_load_part(console, chosen.results, 10 if chosen.quick else 1)
    write_page(chosen.results)
    console.print(f"{time.monotonic() - began_s:.0f} s; results in {chosen.results.name}/")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
