"""The page of results, as Markdown, from the results file."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from benchmarks.chain.figures import percentiles
from benchmarks.chain.joined import crowd_sizes
from benchmarks.chain.results import Results

REVOCATION_TARGET_MARGIN_S: Final = 1.0
"""The target: p99 from the block to the cut within one block period and this."""

_HEAD: Final = """# Results of `make bench-chain`

Written by it; raw values of every single join and revocation are in `chain.json`. All processes, devices too, are on
the one machine. Each join is a new H1 device on a connection and a loopback address of its own, against a master as it
is shipped, store on disk, on a contract of its own.
"""
_JOINS: Final = """
## Joining

Milliseconds of the wall clock from before M1 to after M6, of devices that start at the same instant. *Crypto*: both
sides' handshake. *Chain*: from the master's request to its registry until the receipt, time in its batch and the
replica's included. *Rest*: HTTP, the store's commits, and waiting for the processor.
"""
_TABLE: Final = "| chain | devices | rounds | p50 | p95 | p99 | crypto p50 / p99 | chain p50 / p99 | rest p50 / p99 |"
_CROWDS: Final = """
## Associations a second, and a thousand that start at once

From the first M1 to the last M6. *Lost*: devices that were no members afterwards. *Twice*: members beyond those that
asked. *Told to wait*: answers "later" and PENDING, after which a device asked again.
"""


def write_page(results: Results) -> None:
    """``README.md`` beside the results."""
    parts = [_HEAD, "\n".join(_machine(results))]
    if results.values("gas"):
        parts.append(
            "\n".join(
                ["\n## Gas\n", "Gas used, as receipts say it; of a batch, for each device in it.\n", *_gas(results)]
            )
        )
    if results.values("joins"):
        parts += [_JOINS, "\n".join(_joins(results)), _CROWDS, "\n".join(_crowds(results))]
    if results.values("revocation"):
        parts.append("\n".join(_revocation(results)))
    (results.folder / "README.md").write_text("\n".join(parts) + "\n", "utf-8")


def _machine(results: Results) -> Iterator[str]:
    machine = results.document["machine"]
    yield (
        f"{machine.get('cpu_model_name', 'unknown processor')}, {machine['cpu_count']} cores, "
        f"{machine['memory MiB']:,} MiB, {machine['platform']}, Python {machine['python_version']}.\n"
    )
    for part in ("gas", "joins", "revocation"):
        for site in results.values(part):
            measured = results.measured(part, site)
            note = f"; {measured['note']}" if measured["note"] else ""
            load = ", ".join(f"{each:g}" for each in measured["load_average"])
            yield f"- {part}, {site}: {measured['at']}, load averages {load}{note}"


def _gas(results: Results) -> Iterator[str]:
    by_site = results.values("gas")
    acts = list(next(iter(by_site.values())))
    yield f"| act | {' | '.join(by_site)} |"
    yield f"|---|{'---:|' * len(by_site)}"
    for act in acts:
        yield f"| {act} | {' | '.join(f'{gas[act]:,.0f}' for gas in by_site.values())} |"


def _joins(results: Results) -> Iterator[str]:
    yield _TABLE
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for site, crowds in results.values("joins").items():
        for size in crowd_sizes(crowds):
            total = size.times["total_s"]
            split = (_pair(size.times[name]) for name in ("crypto_s", "chain_s", "other_s"))
            columns = [_ms(total[name]) for name in ("p50", "p95", "p99")]
            yield f"| {site} | {size.devices:,} | {size.rounds} | {' | '.join(columns)} | {' | '.join(split)} |"


def _crowds(results: Results) -> Iterator[str]:
    yield "| chain | devices | seconds | associations/s | transactions | gas per device | lost | twice | told to wait |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for site, crowds in results.values("joins").items():
        for size in crowd_sizes(crowds):
            yield (
                f"| {site} | {size.devices:,} | {size.seconds:.2f} | {size.per_s:.1f} | {size.transactions:g} "
                f"| {size.gas_per_device:,.0f} | {size.lost} | {size.twice} | {size.repeats} |"
            )


def _revocation(results: Results) -> Iterator[str]:
    yield "\n## Revocation in time\n"
    yield "From the `Revoked` event's block to the moment when the device saw its stream closed. The revocations came"
    yield "from another gateway with another account: the master heard of them from the chain alone.\n"
    yield "| chain | revocations | streaming | records/s | from | p50 ms | p95 ms | p99 ms | target | verdict |"
    yield "|---|---:|---:|---:|---|---:|---:|---:|---:|---|"
    for site, found in results.values("revocation").items():
        target_s = found["period_s"] + REVOCATION_TARGET_MARGIN_S
        rate = found["records_acknowledged"] / found["seconds"]
        for name, begin in (("its timestamp", "block_unix_s"), ("its arrival at the node", "arrived_unix_s")):
            seen = percentiles(delays(found["cuts"], begin))
            verdict = "met" if seen["p99"] <= target_s else "MISSED"
            columns = " | ".join(_ms(seen[each]) for each in ("p50", "p95", "p99"))
            yield (
                f"| {site} | {seen['count']} | {found['members']} | {rate:.0f} | {name} | {columns} "
                f"| ≤ {target_s * 1e3:,.0f} ms | {verdict} |"
            )


def delays(cuts: Sequence[dict[str, Any]], begin: str) -> list[float]:
    """Seconds from a block's timestamp or arrival to the cut. Never below zero: the cut may be heard first."""
    return [max(0.0, cut["cut_unix_s"] - cut[begin]) for cut in cuts]


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1e3
    return f"{milliseconds:,.0f}" if milliseconds >= 10 else f"{milliseconds:.1f}"


def _pair(seen: dict[str, float]) -> str:
    return f"{_ms(seen['p50'])} / {_ms(seen['p99'])}"
