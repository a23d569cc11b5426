"""The results as a page, written from the JSON: ``benchmarks/results/STREAMING.md``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

PAGE: Final = "STREAMING.md"
SIGNED_FLOOR_PER_S: Final = 12_000
P99_MAX_MS: Final = 250
RSS_MAX_MB: Final = 300
SLAVE_RSS_MAX_MB: Final = 60
SLAVE_CORES_MAX: Final = 0.02
REPLAY_MAX_S: Final = 120
GROWTH_MAX_MB: Final = 5
"""Less than this in the last half is no growth: Python's own pages come and go by as much."""
_MB_IN_MIB: Final = 1.048576
_DIFFERS: Final = """
## What differs from MQTT

| | here | Mosquitto with mutual TLS, QoS 1 |
|---|---|---|
| an acknowledgement means | committed to SQLite and synced to the disk, with all before it | the broker has the message in memory |
| persistence | before each acknowledgement | a snapshot of all messages each 1,800 s (`autosave_interval`) and at the end; no sync a message |
| delivered to | the store, where it stays | one subscriber, then it is gone |
| proof of origin | each record, by its device's signature or its checkpoint's: a third party can check it | the TLS session, as long as it lasts |
| membership | asked of the contract's register for each record | at the connection |
| repetition | recognised: once in the store, for ever | may be delivered twice |
| checked of the payload | SenML, strictly | nothing |
| after the run | every acknowledged record is verified again (`records.verify`), or the run fails | nothing |

The peer is driven by npm's client and by the broker's own library in C (one thread for each client), with the windows of
our own devices; the median of the fastest client and window, persistence on, is the target. Both sides' load runs on the same cores as the server. The devices use the slave's own session, outbox, delivery and
transport code; the floods and the crowd leave the slave's disk buffer out (payloads are made beforehand, as the peer's
are); the part `slave` has all of it.
"""  # noqa: E501 - a table


def write_page(folder: Path, document: Mapping[str, Any]) -> str:
    """Write and answer it."""
    machine = document["machine"]
    parts = [
        "# Results of `make bench-streaming`\n\nWritten by it.\n",
        f"{machine['cpu_model_name']}, {machine['cpu_count']} cores, {machine['platform']}, Python"
        f" {machine['python_version']}; {document['peer']}; load averages at the beginning"
        f" {machine['load average (1, 5, 15 min)']}, at the end {machine['load average at the end (1, 5, 15 min)']}."
        + (" A quick run: the figures say little." if document["quick"] else ""),
    ]
    if "flood" in document:
        parts.append(_floods(document["flood"]))
    if "anchors" in document:
        parts.append(_anchors(document["anchors"]))
    if "crowd" in document:
        parts.append(_crowd(document["crowd"]))
    if "slave" in document:
        parts.append(_slave(document["slave"]))
    page = "\n".join(parts) + "\n" + _DIFFERS
    (folder / PAGE).write_text(page, "utf-8")
    return page


def _floods(measured: Mapping[str, Any]) -> str:
    bound = measured["bound"]
    durable, best_turn = _peer_to_match([run for run in measured["peer"] if run["is_persistent"]])
    targets = {
        ("CHECKPOINTS", 1, 1, 400): durable,
        ("CHECKPOINTS", 256, 128, 64): 3 * durable,
        ("SIGNED", 256, 1, 1_024): max(SIGNED_FLOOR_PER_S, 0.6 * bound["both_per_s"]),
    }
    lines = [
        "\n## As fast as it goes: 20 devices, 64-byte readings\n",
        "| what | readings/s | target | verdict | server CPU, µs a reading | load's CPU, µs |",
        "|---|---:|---:|---|---:|---:|",
    ]
    for run in measured["peer"]:
        kept = "persistence on" if run["is_persistent"] else "persistence off"
        lines.append(
            f"| Mosquitto, {kept}, window {run['window']} ({run['client']}) | {run['delivered_per_s']:,.0f} | | |"
            f" {run['broker_cpu_us']:.1f} | {run['client_cpu_us']:.1f} |"
        )
    for run in measured["ours"]:
        target = targets.get(
            (run["evidence_policy"], run["frame_items_max"], run["readings_per_record"], run["window"])
        )
        lines.append(
            f"| {run['name']}, window {run['window']} | {run['readings_per_s']:,.0f} |"
            f" {_at_least(target)} | {_verdict(target is None or run['readings_per_s'] >= target, target)} |"
            f" {run['master_cpu_us']:.1f} | {run['device_cpu_us']:.1f} |"
        )
    turns = sum(run["is_persistent"] for run in measured["peer"])
    lines.append(
        f"\nThe peer to match: the median of its fastest client and window, {durable:,.0f}/s. Its best single turn of"
        f" {turns}, on a machine whose speed varies: {best_turn:,.0f}/s."
    )
    lines.append(
        f"\nSignatures alone, nothing else done: {bound['cores']} cores verify {bound['verified_per_s']:,.0f}/s;"
        f" they sign and verify {bound['both_per_s']:,.0f}/s, which is the bound where devices and master share them."
    )
    return "\n".join(lines)


