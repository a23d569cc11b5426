"""What gives way when the buffer is full, and how long acknowledged records stay."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest

from group_protocol.errors import StoreError
from group_protocol.identifiers import ObjectId
from slave_client.buffer import Buffer, LostByMaster
from slave_client.buffered_record import BufferLimits, DropPolicy
from slave_client.state_directory import StateDirectory
from tests.support.seeded import ManualClock, SeededRandom

MASTER = ObjectId(b"m" * 16)
HOUR_S = 3_600.0
KEEPING = BufferLimits(keep_acknowledged_s=24 * HOUR_S)
REFUSING = BufferLimits(max_bytes=2_000, when_full=DropPolicy.NEWEST)


class Device:
    """Opens the same directory again and again, as restarts do."""

    def __init__(self, directory: StateDirectory, limits: BufferLimits) -> None:
        self.directory = directory
        self.limits = limits
        self.clock = ManualClock()
        self.random = SeededRandom(3)

    async def open(self) -> Buffer:
        return await Buffer.open(self.directory, b"s" * 32, limits=self.limits, clock=self.clock, random=self.random)


async def fill(buffer: Buffer, count: int, size_bytes: int = 20) -> None:
    for _ in range(count):
        buffer.append(b"r" * size_bytes, MASTER, readings=2)
    await buffer.commit()


def fill_in_memory(buffer: Buffer, count: int) -> None:
    for _ in range(count):
        buffer.append(b"x" * 1_000, MASTER)


async def until_on_its_way(buffer: Buffer) -> None:
    """The commit that was begun has handed its records to the buffer's thread."""
    while True:
        if buffer._in_commit:
            return
        await asyncio.sleep(0)


@contextmanager
def refused_commits(buffer: Buffer) -> Iterator[None]:
    """Within this, the medium refuses every commit."""

    def refuse(*_arguments: object, **_named: object) -> NoReturn:
        raise StoreError("the medium refuses")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buffer._guarded, "commit", refuse)
        yield


async def seqs(buffer: Buffer, after: int = 0) -> list[int]:
    return [record.seq for record in await buffer.read_after(after, max_records=10_000, max_bytes=1 << 30)]


async def test_full_buffer_that_refuses_the_newest_keeps_what_came_first_and_counts(directory: StateDirectory) -> None:
    buffer = await Device(directory, REFUSING).open()
    await fill(buffer, 10)
    await fill(buffer, 30)
    level = buffer.fill()
    assert await seqs(buffer) == list(range(1, 21))
    assert (level.records, level.dropped_records, level.stored_bytes) == (20, 20, 2_000)
    assert buffer.append(b"later", MASTER) == 41, "a number that was given is not given again"
    await buffer.close()


async def test_full_buffer_that_refuses_takes_records_again_once_some_were_acknowledged(
    directory: StateDirectory,
) -> None:
    buffer = await Device(directory, REFUSING).open()
    await fill(buffer, 30)
    buffer.acknowledge(15)
    await fill(buffer, 10)
    assert await seqs(buffer) == [*range(16, 21), *range(31, 41)]
    await buffer.close()


async def test_buffer_that_refuses_takes_nothing_while_its_oldest_record_is_beyond_the_hours(
    directory: StateDirectory,
) -> None:
    device = Device(directory, BufferLimits(max_age_s=HOUR_S, when_full=DropPolicy.NEWEST))
    buffer = await device.open()
    await fill(buffer, 2)
    device.clock.advance(2 * HOUR_S)
    await fill(buffer, 2)
    assert await seqs(buffer) == [1, 2]
    assert buffer.fill().dropped_records == 2
    buffer.acknowledge(2)
    await fill(buffer, 2)
    assert await seqs(buffer) == [5, 6]
    await buffer.close()


async def test_memory_before_a_dead_disk_refuses_the_newest_by_the_same_policy(directory: StateDirectory) -> None:
    buffer = await Device(directory, BufferLimits(when_full=DropPolicy.NEWEST)).open()
    for _ in range(3_000):
        buffer.append(b"x" * 1_000, MASTER)
    level = buffer.fill()
    assert level.dropped_records == 3_000 - level.uncommitted_records > 0
    await buffer.commit()
    assert await seqs(buffer) == list(range(1, level.uncommitted_records + 1))
    await buffer.close()


async def test_dropped_records_are_not_read_back_from_memory(directory: StateDirectory) -> None:
    buffer = await Device(directory, BufferLimits(max_bytes=1_000)).open()
    await fill(buffer, 30)
    assert await seqs(buffer) == list(range(21, 31))
    await buffer.close()


