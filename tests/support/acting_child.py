"""A process whose gateway does five acts at once and stops at a named point in each, to be killed there.

The points: ``signed`` (in the journal, not sent), ``sent`` (the node has it, no receipt was asked for), ``received``
(the receipt was seen, the journal still holds the act).
"""

import asyncio
import json
import os
import pickle
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from chain_gateway import GatewayConfig, open_registry
from chain_gateway.journal import TransactionJournal
from chain_gateway.node import ChainNode

POINTS = ("signed", "sent", "received")


def stop_at(point: str, reached: Path) -> None:
    """From now on whoever comes to the point adds a line to the file and stays there for ever."""
    file = os.open(reached, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def stay() -> None:
        os.write(file, b"reached\n")
        await asyncio.Event().wait()

    send = ChainNode.send

    async def stop_before_sending(_: ChainNode, _raw: bytes) -> bytes:
        await stay()
        raise AssertionError

    async def stop_after_sending(node: ChainNode, raw: bytes) -> bytes:
        await send(node, raw)
        await stay()
        raise AssertionError

    async def stop_before_settling(*_: object) -> None:
        await stay()

    patches: dict[str, tuple[type, str, Callable[..., Awaitable[Any]]]] = {
        "signed": (ChainNode, "send", stop_before_sending),
        "sent": (ChainNode, "send", stop_after_sending),
        "received": (TransactionJournal, "settle", stop_before_settling),
    }
    owner, name, patch = patches[point]
    setattr(owner, name, patch)


async def act_until_killed(config: GatewayConfig, acts: list[tuple[str, object]], point: str, reached: Path) -> None:
    async with open_registry(config, time.time) as registry:
        stop_at(point, reached)
        await asyncio.gather(*(getattr(registry, name)(request) for name, request in acts))


if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    # The test that started this process wrote the file.
    config, acts = pickle.loads(Path(order["acts"]).read_bytes())  # noqa: S301
    asyncio.run(act_until_killed(config, acts, order["point"], Path(order["reached"])))
