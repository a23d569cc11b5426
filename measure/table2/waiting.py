"""Network and block time: real joins and data messages over loopback, with a proxy that listens."""

import os
import time
from collections.abc import Iterable
from typing import Final

from group_protocol.senml import Reading
from measure.bench.process import BenchMaster
from measure.bench.slave import joined_slave
from measure.paper_baseline.client import PaperClient
from measure.paper_baseline.slave import Device
from measure.quantities import MeasuredSeries, Series, SeriesKey
from measure.table2.operations import OURS, READING_NAME, THEIRS
from measure.wire.join_cost import measure_join
from measure.wire.proxy import RecordingProxy

PROXY: Final = "recording proxy, time.perf_counter"
_MS: Final = 1_000
MESSAGES_PER_JOIN: Final = 5


class Waiting:
    """Samples in ms by system and quantity; complete up to the last join."""

    def __init__(self) -> None:
        self.samples: dict[tuple[str, str], list[float]] = {}

    def add(self, system: str, quantity: str, value_ms: float) -> None:
        """One sample."""
        self.samples.setdefault((system, quantity), []).append(value_ms)

    def to_series(self) -> list[Series]:
        """As series."""
        return [
            MeasuredSeries(SeriesKey(system, "network", quantity, "ms"), tuple(values), PROXY)
            for (system, quantity), values in self.samples.items()
        ]


async def measure_waiting(master: BenchMaster, numbers: Iterable[int], waiting: Waiting) -> None:
    """One join of each system per number, each of a fresh device. Raises VirtualGroupError where a step fails."""
    for number in numbers:
        await _join_ours(master, number, waiting)
        await _join_theirs(master, waiting)


async def _join_ours(master: BenchMaster, number: int, waiting: Waiting) -> None:
    async with (
        RecordingProxy(master.host, master.port) as proxy,
        joined_slave(master.folder / f"slave-{number}", master.pairings[number], proxy.port) as slave,
    ):
        cost = measure_join(proxy.connections)
        for quantity, value_ms in (
            ("join", cost.total_ms),
            ("join, slave", cost.slave_ms),
            ("join, master", cost.master_ms),
            ("join, chain", cost.chain_ms),
        ):
            waiting.add(OURS, quantity, value_ms)
        for _ in range(MESSAGES_PER_JOIN):
            body = slave.device.prepare_signed_data(Reading(READING_NAME, time.time(), 512.0))
            began_s = time.perf_counter()
            await slave.send(body)
            waiting.add(OURS, "round trip", (time.perf_counter() - began_s) * _MS)


async def _join_theirs(master: BenchMaster, waiting: Waiting) -> None:
    """The RSA key is made before: the paper's steps begin with one."""
    device = Device.generate(os.urandom)
    async with PaperClient(master.host, master.paper_port) as client:
        began_s = time.perf_counter()
        membership = await client.join(device)
        waiting.add(THEIRS, "join", (time.perf_counter() - began_s) * _MS)
        for _ in range(MESSAGES_PER_JOIN):
            began_s = time.perf_counter()
            await client.send_reading(device, membership, b'{"n":"ppg","v":512.0}')
            waiting.add(THEIRS, "round trip", (time.perf_counter() - began_s) * _MS)
