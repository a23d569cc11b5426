"""``python -m benchmarks.streaming [flood|anchors|crowd|slave]…``: runs beside Mosquitto, writes the results.

Without a word: all. ``--quick`` takes about three minutes and is good for seeing that everything runs.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine, source_root
from benchmarks.mqtt.broker import describe_broker
from benchmarks.mqtt.measure import Client, measure_peer
from benchmarks.streaming.bounds import measure_bound
from benchmarks.streaming.crowd import run_crowd
from benchmarks.streaming.floods import ANCHORED, DEVICES, FLOODS, Flood, run_flood
from benchmarks.streaming.one_slave import DAY_S, run_slave
from benchmarks.streaming.page import write_page
from benchmarks.streaming.payloads import READING_BYTES

_PARTS = ("flood", "anchors", "crowd", "slave")
_PEERS = ((Client.NODE, 20), (Client.NODE, 100), (Client.NODE, 400), (Client.C, 100))
"""Clients and windows of the peer's publishers: all are tried, and the fastest counts, by its median. The windows are
those of our own devices."""
RESULTS = "streaming.json"

Report = Callable[[str], None]


async def measure_floods(for_s: int, folder: Path | None, report: Report) -> dict[str, Any]:
    """The peer and ours in turns, so that a machine that slows down slows both."""
    measured: dict[str, Any] = {"peer": [], "ours": [], "bound": measure_bound(min(for_s, 5)).as_json()}
    for flood in FLOODS:
        for client, window, is_persistent in _peers_beside(flood):
            peer = await measure_peer(
                client=client,
                is_persistent=is_persistent,
                publishers=DEVICES,
                window=window,
                payload_bytes=READING_BYTES,
                warm_s=3.0,
                for_s=for_s,
                parent=folder,
            )
            measured["peer"].append(peer.as_json() | {"load": os.getloadavg()[0]})
            report(
                f"Mosquitto, persistence {is_persistent}, window {window}, {client.value}:"
                f" {peer.delivered_per_s:,.0f}/s"
            )
        ours = await run_flood(flood, for_s, folder)
        measured["ours"].append(ours.as_json() | {"load": os.getloadavg()[0]})
        report(f"{flood.name}, window {flood.window}: {ours.readings_per_s:,.0f}/s")
    return measured


def _peers_beside(flood: Flood) -> Iterator[tuple[Client, int, bool]]:
    """Before the first of our floods all of them, before the others the two that came out fastest."""
    if flood is FLOODS[0]:
        yield from ((client, window, True) for client, window in _PEERS)
        yield Client.NODE, 100, False
    elif flood.window not in (20, 100):
        yield Client.NODE, 100, True
        yield Client.NODE, 400, True


async def measure_anchors(for_s: int, folder: Path | None, report: Report) -> list[dict[str, object]]:
    """What anchoring costs who streams: the same flood with and without."""
    measured = []
    for flood in ANCHORED:
        run = await run_flood(flood, for_s, folder)
        measured.append(run.as_json() | {"load": os.getloadavg()[0]})
        report(f"anchors every {flood.anchor_minutes * 60:g} s: {run.readings_per_s:,.0f}/s")
    return measured


async def measure(parts: set[str], *, is_quick: bool, folder: Path | None, minutes: float, report: Report) -> Any:  # noqa: ANN401 - JSON
    """The parts, as JSON."""
    document: dict[str, Any] = {"machine": describe_machine(), "peer": describe_broker(), "quick": is_quick}
    if "flood" in parts:
        document["flood"] = await measure_floods(4 if is_quick else 20, folder, report)
    if "anchors" in parts:
        document["anchors"] = await measure_anchors(7 if is_quick else 30, folder, report)
    if "crowd" in parts:
        slaves, for_s = (100, 15) if is_quick else (1_000, round(minutes * 60))
        crowd = await run_crowd(slaves, 10.0, for_s, folder)
        document["crowd"] = crowd.as_json() | {"load": os.getloadavg()[0]}
        report(f"{slaves} slaves: p99 {crowd.p99_ms:.0f} ms, {crowd.rss_mib_max:.0f} MiB")
    if "slave" in parts:
        slave = await run_slave(10.0 if is_quick else 60.0, DAY_S // 10 if is_quick else DAY_S, folder)
        document["slave"] = slave.as_json() | {"load": os.getloadavg()[0]}
        report(f"slave: {slave.rss_mib:.0f} MiB, {slave.cores:.2%} of a core, replay {slave.replay_s:.0f} s")
    document["machine"]["load average at the end (1, 5, 15 min)"] = [round(load, 2) for load in os.getloadavg()]
    return document


def main(arguments: list[str]) -> int:
    """Answers 0; a missed target is a result, not an error, and stands in the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"any of {', '.join(_PARTS)}; all if none is named")
    parser.add_argument("--quick", action="store_true", help="a few seconds of each")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the thousand slaves stay")
    parser.add_argument("--folder", type=Path, help="where the stores are made; default: the system's folder for such")
    parser.add_argument("--results", type=Path, default=source_root() / "benchmarks" / "results")
    chosen = parser.parse_args(arguments)
    parts = set(chosen.parts) or set(_PARTS)
    if not parts <= set(_PARTS):
        parser.error(f"there is no such part: {', '.join(sorted(parts - set(_PARTS)))}")
    began_s = time.monotonic()

    def report(line: str) -> None:
        print(f"{time.monotonic() - began_s:5.0f} s  {line}", flush=True)  # noqa: T201 - this program's output

    document = asyncio.run(
        measure(parts, is_quick=chosen.quick, folder=chosen.folder, minutes=chosen.minutes, report=report)
    )
    chosen.results.mkdir(parents=True, exist_ok=True)
    path = chosen.results / RESULTS
    if path.exists():  # parts that were not measured now stay as they were, each with the load that it saw
        document = json.loads(path.read_text("utf-8")) | document
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    page = write_page(chosen.results, document)
    print(page)  # noqa: T201 - this program's output
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
