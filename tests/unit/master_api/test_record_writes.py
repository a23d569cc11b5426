"""Records of many devices in one transaction: each device's in order, a failure its own affair."""

import asyncio
from pathlib import Path
from time import monotonic

import pytest

from group_protocol.errors import StoreError
from group_protocol.identifiers import ObjectId, SessionId
from group_protocol.intake import AcceptedRecord
from group_protocol.records import payload_hash
from master_api.store.record_writes import RecordsWrite, WriteChain
from master_api.store.records import iterate_records
from master_api.store.store import Store
from tests.support.failing_store import held_commits
from tests.support.master_parts import Parts
from tests.support.records import make_checkpointed

SID = SessionId(b"s" * 16)


def make_write(oid: ObjectId, seqs: range, chain: WriteChain | None = None) -> RecordsWrite:
    records = [make_checkpointed(seq) for seq in seqs]
    accepted = [AcceptedRecord(record, payload_hash(record.payload), 1) for record in records]
    return RecordsWrite(chain or WriteChain(), oid, SID, accepted, (), 1.0)


def stored_seqs(store: Store, oid: ObjectId) -> list[int]:
    return store.read_now(lambda connection: [row.seq for row in iterate_records(connection, oid)])


async def submit_together(store: Store, *writes: RecordsWrite) -> list[BaseException | None]:
    """Queue them while the thread is held in a commit, so that it finds all of them; answers their errors."""
    may_commit = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        asyncio.run_coroutine_threadsafe(may_commit.wait(), loop).result(10)

    with held_commits(store, wait):
        held = store.submit(lambda _connection: None)
        await asyncio.sleep(0.05)
        for write in writes:
            store.submit_records(write)
        may_commit.set()
        await asyncio.wrap_future(held)
        return await asyncio.gather(*(write.wait() for write in writes), return_exceptions=True)


@pytest.mark.parametrize("count", [1, 7, 8, 33, 128, 301])
async def test_any_number_of_records_is_stored_whole(parts: Parts, count: int) -> None:
    oid = await parts.enrol(5)
    write = make_write(oid, range(1, count + 1))
    parts.store.submit_records(write)
    await write.wait()
    assert stored_seqs(parts.store, oid) == list(range(1, count + 1))
    rows = parts.store.read_now(lambda connection: list(iterate_records(connection, oid)))
    assert [row.payload for row in rows] == [accepted.record.payload for accepted in write.records]
    assert all((row.sid, row.signature, row.received_at_unix_s) == (SID, None, 1.0) for row in rows)


async def test_records_of_many_devices_are_committed_together(parts: Parts) -> None:
    oids = [await parts.enrol(number) for number in (5, 6, 7)]
    writes = [make_write(oid, range(at * 10 + 1, at * 10 + 5)) for at in range(3) for oid in oids]
    assert await submit_together(parts.store, *writes) == [None] * 9
    expected = [*range(1, 5), *range(11, 15), *range(21, 25)]
    assert [stored_seqs(parts.store, oid) for oid in oids] == [expected] * 3


async def test_write_that_contradicts_the_store_fails_alone_with_what_counts_on_it(parts: Parts) -> None:
    good, bad = await parts.enrol(5), await parts.enrol(6)
    first = make_write(bad, range(1, 3))
    parts.store.submit_records(first)
    await first.wait()
    chain = WriteChain()
    repeated, behind = make_write(bad, range(2, 4), chain), make_write(bad, range(4, 6), chain)
    other = make_write(good, range(1, 4))
    errors = await submit_together(parts.store, repeated, other, behind)
    assert isinstance(errors[0], StoreError)
    assert errors[1] is None
    assert isinstance(errors[2], StoreError)
    assert chain.is_broken
    assert stored_seqs(parts.store, bad) == [1, 2]
    assert stored_seqs(parts.store, good) == [1, 2, 3]


class RefusingCompanion:
    """Cannot do its part."""

    def __init__(self) -> None:
        self.settled: list[bool] = []

    def put_in(self, _connection: object, _records: object, _now: float) -> None:
        raise StoreError("no")

    def settle(self, *, is_stored: bool) -> None:
        self.settled.append(is_stored)


async def test_records_whose_companion_fails_are_not_stored(parts: Parts) -> None:
    good, bad = await parts.enrol(5), await parts.enrol(6)
    companion = RefusingCompanion()
    with_companion = make_write(bad, range(1, 3))
    with_companion.companion = companion
    errors = await submit_together(parts.store, make_write(good, range(1, 3)), with_companion)
    assert errors[0] is None
    assert isinstance(errors[1], StoreError)
    assert companion.settled == [False]
    assert stored_seqs(parts.store, bad) == []
    assert stored_seqs(parts.store, good) == [1, 2]


async def test_record_that_waits_for_others_is_committed_at_once_when_a_job_comes(parts: Parts, tmp_path: Path) -> None:
    oid = await parts.enrol(5)
    parts.store.close()
    store = Store(f"sqlite:///{tmp_path / 'master.sqlite3'}", commit_delay_s=600.0)
    try:
        write = make_write(oid, range(1, 4))
        store.submit_records(write)
        async with asyncio.timeout(20):
            await store.write(lambda _connection: None)
            await write.wait()
        assert stored_seqs(store, oid) == [1, 2, 3]
    finally:
        store.close()


async def test_record_that_nobody_joins_is_committed_after_a_part_of_the_delay(parts: Parts, tmp_path: Path) -> None:
    oid = await parts.enrol(5)
    parts.store.close()
    store = Store(f"sqlite:///{tmp_path / 'master.sqlite3'}", commit_delay_s=0.05)
    try:
        write = make_write(oid, range(1, 2))
        store.submit_records(write)
        async with asyncio.timeout(20):
            await write.wait()
        assert stored_seqs(store, oid) == [1]
    finally:
        store.close()


@pytest.mark.parametrize(("delay_s", "queued_s_ago"), [(600.0, 601.0), (0.05, -1e9)])
async def test_record_that_waited_behind_another_commit_waits_no_longer_whatever_the_clock_says(
    parts: Parts, tmp_path: Path, delay_s: float, queued_s_ago: float
) -> None:
    oid = await parts.enrol(5)
    parts.store.close()
    store = Store(f"sqlite:///{tmp_path / 'master.sqlite3'}", commit_delay_s=delay_s)
    try:
        write = make_write(oid, range(1, 2))
        write.queued_at_s = monotonic() - queued_s_ago
        store.submit_records(write)
        async with asyncio.timeout(20):
            await write.wait()
        assert stored_seqs(store, oid) == [1]
    finally:
        store.close()