async def test_acknowledged_records_stay_for_their_hours_and_do_not_count_as_waiting(directory: StateDirectory) -> None:
    device = Device(directory, KEEPING)
    buffer = await device.open()
    await fill(buffer, 4)
    buffer.acknowledge(3)
    await buffer.commit()
    level = buffer.fill()
    assert (level.records, level.kept_records) == (1, 3)
    assert await buffer.count_acknowledged(4) == 8
    device.clock.advance(25 * HOUR_S)
    await fill(buffer, 1)
    assert buffer.fill().kept_records == 0
    assert await seqs(buffer) == [4, 5]
    assert buffer.fill().dropped_records == 0
    assert await buffer.count_acknowledged(4) == 8
    await buffer.close()


async def test_kept_records_give_way_before_anything_is_lost(directory: StateDirectory) -> None:
    for policy in DropPolicy:
        path = StateDirectory(directory.path / policy)
        path.create()
        buffer = await Device(path, BufferLimits(2_000, 1e9, policy, 24 * HOUR_S)).open()
        await fill(buffer, 15)
        buffer.acknowledge(10)
        await fill(buffer, 15)
        level = buffer.fill()
        assert (level.records, level.kept_records, level.dropped_records) == (20, 0, 0)
        assert await seqs(buffer) == list(range(11, 31))
        await buffer.close()


async def test_counts_are_the_same_after_a_restart(directory: StateDirectory) -> None:
    device = Device(directory, KEEPING)
    buffer = await device.open()
    await fill(buffer, 9)
    buffer.acknowledge(4)
    await buffer.commit()
    before, acknowledged = buffer.fill(), await buffer.count_acknowledged(6)
    await buffer.close()
    again = await device.open()
    assert again.fill() == before
    assert await again.count_acknowledged(6) == acknowledged == 12
    await again.close()


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_master_put_back_to_an_older_state_gets_again_what_it_had_acknowledged(
    directory: StateDirectory, *, is_restarted: bool
) -> None:
    device = Device(directory, KEEPING)
    buffer = await device.open()
    await fill(buffer, 10)
    await buffer.begin_sending(0)
    buffer.acknowledge(8)
    if is_restarted:
        await buffer.close()
        buffer = await device.open()
    assert await buffer.begin_sending(3) == 0
    assert buffer.lost_by_master == LostByMaster(4, 8, 5)
    assert buffer.fill().records == 7
    assert await seqs(buffer, 3) == [4, 5, 6, 7, 8, 9, 10]
    assert await buffer.count_acknowledged(3) == 6
    buffer.acknowledge(10)
    await buffer.commit()
    assert await buffer.count_acknowledged(10) == 20
    await buffer.close()


async def test_master_put_back_further_than_records_are_kept_is_told_of(directory: StateDirectory) -> None:
    buffer = await Device(directory, BufferLimits()).open()
    await fill(buffer, 10)
    await buffer.begin_sending(0)
    buffer.acknowledge(8)
    await buffer.commit()
    assert await buffer.begin_sending(3) == 0
    assert buffer.lost_by_master == LostByMaster(4, 8, 0)
    assert await seqs(buffer, 3) == [9, 10]
    await buffer.close()


@pytest.mark.parametrize("when_full", list(DropPolicy))
async def test_memory_is_bounded_while_the_disk_hangs_in_a_commit(
    directory: StateDirectory, when_full: DropPolicy
) -> None:
    buffer = await Device(directory, BufferLimits(when_full=when_full)).open()
    may_go_on = threading.Event()
    hanging = asyncio.create_task(buffer._run(lambda: may_go_on.wait(10)))
    fill_in_memory(buffer, 900)
    committing = asyncio.create_task(buffer.commit())
    await until_on_its_way(buffer)
    fill_in_memory(buffer, 3_000)
    level = buffer.fill()
    assert level.uncommitted_records * 1_000 < 2_100_000
    assert level.dropped_records == 3_900 - level.uncommitted_records > 0
    may_go_on.set()
    await asyncio.gather(hanging, committing)
    await buffer.commit()
    kept = await seqs(buffer)
    assert len(kept) == level.uncommitted_records
    assert kept[:900] == list(range(1, 901)), "what was on its way to the disk got there"
    assert (kept[-1] == 3_900) == (when_full is DropPolicy.OLDEST)
    await buffer.close()


async def test_records_of_a_commit_that_failed_come_before_what_was_added_meanwhile(directory: StateDirectory) -> None:
    buffer = await Device(directory, BufferLimits()).open()
    with refused_commits(buffer):
        fill_in_memory(buffer, 5)
        committing = asyncio.create_task(buffer.commit())
        await until_on_its_way(buffer)
        fill_in_memory(buffer, 5)
        with pytest.raises(StoreError):
            await committing
    assert buffer.fill().uncommitted_records == 10
    await buffer.commit()
    assert await seqs(buffer) == list(range(1, 11))
    await buffer.close()
