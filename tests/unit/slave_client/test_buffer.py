import asyncio
import random
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from group_protocol.errors import StoreError
from group_protocol.identifiers import ObjectId
from slave_client.buffer import Buffer
from slave_client.buffered_record import BufferLimits
from slave_client.state_directory import StateDirectory
from tests.support.seeded import ManualClock, SeededRandom

SECRET = b"s" * 32
MASTER = ObjectId(b"m" * 16)


class Opener:
    """Opens the buffer of one directory again and again, as restarts do."""

    def __init__(self, directory: StateDirectory) -> None:
        self.directory = directory
        self.clock = ManualClock()
        self.random = SeededRandom(1)

    async def open(self, *, limits: BufferLimits | None = None, secret: bytes = SECRET) -> Buffer:
        return await Buffer.open(
            self.directory, secret, limits=limits or BufferLimits(), clock=self.clock, random=self.random
        )


@pytest.fixture
def opener(directory: StateDirectory) -> Opener:
    return Opener(directory)


async def fill(buffer: Buffer, count: int, size_bytes: int = 20) -> None:
    for _ in range(count):
        buffer.append(b"r" * size_bytes, MASTER)
    await buffer.commit()


async def seqs(buffer: Buffer, after: int = 0) -> list[int]:
    return [record.seq for record in await buffer.read_after(after, max_records=10_000, max_bytes=1 << 30)]


async def test_first_seq_is_one_and_every_next_is_one_more(opener: Opener) -> None:
    buffer = await opener.open()
    assert [buffer.append(b"x", MASTER) for _ in range(3)] == [1, 2, 3]
    await buffer.close()


async def test_record_is_read_only_after_its_commit(opener: Opener) -> None:
    buffer = await opener.open()
    buffer.append(b"x", MASTER)
    assert await seqs(buffer) == []
    await buffer.commit()
    assert await seqs(buffer) == [1]
    await buffer.close()


async def test_records_survive_a_restart_with_content_and_receiver(opener: Opener) -> None:
    buffer = await opener.open()
    buffer.append(b"payload one", MASTER, readings=3)
    buffer.append(b"payload two", ObjectId(b"p" * 16))
    await buffer.close()
    again = await opener.open()
    records = await again.read_after(0, max_records=10, max_bytes=1_000)
    assert [(r.seq, r.payload, r.receiver, r.readings) for r in records] == [
        (1, b"payload one", MASTER, 3),
        (2, b"payload two", ObjectId(b"p" * 16), 1),
    ]
    await again.close()


async def test_seq_is_not_used_again_after_everything_was_deleted_and_the_buffer_reopened(opener: Opener) -> None:
    buffer = await opener.open()
    await fill(buffer, 5)
    buffer.acknowledge(5)
    await buffer.close()
    again = await opener.open()
    assert await seqs(again) == []
    assert again.append(b"x", MASTER) == 6
    await again.close()


async def test_acknowledging_deletes_up_to_the_seq_and_counts_readings(opener: Opener) -> None:
    buffer = await opener.open()
    for _ in range(4):
        buffer.append(b"x", MASTER, readings=10)
    await buffer.commit()
    assert await buffer.count_acknowledged(3) == 30
    buffer.acknowledge(2)
    await buffer.commit()
    assert await seqs(buffer) == [3, 4]
    assert await buffer.count_acknowledged(3) == 30
    assert buffer.fill().records == 2
    await buffer.close()
    again = await opener.open()
    assert await again.count_acknowledged(0) == 20
    await again.close()


async def test_acknowledgement_beyond_what_is_committed_deletes_nothing_newer(opener: Opener) -> None:
    buffer = await opener.open()
    await fill(buffer, 2)
    buffer.append(b"new", MASTER)
    buffer.acknowledge(1_000)
    await buffer.commit()
    assert await seqs(buffer) == [3]
    await buffer.close()


async def test_reading_respects_both_bounds_but_gives_at_least_one(opener: Opener) -> None:
    buffer = await opener.open()
    await fill(buffer, 10, size_bytes=100)
    for source in (buffer, await _reopened(opener, buffer)):
        assert len(await source.read_after(0, max_records=3, max_bytes=10_000)) == 3
        assert len(await source.read_after(0, max_records=100, max_bytes=250)) == 2
        assert len(await source.read_after(0, max_records=100, max_bytes=1)) == 1
        assert len(await source.read_after(8, max_records=100, max_bytes=10_000)) == 2
    await source.close()


