"""``python -m benchmarks.streaming.generator``: many devices in one process.

One line of JSON on stdin says what to do (:class:`Plan`). Then lines go back and forth: it says ``{"joined": n}``,
waits for ``go``, says a sample a second, and at the next line stops the devices and says ``{"final": …}``.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.child_process import tell_driver
from benchmarks.streaming.device import LoadDevice
from benchmarks.streaming.endless_records import EndlessRecords
from benchmarks.streaming.gathered_records import GatheredRecords, Latencies, payloads_by_size
from benchmarks.streaming.load_records import LoadRecords
from benchmarks.streaming.payloads import make_payloads
from group_protocol.errors import BusyError
from group_protocol.identifiers import Address
from system_ports.event_loop import run
from system_ports.garbage import settle_collector

_JOINS_AT_ONCE = 16
"""All come from one address, and a master has 64 half-open exchanges for one."""
_TICK_S = 0.005
_STOP_S = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What the devices do.

    Attributes:
        frame_items_max: Most records in a wire message.
        readings_per_record: In each payload; where a device is paced, the slave's ``batch_readings``.
        window: Records that a device may have unacknowledged, where it sends as fast as it can.
        rate_per_s: Readings a second of each device; 0: as fast as it can.
    """

    port: int
    master: str
    codes: list[str]
    frame_items_max: int
    readings_per_record: int
    window: int = 0
    rate_per_s: float = 0.0


class Generator:
    """The devices and what they have seen acknowledged."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._latencies = Latencies()
        self._gate = asyncio.Semaphore(_JOINS_AT_ONCE)
        master = Address(bytes.fromhex(plan.master))
        self.devices = [
            LoadDevice.make(plan.port, master, bytes.fromhex(code), plan.frame_items_max) for code in plan.codes
        ]

    async def join_all(self) -> None:
        """One after the other, a few at a time; who is told to wait comes again."""

        async def join(device: LoadDevice) -> None:
            async with self._gate:
                await _patiently(device.join)

        await asyncio.gather(*(join(device) for device in self.devices))

    async def stream_all(self, stopping: asyncio.Event) -> None:
        """All devices, until stopping is set; says a sample a second meanwhile. Raises what a device raised."""
        make_records = self._choose_records()
        streams = [asyncio.create_task(self._stream(device, make_records)) for device in self.devices]
        others = [asyncio.create_task(self._tell())]
        if self._plan.rate_per_s:
            others.append(asyncio.create_task(self._pace()))
        waiting = asyncio.create_task(stopping.wait())
        await asyncio.wait({*streams, *others, waiting}, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        for device in self.devices:
            device.stop()
        await asyncio.wait_for(asyncio.gather(*streams), _STOP_S)

    def sample(self) -> dict[str, Any]:
        """What was acknowledged so far, in readings, and the latencies since the last sample."""
        readings = sum(device.records.acknowledged_readings for device in self.devices if device.records)
        return {
            "at_s": time.monotonic(),
            "acknowledged": readings,
            "cpu_s": time.process_time(),
            "streaming": sum(device.records is not None for device in self.devices),
            "latencies_ms": self._latencies.take(),
        }

    async def _stream(self, device: LoadDevice, make_records: Callable[[int], LoadRecords]) -> None:
        await _patiently(lambda: device.stream(make_records, self._gate))

    def _choose_records(self) -> Callable[[int], LoadRecords]:
        plan, readings = self._plan, self._plan.readings_per_record
        if plan.rate_per_s:
            sizes = payloads_by_size(readings)
            return lambda first_seq: GatheredRecords(sizes, first_seq, self._latencies)
        payloads = make_payloads(readings)
        return lambda first_seq: EndlessRecords(payloads, readings, first_seq, plan.window)

    async def _tell(self) -> None:
        while True:
            tell_driver(self.sample())
            await asyncio.sleep(1.0)

    async def _pace(self) -> None:
        """Each device measures at its own moment, at the plan's rate."""
        period_s = 1.0 / self._plan.rate_per_s
        began_s = time.monotonic()
        phases = random.Random(7)  # noqa: S311 - spreads the devices, no secret
        due = sorted((began_s + phases.random() * period_s, at) for at in range(len(self.devices)))
        position = 0
        lap_s = 0.0
        while True:
            now_s = time.monotonic()
            while due[position][0] + lap_s <= now_s:
                device = self.devices[due[position][1]]
                if isinstance(device.records, GatheredRecords) and device.records.add(now_s):
                    device.look_again()
                position += 1
                if position == len(due):
                    position, lap_s = 0, lap_s + period_s
            await asyncio.sleep(_TICK_S)


async def _patiently(act: Any) -> None:  # noqa: ANN401 - any coroutine function
    while True:
        try:
            await act()
        except BusyError as exc:
            await asyncio.sleep(exc.retry_after_s)
        else:
            return


async def main() -> None:
    """See the module."""
    plan = Plan(**json.loads(await asyncio.to_thread(sys.stdin.readline)))
    generator = Generator(plan)
    await generator.join_all()
    settle_collector()
    tell_driver({"joined": len(generator.devices)})
    await asyncio.to_thread(sys.stdin.readline)
    stopping = asyncio.Event()
    streaming = asyncio.create_task(generator.stream_all(stopping))
    listening = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    await asyncio.wait({streaming, listening}, return_when=asyncio.FIRST_COMPLETED)
    stopping.set()
    await streaming
    tell_driver({"final": generator.sample()})


if __name__ == "__main__":
    run(main())
