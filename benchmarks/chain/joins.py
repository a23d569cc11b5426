"""Devices that join at once: how long each took, of what that is made, and whether all are members, once each."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any, Final

from benchmarks.chain.devices import Join, join
from benchmarks.chain.master_control import ChainMaster

ROUNDS: Final = {1: 20, 10: 6, 100: 3, 1_000: 1}
"""Devices that start at once, and how many times over. With few of them the p99 is the slowest one."""


@dataclass(frozen=True, slots=True)
class TimedJoin:
    """One join in seconds. ``crypto_s`` is both sides' handshake; ``other_s`` is HTTP, queueing and the store."""

    total_s: float
    crypto_s: float
    chain_s: float
    other_s: float
    repeats: int


@dataclass(frozen=True, slots=True)
class Crowd:
    """One round of devices that started at once.

    Attributes:
        seconds: From the first M1 to the last M6.
        transactions: In how many the associations went, over how many blocks.
        gas: Of all these transactions together.
        lost: Devices that are no member in the register afterwards.
        twice: Devices with more than one receipt, plus members that nobody asked for.
    """

    devices: int
    seconds: float
    transactions: int
    blocks: int
    gas: int
    lost: int
    twice: int
    joins: tuple[TimedJoin, ...]

    def as_json(self) -> dict[str, Any]:
        """For the results file."""
        return asdict(self)


async def run_crowd(master: ChainMaster, devices: int, first_number: int) -> Crowd:
    """Let so many new devices join at once, and look into the register afterwards."""
    codes = await master.make_codes(devices)
    before = await master.ask("members")
    await master.ask("timings")
    joined = await asyncio.gather(
        *(join(master.port, first_number + at, code, master.identity) for at, code in enumerate(codes))
    )
    joins = [each for each, _ in joined]
    timings, after = await master.ask("timings"), await master.ask("members")
    chain = timings["chain"]
    gas = {each["transaction"]: each["gas"] for each in chain.values()}
    members = after["slaves"] - before["slaves"]
    return Crowd(
        devices=devices,
        seconds=max(each.ended_s for each in joins) - min(each.began_s for each in joins),
        transactions=len(gas),
        blocks=len({each["block"] for each in chain.values()}),
        gas=sum(gas.values()),
        lost=sum(1 for each in joins if each.oid not in chain),
        twice=members - devices,
        joins=tuple(_split(each, timings) for each in joins),
    )


def _split(joined: Join, timings: dict[str, Any]) -> TimedJoin:
    crypto_s = joined.slave_crypto_s + timings["crypto_s"].get(joined.sid, 0.0)
    chain_s = timings["chain"].get(joined.oid, {"seconds": 0.0})["seconds"]
    return TimedJoin(joined.seconds, crypto_s, chain_s, joined.seconds - crypto_s - chain_s, joined.repeats)
