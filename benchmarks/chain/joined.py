"""Crowds of one size put together: percentiles of their joins, associations a second, gas."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.chain.figures import percentiles

TIMES = ("total_s", "crypto_s", "chain_s", "other_s")


@dataclass(frozen=True, slots=True)
class CrowdSize:
    """All rounds of one size on one chain.

    Attributes:
        times: Percentiles in seconds, for each of :data:`TIMES`.
        seconds: Median over the rounds of the time from the first M1 to the last M6.
        gas_per_device: Gas of all transactions, for each device.
        lost: Devices that were no members afterwards, over all rounds.
        twice: Members that nobody asked for, over all rounds.
    """

    devices: int
    rounds: int
    times: dict[str, dict[str, float]]
    seconds: float
    transactions: float
    gas_per_device: float
    lost: int
    twice: int
    repeats: int

    @property
    def per_s(self) -> float:
        """Associations a second, from the first M1 to the last M6."""
        return self.devices / self.seconds


def crowd_sizes(crowds: Sequence[dict[str, Any]]) -> list[CrowdSize]:
    """One for each size, in rising order."""
    sizes = sorted({crowd["devices"] for crowd in crowds})
    return [_together([crowd for crowd in crowds if crowd["devices"] == size]) for size in sizes]


def _together(crowds: Sequence[dict[str, Any]]) -> CrowdSize:
    joins = [each for crowd in crowds for each in crowd["joins"]]
    devices = crowds[0]["devices"]
    return CrowdSize(
        devices=devices,
        rounds=len(crowds),
        times={name: percentiles([each[name] for each in joins]) for name in TIMES},
        seconds=median(crowd["seconds"] for crowd in crowds),
        transactions=median(crowd["transactions"] for crowd in crowds),
        gas_per_device=sum(crowd["gas"] for crowd in crowds) / (devices * len(crowds)),
        lost=sum(crowd["lost"] for crowd in crowds),
        twice=sum(crowd["twice"] for crowd in crowds),
        repeats=sum(each["repeats"] for each in joins),
    )
