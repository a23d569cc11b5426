import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from group_protocol.errors import StoreError
from group_protocol.senml import Reading, decode_readings
from slave_client.batching import Batcher, BatchRules
from slave_client.buffer import Buffer
from slave_client.buffered_record import BufferLimits
from slave_client.state_directory import StateDirectory
from system_ports.clock import SystemClock
from tests.support.seeded import SeededRandom


class Bench:
    def __init__(self, buffer: Buffer, rules: BatchRules) -> None:
        self.buffer = buffer
        self.committed = asyncio.Event()
        self.errors: list[StoreError | None] = []
        self.batcher = Batcher(buffer, rules, SystemClock(), committed=self.committed.set, report=self.errors.append)

    async def add(self, *values: float, name: str = "ppg") -> None:
        for value in values:
            await self.batcher.add(Reading(name, 1_700_000_000.0, value))

    async def stored(self) -> list[list[object]]:
        async with asyncio.timeout(10):
            await self.committed.wait()
        self.committed.clear()
        records = await self.buffer.read_after(0, max_records=100, max_bytes=1 << 20)
        return [[reading.value for reading in decode_readings(record.payload)] for record in records]


@asynccontextmanager
async def running(directory: StateDirectory, rules: BatchRules) -> AsyncIterator[Bench]:
    buffer = await Buffer.open(directory, b"s" * 32, limits=BufferLimits(), clock=SystemClock(), random=SeededRandom(1))
    bench = Bench(buffer, rules)
    task = asyncio.create_task(bench.batcher.run())
    yield bench
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await buffer.close()


async def test_batch_ends_with_its_last_reading(directory: StateDirectory) -> None:
    async with running(directory, BatchRules(readings_max=3, batch_s=3_600)) as bench:
        await bench.add(1.0, 2.0, 3.0, 4.0)
        assert await bench.stored() == [[1.0, 2.0, 3.0]]
        bench.batcher.end_batch()
        assert await bench.stored() == [[1.0, 2.0, 3.0], [4.0]]


async def test_batch_ends_by_age(directory: StateDirectory) -> None:
    async with running(directory, BatchRules(readings_max=1_000, batch_s=0.01)) as bench:
        await bench.add(1.0)
        assert await bench.stored() == [[1.0]]
        await bench.add(2.0)
        assert await bench.stored() == [[1.0], [2.0]]


async def test_payload_above_the_masters_limit_becomes_several_records_in_order(directory: StateDirectory) -> None:
    async with running(directory, BatchRules(readings_max=64, batch_s=3_600)) as bench:
        bench.batcher.payload_max_bytes = 200
        values = [float(number) / 3 for number in range(64)]
        await bench.add(*values)
        records = await bench.stored()
        assert len(records) > 1
        assert [value for record in records for value in record] == values


async def test_reading_that_senml_cannot_say_is_left_out_and_counted(directory: StateDirectory) -> None:
    async with running(directory, BatchRules(readings_max=4, batch_s=3_600)) as bench:
        await bench.add(1.0, float("nan"))
        await bench.add(2.0, name="no such name!")
        await bench.add(3.0)
        records = await bench.stored()
        assert [value for record in records for value in record] == [1.0, 3.0]
        assert bench.batcher.refused_readings == 2


async def test_store_that_refuses_is_reported_and_tried_again(directory: StateDirectory) -> None:
    async with running(directory, BatchRules(readings_max=1, batch_s=3_600)) as bench:
        database = bench.buffer._guarded.file._database
        database.execute("PRAGMA query_only = ON")
        await bench.add(1.0)
        async with asyncio.timeout(10):
            while not bench.errors:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)
        assert isinstance(bench.errors[0], StoreError)
        database.execute("PRAGMA query_only = OFF")
        assert await bench.stored() == [[1.0]]
        assert bench.errors[-1] is None