async def test_backlog_larger_than_memory_is_read_in_order_across_disk_and_memory(opener: Opener) -> None:
    buffer = await opener.open()
    for _ in range(10):
        await fill(buffer, 100, size_bytes=1_000)
    read: list[int] = []
    while batch := await buffer.read_after(read[-1] if read else 0, max_records=64, max_bytes=100_000):
        read += [record.seq for record in batch]
    assert read == list(range(1, 1_001))
    await buffer.close()


async def test_oldest_records_are_dropped_and_counted_beyond_the_size_limit(opener: Opener) -> None:
    buffer = await opener.open(limits=BufferLimits(max_bytes=2_000))
    await fill(buffer, 30, size_bytes=20)
    level = buffer.fill()
    assert level.stored_bytes <= 2_000
    assert level.dropped_records == 30 - level.records > 0
    await buffer.close()
    again = await opener.open()
    left = await seqs(again)
    assert left == list(range(31 - len(left), 31))
    assert again.fill().dropped_records == 30 - len(left)
    await again.close()


async def test_records_older_than_the_age_limit_are_dropped_by_running_time(opener: Opener) -> None:
    limits = BufferLimits(max_age_s=3_600)
    buffer = await opener.open(limits=limits)
    await fill(buffer, 2)
    opener.clock.advance(3_000)
    await fill(buffer, 2)
    opener.clock.advance(1_000)
    await fill(buffer, 1)
    assert buffer.fill().dropped_records == 2
    assert buffer.fill().oldest_age_s == 1_000
    await buffer.close()


@pytest.mark.parametrize("unix_s", [0.0, 4_000_000_000.0])
async def test_wall_clock_that_jumps_drops_nothing(opener: Opener, unix_s: float) -> None:
    buffer = await opener.open(limits=BufferLimits(max_age_s=3_600))
    await fill(buffer, 2)
    opener.clock.jump_wall_clock(unix_s)
    await fill(buffer, 1)
    assert buffer.fill().dropped_records == 0
    await buffer.close()


async def test_time_that_the_device_is_off_does_not_age_its_records(opener: Opener) -> None:
    limits = BufferLimits(max_age_s=3_600)
    buffer = await opener.open(limits=limits)
    await fill(buffer, 2)
    await buffer.close()
    opener.clock.advance(1_000_000)
    again = await opener.open(limits=limits)
    await fill(again, 1)
    assert again.fill().dropped_records == 0
    await again.close()


async def test_payload_does_not_stand_in_the_files(opener: Opener) -> None:
    buffer = await opener.open()
    buffer.append(b"heart rate of a patient", MASTER)
    await buffer.commit()
    for path in opener.directory.path.iterdir():
        assert b"heart rate" not in path.read_bytes()
    await buffer.close()


async def test_same_payload_is_sealed_differently_after_a_restart(opener: Opener) -> None:
    buffer = await opener.open()
    await fill(buffer, 1)
    await buffer.close()
    again = await opener.open()
    await fill(again, 1)
    await again.close()
    rows = sqlite3.connect(opener.directory.path / "buffer.db").execute("SELECT sealed FROM record").fetchall()
    assert rows[0] != rows[1]


async def test_flipped_bit_in_a_row_loses_that_row_alone_and_counts_it(opener: Opener) -> None:
    buffer = await opener.open()
    await fill(buffer, 3)
    await buffer.close()
    with sqlite3.connect(opener.directory.path / "buffer.db") as database:
        sealed = database.execute("SELECT sealed FROM record WHERE seq = 2").fetchone()[0]
        database.execute("UPDATE record SET sealed = ? WHERE seq = 2", (bytes([sealed[0] ^ 1]) + sealed[1:],))
    database.close()
    again = await opener.open()
    assert await seqs(again) == [1, 3]
    assert again.fill().unreadable_records == 1
    assert again.fill().records == 2
    await again.close()


async def test_rows_moved_to_another_seq_do_not_open(opener: Opener) -> None:
    buffer = await opener.open()
    await fill(buffer, 2)
    await buffer.close()
    with sqlite3.connect(opener.directory.path / "buffer.db") as database:
        database.execute("UPDATE record SET seq = 9 WHERE seq = 2")
    database.close()
    again = await opener.open()
    assert await seqs(again) == [1]
    await again.close()


