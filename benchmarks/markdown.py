"""The results once more as Markdown, written from the JSON files: a page that no hand has to keep up."""

import json
from pathlib import Path
from typing import Any

from benchmarks.table import format_value

SPEED = "speed.json"
LOAD = "load.json"
LEAKS = "leaks.json"
PAGE = "README.md"


def write_page(results: Path) -> None:
    """Write the page of whatever results there are."""
    parts = ["# Results of `make bench`\n\nWritten by it; what the lines mean stands in `docs/benchmarks.md`.\n"]
    if (results / SPEED).exists():
        parts.append(_speed(json.loads((results / SPEED).read_text("utf-8"))))
    if (results / LOAD).exists():
        parts.append(_load(json.loads((results / LOAD).read_text("utf-8"))))
    if (results / LEAKS).exists():
        parts.append(_leaks(json.loads((results / LEAKS).read_text("utf-8"))))
    (results / PAGE).write_text("\n".join(parts), "utf-8")


def _speed(document: dict[str, Any]) -> str:
    lines = [
        f"## Speed\n\n{_machine(document['machine'])}\n",
        "| what | median | quartiles | target | verdict |",
        "|---|---:|---:|---:|---|",
    ]
    for row in document["rows"]:
        unit, is_exact = row["unit"], row["low"] == row["high"]
        quartiles = "" if is_exact else f"{format_value(row['low'], unit)}–{format_value(row['high'], unit)}"
        target = "" if row["target"] is None else f"≤ {format_value(row['target'], unit)}"
        median = f"{format_value(row['median'], unit)} {unit}"
        lines.append(f"| {row['what']} | {median} | {quartiles} | {target} | {row['verdict']} |")
    return "\n".join(lines) + "\n"


def _load(document: dict[str, Any]) -> str:
    lines = [
        f"## Load\n\n{_machine(document['machine'])} RSS: before, peak, after (again).\n",
        "| attack | join in quiet | beside | factor | told to wait | attacker got | RSS MiB | half open: peak, end |",
        "|---|---:|---:|---:|---:|---|---|---|",
    ]
    for one in document["scenarios"]:
        memory, answers = one["memory"], dict(one["answers"])
        seconds = answers.pop("milliseconds") / 1_000
        got = ", ".join(f"{count:,} {name}" for name, count in sorted(answers.items()))
        again = "" if memory["again"] is None else f" ({memory['again']:.0f})"
        factor = "none joined" if one["factor"] is None else f"{one['factor']:.1f} ×"
        lines.append(
            f"| {one['name']} | {one['quiet_ms']:.0f} ms | {one['beside_ms']:.0f} ms | {factor} |"
            f" {one['told_to_wait']} ({one['joins_beside']} joined) | {got} in {seconds:.0f} s |"
            f" {memory['before']:.0f}, {memory['peak']:.0f}, {memory['after']:.0f}{again} |"
            f" {memory['half_open_peak']}, {memory['half_open_after']} |"
        )
    return "\n".join(lines) + "\n"


def _leaks(document: dict[str, Any]) -> str:
    lines = [
        f"## Time of refusals\n\n{_machine(document['machine'])} Wall time over loopback, without the slowest tenth.\n",
        "| first | second | would tell | µs | Welch's t | told apart |",
        "|---|---|---|---:|---:|---|",
    ]
    for one in document["findings"]:
        asked, needed = one["question"], one["samples_needed"]
        verdict = f"after {needed:,} of each" if one["told_apart"] else f"not by {one['samples']:,} of each"
        lines.append(
            f"| {asked['first']} | {asked['second']} | {asked['secret']} |"
            f" {one['first_us']:.0f}, {one['second_us']:.0f} | {one['t']:.1f} | {verdict} |"
        )
    return "\n".join(lines) + "\n"


def _machine(machine: dict[str, Any]) -> str:
    return (
        f"{machine['cpu_model_name']}, {machine['cpu_count']} cores, {machine['platform']},"
        f" Python {machine['python_version']}; load averages at the beginning {machine['load average (1, 5, 15 min)']}."
    )