def _peer_to_match(turns: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """The median of the client and window that came out fastest, and the best turn of all.

    The best of many noisy turns is no speed that anybody has, and ours are measured once each.
    """
    by_kind: dict[tuple[str, int], list[float]] = {}
    for turn in turns:
        by_kind.setdefault((turn["client"], turn["window"]), []).append(turn["delivered_per_s"])
    return max(median(kind) for kind in by_kind.values()), max(turn["delivered_per_s"] for turn in turns)


def _anchors(runs: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "\n## What anchoring costs\n",
        f"{runs[0]['name']}, window {runs[0]['window']}, in turns.\n",
        "| anchors | readings/s | server CPU, µs a reading |",
        "|---|---:|---:|",
    ]
    for run in runs:
        often = f"every {run['anchor_minutes'] * 60:g} s" if run["anchor_minutes"] else "none"
        lines.append(f"| {often} | {run['readings_per_s']:,.0f} | {run['master_cpu_us']:.1f} |")
    with_anchors = mean(run["readings_per_s"] for run in runs if run["anchor_minutes"])
    without = mean(run["readings_per_s"] for run in runs if not run["anchor_minutes"])
    lines.append(f"\nWith them {with_anchors / without:.0%} of the readings a second without.")
    return "\n".join(lines)


def _crowd(run: Mapping[str, Any]) -> str:
    rss_mb, growth_mb = run["rss_mib_max"] * _MB_IN_MIB, run["growth_mib"] * _MB_IN_MIB
    return _checks(
        f"{run['slaves']:,} slaves at {run['readings_per_s_each']:g} readings/s each, {run['seconds']:.0f} s"
        f" ({run['batch_readings']} to a record, and what the first waits for the last is in the times)",
        [
            ("reading to ACK, median", f"{run['p50_ms']:.0f} ms", "", None),
            ("reading to ACK, p99", f"{run['p99_ms']:.0f} ms", f"< {P99_MAX_MS} ms", run["p99_ms"] < P99_MAX_MS),
            ("reading to ACK, p99.9", f"{run['p999_ms']:.0f} ms", "", None),
            ("p99 of each minute", f"{' '.join(f'{p99_ms:.0f}' for p99_ms in run['p99_ms_by_minute'])} ms", "", None),
            ("acknowledged", f"{run['readings_per_s']:,.0f}/s", "", None),
            ("master's memory, at most", f"{rss_mb:.0f} MB", f"< {RSS_MAX_MB} MB", rss_mb < RSS_MAX_MB),
            ("growth in the second half", f"{growth_mb:.1f} MB", f"< {GROWTH_MAX_MB} MB", growth_mb < GROWTH_MAX_MB),
            ("master's CPU", f"{run['master_cores']:.2f} cores", "", None),
            ("devices' CPU", f"{run['device_cores']:.2f} cores", "", None),
        ],
    )


def _slave(run: Mapping[str, Any]) -> str:
    rss_mb = max(run["rss_mib"], run["replay_rss_mib"]) * _MB_IN_MIB
    return _checks(
        f"One slave as it ships, {run['rate_per_s']} readings/s",
        [
            ("memory, at most", f"{rss_mb:.1f} MB", f"< {SLAVE_RSS_MAX_MB} MB", rss_mb < SLAVE_RSS_MAX_MB),
            ("CPU", f"{run['cores']:.2%} of a core", f"< {SLAVE_CORES_MAX:.0%}", run["cores"] < SLAVE_CORES_MAX),
            (
                f"{run['offline_readings']:,} readings from its disk",
                f"{run['replay_s']:.1f} s",
                f"< {REPLAY_MAX_S} s",
                run["replay_s"] < REPLAY_MAX_S,
            ),
        ],
    )


def _checks(title: str, rows: Sequence[tuple[str, str, str, bool | None]]) -> str:
    lines = [f"\n## {title}\n", "| what | measured | target | verdict |", "|---|---:|---:|---|"]
    lines += [
        f"| {what} | {measured} | {target} | {'' if is_met is None else _verdict(is_met, 1)} |"
        for what, measured, target, is_met in rows
    ]
    return "\n".join(lines)


def _at_least(target: float | None) -> str:
    return "" if target is None else f"≥ {target:,.0f}"


def _verdict(is_met: bool, target: float | None) -> str:  # noqa: FBT001 - the verdict is what is written
    return "" if target is None else "met" if is_met else "missed"
