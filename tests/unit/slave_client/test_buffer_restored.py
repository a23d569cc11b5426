"""A state directory put back from a backup, and a damaged file whose rows are saved."""

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from group_protocol.identifiers import ObjectId
from slave_client.buffer import Buffer
from slave_client.buffered_record import BufferLimits
from slave_client.state_directory import StateDirectory
from tests.support.seeded import ManualClock, SeededRandom

MASTER = ObjectId(b"m" * 16)


async def open_buffer(path: Path, seed: int = 1) -> Buffer:
    directory = StateDirectory(path)
    directory.create()
    return await Buffer.open(
        directory, b"s" * 32, limits=BufferLimits(), clock=ManualClock(), random=SeededRandom(seed)
    )


async def say(buffer: Buffer, *texts: str) -> None:
    for text in texts:
        buffer.append(text.encode(), MASTER)
    await buffer.commit()


async def held(buffer: Buffer) -> list[tuple[int, str]]:
    records = await buffer.read_after(0, max_records=10_000, max_bytes=1 << 30)
    return [(record.seq, record.payload.decode()) for record in records]


async def put_back(path: Path) -> Buffer:
    """A device that said six records, of which the master holds five; its files are those of after the third."""
    buffer = await open_buffer(path)
    await buffer.begin_sending(0)
    await say(buffer, "one", "two", "three")
    buffer.acknowledge(1)
    await buffer.close()
    backup = path.with_name("backup")
    shutil.copytree(path, backup)
    buffer = await open_buffer(path)
    await buffer.begin_sending(3)
    await say(buffer, "four", "five", "six")
    await buffer.close()
    shutil.rmtree(path)
    backup.rename(path)
    return await open_buffer(path, seed=2)


@pytest.mark.parametrize("new", [["a"], ["a", "b", "c", "d"]], ids=["fewer than lost", "more than lost"])
async def test_what_was_measured_after_the_restoration_gets_numbers_above_the_masters(
    tmp_path: Path, new: list[str]
) -> None:
    buffer = await put_back(tmp_path / "state")
    await say(buffer, *new)
    assert await buffer.begin_sending(5) == len(new)
    numbered = await held(buffer)
    # Two and three were sent before the backup: the master takes them for the repetitions that they are.
    assert numbered[:2] == [(2, "two"), (3, "three")]
    assert [text for _, text in numbered[2:]] == new
    assert [seq for seq, _ in numbered[2:]] == list(range(6, 6 + len(new)))
    assert await buffer.begin_sending(numbered[-1][0]) == 0
    await buffer.close()


async def test_restoration_is_noticed_after_further_restarts_without_a_master_too(tmp_path: Path) -> None:
    buffer = await put_back(tmp_path / "state")
    for text in ("a", "b", "c"):
        await say(buffer, text)
        await buffer.close()
        buffer = await open_buffer(tmp_path / "state", seed=ord(text))
    assert await buffer.begin_sending(5) == 3
    assert [text for _, text in await held(buffer)] == ["two", "three", "a", "b", "c"]
    await buffer.close()


async def test_backlog_of_a_device_that_was_never_restored_keeps_its_numbers(tmp_path: Path) -> None:
    buffer = await open_buffer(tmp_path / "state")
    await say(buffer, "one", "two")
    assert await buffer.begin_sending(0) == 0
    await buffer.close()
    buffer = await open_buffer(tmp_path / "state", seed=2)
    await say(buffer, "three")
    assert await buffer.begin_sending(2) == 0
    await say(buffer, "four")
    await buffer.close()
    buffer = await open_buffer(tmp_path / "state", seed=3)
    assert await buffer.begin_sending(4) == 0
    assert [seq for seq, _ in await held(buffer)] == [1, 2, 3, 4]
    await buffer.close()


def break_pages(path: Path, first: int, count: int = 1, page_bytes: int = 4_096) -> None:
    with path.open("r+b") as file:
        file.seek(first * page_bytes)
        file.write(b"\xa5" * page_bytes * count)


async def test_rows_around_the_damage_are_saved_under_their_numbers(tmp_path: Path) -> None:
    buffer = await open_buffer(tmp_path / "state")
    await say(buffer, *(f"record {number}: " + "x" * 500 for number in range(1, 201)))
    await buffer.close()
    path = tmp_path / "state" / "buffer.db"
    break_pages(path, path.stat().st_size // 4_096 // 2)
    again = await open_buffer(tmp_path / "state", seed=2)
    saved = await held(again)
    assert "buffer.db.damaged-1" in again.damage
    assert f"{len(saved)} of its records could be saved" in again.damage
    assert 150 < len(saved) < 200
    assert all(text.startswith(f"record {seq}: ") for seq, text in saved)
    assert {1, 200} <= {seq for seq, _ in saved}
    assert await again.begin_sending(100) == 0
    assert again.append(b"new", MASTER) > 200
    await again.close()


async def test_damage_that_is_met_while_the_daemon_runs_is_set_aside_at_the_next_read(tmp_path: Path) -> None:
    buffer = await open_buffer(tmp_path / "state")
    for first in (1, 1_001):
        await say(buffer, *(f"record {number}: " + "x" * 500 for number in range(first, first + 1_000)))
    file = buffer._guarded.file._database
    file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.execute("PRAGMA cache_size = 0")
    path = tmp_path / "state" / "buffer.db"
    break_pages(path, path.stat().st_size // 4_096 // 2, count=2)
    saved = await held(buffer)
    assert buffer.damage
    assert 1_900 < len(saved) < 2_000
    await say(buffer, "later")
    assert (await held(buffer))[-1] == (2_001, "later")
    await buffer.close()
    assert sqlite3.connect(path).execute("PRAGMA quick_check").fetchone() == ("ok",)


async def test_numbers_given_anew_are_not_sealed_under_a_nonce_that_was_used(tmp_path: Path) -> None:
    buffer = await put_back(tmp_path / "state")
    await say(buffer, "a", "b", "c", "d")
    rows = "SELECT seq, opening FROM record"
    path = tmp_path / "state" / "buffer.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        used = set(database.execute(rows))
    await buffer.begin_sending(5)
    await say(buffer, "e")
    with contextlib.closing(sqlite3.connect(path)) as database:
        kept = {(2, 1), (3, 1)}
        assert kept <= used
        assert set(database.execute(rows)) & used == kept, "what was never sent is sealed under another salt"
    await buffer.close()