async def test_rows_whose_columns_changed_their_kind_do_not_open(opener: Opener) -> None:
    buffer = await opener.open()
    await fill(buffer, 5)
    await buffer.close()
    with sqlite3.connect(opener.directory.path / "buffer.db") as database:
        database.execute("UPDATE record SET readings = 'many' WHERE seq = 1")
        database.execute("UPDATE record SET sealed = 'text' WHERE seq = 2")
        database.execute("UPDATE record SET held_s = x'00' WHERE seq = 3")
        database.execute("UPDATE record SET seq = -4 WHERE seq = 4")
    database.close()
    again = await opener.open()
    assert await seqs(again) == [5]
    await again.close()


@pytest.mark.parametrize("damage", ["schema text", "counter", "age"])
async def test_file_whose_texts_or_numbers_are_none_is_set_aside(opener: Opener, damage: str) -> None:
    buffer = await opener.open()
    await fill(buffer, 5)
    await buffer.close()
    path = opener.directory.path / "buffer.db"
    if damage == "schema text":
        path.write_bytes(path.read_bytes().replace(b"CREATE TABLE opening", b"CREATE TAB\xff\xfe opening"))
    else:
        with sqlite3.connect(path) as database:
            column = "value = 'x'" if damage == "counter" else "held_s = 'x'"
            database.execute(f"UPDATE {'counter' if damage == 'counter' else 'record'} SET {column}")  # noqa: S608
        database.close()
    again = await opener.open()
    assert "buffer.db.damaged-1" in again.damage
    assert again.append(b"x", MASTER) > 0
    await again.commit()
    await again.close()


@pytest.mark.parametrize("damage", ["garbage", "truncated", "other database", "empty tables"])
async def test_damaged_file_is_set_aside_and_numbers_go_on_above_the_old_ones(opener: Opener, damage: str) -> None:
    buffer = await opener.open()
    await fill(buffer, 50, size_bytes=500)
    await buffer.close()
    path = opener.directory.path / "buffer.db"
    _damage(path, damage)
    again = await opener.open()
    assert "buffer.db.damaged-1" in again.damage
    assert (opener.directory.path / "buffer.db.damaged-1").exists()
    assert again.append(b"x", MASTER) > 50
    await again.commit()
    assert len(await seqs(again)) == 1
    await again.close()


async def test_second_damaged_file_does_not_replace_the_first(opener: Opener) -> None:
    for _ in range(2):
        (opener.directory.path / "buffer.db").write_bytes(b"no database" * 100)
        await (await opener.open()).close()
    names = {path.name for path in opener.directory.path.iterdir()}
    assert {"buffer.db.damaged-1", "buffer.db.damaged-2"} <= names


async def test_lost_files_renumber_what_waits_above_the_masters_last_seq(opener: Opener) -> None:
    buffer = await opener.open()
    buffer.append(b"a", MASTER)
    buffer.append(b"b", MASTER)
    await buffer.commit()
    buffer.append(b"c", MASTER)
    assert await buffer.begin_sending(100) == 3
    assert buffer.append(b"d", MASTER) == 104
    await buffer.commit()
    records = await buffer.read_after(0, max_records=10, max_bytes=100)
    assert [(r.seq, r.payload) for r in records] == [(101, b"a"), (102, b"b"), (103, b"c"), (104, b"d")]
    assert await buffer.begin_sending(102) == 0
    await buffer.close()


async def test_new_device_with_no_record_at_the_master_keeps_its_numbers(opener: Opener) -> None:
    buffer = await opener.open()
    await fill(buffer, 3)
    assert await buffer.begin_sending(0) == 0
    assert await buffer.begin_sending(2) == 0
    assert await seqs(buffer) == [1, 2, 3]
    await buffer.close()


async def test_provisional_numbers_below_the_masters_are_given_anew_though_more_were_given_here(
    opener: Opener,
) -> None:
    buffer = await opener.open()
    await fill(buffer, 5)
    assert await buffer.begin_sending(3) == 5
    assert await seqs(buffer) == [4, 5, 6, 7, 8]
    assert await buffer.begin_sending(3) == 0
    await buffer.close()


async def test_refused_record_is_set_aside_and_counted(opener: Opener) -> None:
    buffer = await opener.open()
    await fill(buffer, 3)
    await buffer.set_aside(2, 34)
    assert await seqs(buffer) == [1, 3]
    assert buffer.fill().set_aside_records == 1
    assert buffer.fill().records == 2
    await buffer.close()
    again = await opener.open()
    assert await seqs(again) == [1, 3]
    assert again.fill().set_aside_records == 1
    await again.close()


