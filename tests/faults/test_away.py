"""A master that is away for more than a day, on a clock that the test turns."""

import asyncio
from pathlib import Path

import pytest

from group_protocol.senml import Reading, decode_readings, encode_readings
from master_api.store.records import iterate_records
from slave_client.backoff import Backoff
from slave_client.buffer import Buffer
from slave_client.buffered_record import BufferLimits, DropPolicy
from slave_client.outbox import TO_MASTER
from slave_client.state_directory import StateDirectory
from tests.support.running_master import running_master
from tests.support.seeded import ManualClock, SeededRandom
from tests.support.slave_bench import SlaveBench, paired_slave

pytestmark = [pytest.mark.network]

HOURS_AWAY = 30
RECORD_S = 12.8
"""Readings of ten a second, 128 a record."""


async def measure(buffer: Buffer, clock: ManualClock, hours: float) -> int:
    """So many hours of records, committed one by one. Answers how many."""
    count = int(hours * 3_600 / RECORD_S)
    for number in range(count):
        readings = [Reading("ppg", 1_700_000_000.0 + number, float(number), None) for _ in range(4)]
        buffer.append(encode_readings(readings), TO_MASTER, readings=len(readings))
        clock.advance(RECORD_S)
        if number % 32 == 31:
            await buffer.commit()
    await buffer.commit()
    return count


async def open_buffer(slave: SlaveBench, clock: ManualClock, limits: BufferLimits) -> Buffer:
    """The device's buffer on the test's clock."""
    keys = slave.store.load_keys()
    assert keys is not None
    random = SeededRandom(int(clock.monotonic_s()))
    return await Buffer.open(slave.directory, keys.storage_secret, limits=limits, clock=clock, random=random)


@pytest.mark.parametrize(
    ("limits", "kept_hours"),
    [
        (BufferLimits(max_age_s=7 * 86_400), HOURS_AWAY),
        (BufferLimits(max_age_s=24 * 3_600), 24),
    ],
    ids=["all of it fits", "only a day fits"],
)
async def test_everything_that_fits_is_delivered_in_order_after_more_than_a_day(
    tmp_path: Path, limits: BufferLimits, kept_hours: int
) -> None:
    clock = ManualClock()
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        await slave.join()
        buffer = await open_buffer(slave, clock, limits)
        measured = await measure(buffer, clock, HOURS_AWAY)
        dropped = buffer.fill().dropped_records
        assert abs((measured - dropped) * RECORD_S - kept_hours * 3_600) <= 33 * RECORD_S
        await buffer.close()

        await (await slave.daemon()).run(asyncio.Event())
        stored = bench.store.read_now(lambda connection: list(iterate_records(connection)))
        values = [decode_readings(record.payload)[0].value for record in stored]
        assert values == [float(number) for number in range(dropped, measured)]
        assert (await bench.operations.verify_records())["waiting"] == 0


async def test_buffer_that_refuses_the_newest_keeps_the_first_hours_of_an_absence(tmp_path: Path) -> None:
    clock, directory = ManualClock(), StateDirectory(tmp_path / "state")
    directory.create()
    limits = BufferLimits(max_age_s=24 * 3_600, when_full=DropPolicy.NEWEST)
    buffer = await Buffer.open(directory, b"s" * 32, limits=limits, clock=clock, random=SeededRandom(1))
    measured = await measure(buffer, clock, HOURS_AWAY)
    level = buffer.fill()
    assert level.records + level.dropped_records == measured
    assert abs(level.records * RECORD_S - 24 * 3_600) <= 33 * RECORD_S
    (first,) = await buffer.read_after(0, max_records=1, max_bytes=1)
    assert first.seq == 1
    await buffer.close()


def test_device_asks_for_its_master_no_less_often_than_its_longest_wait_however_long_it_was_away() -> None:
    backoff = Backoff(SeededRandom(9), longest_s=60.0)
    waits = [backoff.next_wait_s() for _ in range(10_000)]
    assert max(waits) <= 60.0
    assert min(waits[10:]) >= 15.0
    assert sum(waits) > 30 * 3_600
