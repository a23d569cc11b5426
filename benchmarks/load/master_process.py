"""``python -m benchmarks.load.master_process FOLDER [SETTING=NUMBER]…``: a master in a process of its own.

As it runs, but for the contract, for which the tests' fake stands. It says its port as one line of JSON, then answers
each line on stdin with one: ``codes N`` makes pairing codes, ``state`` tells what it holds; the end of stdin ends it.
"""

import asyncio
import sys
from pathlib import Path

from benchmarks.child_process import tell_driver
from benchmarks.fixtures import IDENTITY, MASTER_KEY
from master_api.config import MasterConfig
from master_api.context import build_context
from master_api.operations import Endpoint, Operations
from master_api.pairing import invite
from master_api.service import MasterService
from master_api.store.store import Store
from system_ports import event_loop
from system_ports.clock import SystemClock
from system_ports.randomness import SystemRandom
from tests.support.fake_registry import FakeRegistry

_CODE_LIFETIME_S = 3_600.0


async def serve(folder: Path, settings: dict[str, int]) -> None:
    """Until stdin ends."""
    config = MasterConfig(data_dir=folder, port=0, shutdown_s=1.0, **settings)  # type: ignore[arg-type] # by name
    clock = SystemClock()
    store = Store(config.resolved_store_url)
    registry = FakeRegistry(clock.now_unix_s, IDENTITY)
    service = MasterService(build_context(config, MASTER_KEY, registry, store, clock, SystemRandom()))
    try:
        await service.open()
        port = await service.listen()
        await Operations(service, Endpoint("127.0.0.1", port)).create_group("ward 3")
        tell_driver({"port": port})
        while line := await asyncio.to_thread(sys.stdin.readline):
            name, _, argument = line.strip().partition(" ")
            tell_driver({"codes": await _make_codes(service, int(argument))} if name == "codes" else _state(service))
    finally:
        await service.close()
        store.close()


async def _make_codes(service: MasterService, count: int) -> list[str]:
    made = await asyncio.gather(
        *(invite(service.context, f"bed {at}", "127.0.0.1", 3000, _CODE_LIFETIME_S) for at in range(count))
    )
    return [invitation.pairing.code.hex() for invitation in made]


def _state(service: MasterService) -> dict[str, object]:
    context = service.context
    return {
        "half_open": len(context.half_open),
        "live": len(context.live),
        "refused": dict(context.refusals.totals),
        "tasks": len(asyncio.all_tasks()),
    }


if __name__ == "__main__":
    event_loop.run(
        serve(Path(sys.argv[1]), {name: int(value) for name, value in (word.split("=") for word in sys.argv[2:])})
    )