async def test_disk_that_refuses_raises_store_error_and_the_records_are_committed_later(opener: Opener) -> None:
    buffer = await opener.open()
    await fill(buffer, 1)
    blocker = sqlite3.connect(opener.directory.path / "buffer.db", isolation_level=None)
    buffer._guarded.file._database.execute("PRAGMA busy_timeout = 10")
    blocker.execute("BEGIN IMMEDIATE")
    buffer.append(b"x", MASTER)
    with pytest.raises(StoreError) as caught:
        await buffer.commit()
    assert caught.value.remedy
    assert buffer.fill().uncommitted_records == 1
    blocker.execute("ROLLBACK")
    blocker.close()
    await buffer.commit()
    assert await seqs(buffer) == [1, 2]
    await buffer.close()


async def test_memory_before_a_dead_disk_is_bounded_and_what_is_dropped_is_counted(opener: Opener) -> None:
    buffer = await opener.open()
    for _ in range(3_000):
        buffer.append(b"x" * 1_000, MASTER)
    level = buffer.fill()
    assert level.uncommitted_records * 1_000 < 1_100_000
    assert level.dropped_records == 3_000 - level.uncommitted_records
    await buffer.close()


async def test_other_storage_secret_opens_no_row(opener: Opener) -> None:
    buffer = await opener.open()
    await fill(buffer, 2)
    await buffer.close()
    other = await opener.open(secret=b"t" * 32)
    assert await seqs(other) == []
    assert other.fill().unreadable_records == 2
    await other.close()


APPENDER = """
import asyncio, sys
from pathlib import Path
from group_protocol.identifiers import ObjectId
from slave_client.buffer import Buffer
from slave_client.buffered_record import BufferLimits
from slave_client.state_directory import StateDirectory
from system_ports.clock import SystemClock
from system_ports.randomness import SystemRandom

async def main():
    with StateDirectory(Path(sys.argv[1])) as directory:
        buffer = await Buffer.open(
            directory, b"s" * 32, limits=BufferLimits(), clock=SystemClock(), random=SystemRandom()
        )
        print("ready", flush=True)
        while True:
            given = [buffer.append(b"%d" % number, ObjectId(b"m" * 16)) for number in range(5)]
            if given[0] > 40:
                buffer.acknowledge(given[0] - 40)
            await buffer.commit()
            sys.stdout.write(f"{given[-1]}\\n")
            sys.stdout.flush()

asyncio.run(main())
"""


@pytest.mark.processes
def test_kills_at_random_instants_lose_nothing_committed_and_give_no_seq_twice(tmp_path: Path) -> None:
    path = tmp_path / "state"
    source = random.Random(7)
    last_committed = 0
    for attempt in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", APPENDER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        threading.Timer(source.uniform(0.0, 0.2), child.kill).start()
        committed = [int(line) for line in child.stdout if line.endswith("\n")]
        child.wait()
        if committed:
            assert committed[0] > last_committed
            last_committed = committed[-1]
        held = asyncio.run(_held(path, attempt))
        assert held == sorted(set(held))
        # A batch of five may be committed and not told any more: its acknowledgement went five further.
        assert set(range(max(1, last_committed - 30), last_committed + 1)) <= set(held)
        last_committed = max([last_committed, *held])


async def _held(path: Path, attempt: int) -> list[int]:
    with StateDirectory(path) as directory:
        opener = Opener(directory)
        opener.random = SeededRandom(attempt)
        buffer = await opener.open()
        assert buffer.damage == ""
        assert buffer.fill().unreadable_records == 0
        held = await seqs(buffer)
        await buffer.close()
        return held


async def _reopened(opener: Opener, buffer: Buffer) -> Buffer:
    await buffer.close()
    return await opener.open()


def _damage(path: Path, kind: str) -> None:
    if kind == "garbage":
        path.write_bytes(b"\x00garbage" * 1_000)
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 100])
    else:
        if kind == "other database":
            path.unlink()
        database = sqlite3.connect(path)
        for table in ("record", "counter") if kind == "empty tables" else ():
            database.execute(f"DROP TABLE {table}")
        if kind == "other database":
            database.execute("CREATE TABLE cat (name)")
        database.commit()
        database.close()
