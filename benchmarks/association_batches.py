"""What batches of associations cost and bring, side by side in one run (``docs/adr/0021-association-batches.md``).

``python -m benchmarks.association_batches`` (``make bench-batches``): 200 devices, all at once and spread over two
seconds, on the embedded chain and on anvil with a block a second, for each setting. Four minutes on a quiet machine.
Writes ``results/association_batches.json``.
"""

import asyncio
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.machine import describe_machine
from chain_gateway import GatewayConfig, open_registry
from chain_gateway.config import BatchTerms
from group_protocol.ports import GroupRegistry
from tests.registry_suite.backends import set_stage
from tests.support.anvil import run_anvil, write_key

DEVICES: Final = 200
SPREADS_S: Final = (0.0, 2.0)
RESULTS: Final = Path(__file__).parent / "results" / "association_batches.json"
TERMS: Final = {
    "each alone": BatchTerms(window_s=0.0, size=1, at_once=400),
    "window 0": BatchTerms(window_s=0.0),
    "window 50 ms": BatchTerms(),
    "window 250 ms": BatchTerms(window_s=0.25),
    "only when the one before is back": BatchTerms(window_s=3_600.0),
    "window 50 ms, 150 in a batch": BatchTerms(size=150),
}


async def measure(registry: GroupRegistry, spread_s: float) -> dict[str, Any]:
    """One crowd on an empty register."""
    stage = await set_stage(registry)
    gid = stage.sign.gid_of("master")
    await registry.create_group(stage.sign.create_group("master"))
    wishes = [stage.sign.associate(f"device {number}", gid, master="master") for number in range(DEVICES)]
    waits_s: list[float] = []

    async def join(number: int) -> tuple[bytes, int]:
        await asyncio.sleep(spread_s * number / DEVICES)
        began_s = time.perf_counter()
        receipt = await registry.associate(wishes[number])
        waits_s.append(time.perf_counter() - began_s)
        return receipt.position.transaction_hash, receipt.gas

    began_s = time.perf_counter()
    gas = dict(await asyncio.gather(*(join(number) for number in range(DEVICES))))
    took_s = time.perf_counter() - began_s
    waits_s.sort()
    return {
        "seconds": round(took_s, 3),
        "wait_p50_ms": round(waits_s[DEVICES // 2] * 1e3, 1),
        "wait_p99_ms": round(waits_s[DEVICES * 99 // 100] * 1e3, 1),
        "transactions": len(gas),
        "gas_each": round(sum(gas.values()) / DEVICES),
    }


@asynccontextmanager
async def embedded(terms: BatchTerms) -> AsyncIterator[GroupRegistry]:
    """A chain of its own for each measurement."""
    with tempfile.TemporaryDirectory() as folder:
        config = GatewayConfig(Path(folder), batches=terms)
        async with open_registry(config, time.time, deploy_if_missing=True) as registry:
            yield registry


@asynccontextmanager
async def anvil(terms: BatchTerms) -> AsyncIterator[GroupRegistry]:
    """A node of its own for each measurement, with a block a second."""
    with run_anvil("--block-time", "1") as url, tempfile.TemporaryDirectory() as folder:
        key_file = write_key(Path(folder) / "relayer.key")
        config = GatewayConfig(Path(folder) / "gateway", url=url, relayer_key_file=key_file, batches=terms)
        async with open_registry(config, time.time, deploy_if_missing=True) as registry:
            yield registry


async def measure_all() -> list[dict[str, Any]]:
    """Every chain, setting and spread."""
    rows = []
    for chain, opened in (("embedded", embedded), ("anvil, 1 s", anvil)):
        for name, terms in TERMS.items():
            for spread_s in SPREADS_S:
                async with opened(terms) as registry:
                    row = {"chain": chain, "terms": name, "spread_s": spread_s, **await measure(registry, spread_s)}
                rows.append(row)
                sys.stdout.write(json.dumps(row) + "\n")
                sys.stdout.flush()
    return rows


def main() -> None:
    """Measure and write."""
    rows = asyncio.run(measure_all())
    settings = {name: dataclasses.asdict(terms) for name, terms in TERMS.items()}
    results = {"machine": describe_machine(), "devices": DEVICES, "terms": settings, "rows": rows}
    RESULTS.write_text(json.dumps(results, indent=1, default=str) + "\n", "utf-8")


if __name__ == "__main__":
    main()
