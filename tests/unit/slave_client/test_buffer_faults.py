"""The buffer is interrupted, its rows are damaged, and it is killed while it mends itself."""

import asyncio
import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from group_protocol.identifiers import ObjectId
from slave_client import buffer_mending
from slave_client.buffer import Buffer
from slave_client.buffer_database import BufferDatabase
from slave_client.buffer_file import BufferFile
from slave_client.buffered_record import BufferLimits
from slave_client.state_directory import StateDirectory
from tests.support.seeded import ManualClock, SeededRandom

MASTER = ObjectId(b"m" * 16)


async def open_buffer(directory: StateDirectory, *, seed: int = 1, secret: bytes = b"s" * 32) -> Buffer:
    return await Buffer.open(directory, secret, limits=BufferLimits(), clock=ManualClock(), random=SeededRandom(seed))


async def say(buffer: Buffer, *texts: str) -> None:
    for text in texts:
        buffer.append(text.encode(), MASTER)
    await buffer.commit()


async def held(buffer: Buffer) -> list[str]:
    return [record.payload.decode() for record in await buffer.read_after(0, max_records=10_000, max_bytes=1 << 30)]


def change(directory: StateDirectory, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(directory.path / "buffer.db", isolation_level=None)) as database:
        database.execute(statement)


async def test_what_comes_after_a_commit_that_was_cancelled_is_committed_too(directory: StateDirectory) -> None:
    buffer = await open_buffer(directory)
    has_begun, may_go_on = threading.Event(), threading.Event()
    commit = buffer._guarded.commit

    def commit_slowly(*args: Any, **options: Any) -> Any:
        has_begun.set()
        may_go_on.wait(timeout=10)
        return commit(*args, **options)

    with mock.patch.object(buffer._guarded, "commit", commit_slowly):
        buffer.append(b"one", MASTER)
        committing = asyncio.create_task(buffer.commit())
        await asyncio.to_thread(has_begun.wait, 10)
        committing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await committing
        may_go_on.set()
        await say(buffer, "two")
    await buffer.close()
    again = await open_buffer(directory, seed=2)
    assert await held(again) == ["one", "two"]
    await again.close()


async def test_rows_that_do_not_open_do_not_hide_those_behind_them(directory: StateDirectory) -> None:
    foreign = await open_buffer(directory, secret=b"t" * 32)
    await say(foreign, "a", "b", "c")
    await foreign.close()
    buffer = await open_buffer(directory, seed=2)
    await say(buffer, "readable")
    await buffer.close()
    buffer = await open_buffer(directory, seed=3)
    (record,) = await buffer.read_after(0, max_records=2, max_bytes=1_000)
    assert record.payload == b"readable"
    assert buffer.fill().unreadable_records == 3
    await buffer.close()


async def test_rows_that_do_not_open_are_counted_when_numbers_are_given_anew(directory: StateDirectory) -> None:
    foreign = await open_buffer(directory, secret=b"t" * 32)
    await say(foreign, "a", "b")
    await foreign.close()
    buffer = await open_buffer(directory, seed=2)
    await say(buffer, "readable")
    assert await buffer.begin_sending(100) == 1
    assert buffer.fill().unreadable_records == 2
    assert buffer.fill().records == 1
    await buffer.close()


async def test_age_that_is_no_number_is_damage_also_when_a_commit_meets_it(directory: StateDirectory) -> None:
    buffer = await open_buffer(directory)
    await say(buffer, "one", "two", "three")
    await buffer.close()
    change(directory, "UPDATE record SET held_s = 'x' WHERE seq = 2")
    buffer = await open_buffer(directory, seed=2)
    buffer.acknowledge(1)
    await say(buffer, "four")
    assert "buffer.db.damaged-1" in buffer.damage
    assert {"three", "four"} <= set(await held(buffer))
    await buffer.close()


async def test_numbers_are_known_though_a_kill_left_a_file_without_any(directory: StateDirectory) -> None:
    buffer = await open_buffer(directory)
    await say(buffer, "one")
    await buffer.close()
    (directory.path / "buffer.db").unlink()
    BufferDatabase(directory.path / "buffer.db").close()
    buffer = await open_buffer(directory, seed=2)
    assert buffer.append(b"two", MASTER) > 1_000
    await buffer.close()


class Killed(BaseException):
    """The process ends here."""


STEPS = ["begin_numbers", "restore", "close", "replace", "rename -wal", "rename", "replace again", "sync"]


def kill_at(step: str, patches: contextlib.ExitStack) -> None:
    """End :func:`mend` right before one of its steps."""
    replaced = 0
    real_replace, real_rename = Path.replace, Path.rename

    def die(*_: object, **__: object) -> None:
        raise Killed

    def replace(path: Path, target: Path) -> Path:
        nonlocal replaced
        replaced += 1
        if replaced == (1 if step == "replace" else 2) and step.startswith("replace"):
            raise Killed
        return real_replace(path, target)

    def rename(path: Path, target: Path) -> Path:
        if path.exists() and path.name == ("buffer.db-wal" if step == "rename -wal" else "buffer.db"):
            raise Killed
        return real_rename(path, target)

    if step in ("begin_numbers", "restore", "close"):
        patches.enter_context(mock.patch.object(BufferFile, step, die))
    elif step == "sync":
        patches.enter_context(mock.patch.object(buffer_mending, "sync_folder", die))
    elif step.startswith("replace"):
        patches.enter_context(mock.patch.object(Path, "replace", replace))
    else:
        patches.enter_context(mock.patch.object(Path, "rename", rename))


@pytest.mark.parametrize("step", STEPS)
async def test_kill_while_a_damaged_file_is_replaced_loses_nothing_that_can_be_read(
    directory: StateDirectory, step: str
) -> None:
    await leave_damaged_file(directory)
    with contextlib.ExitStack() as patches:
        kill_at(step, patches)
        with pytest.raises(Killed):
            await open_buffer(directory, seed=2)
    buffer = await open_buffer(directory, seed=3)
    assert await held(buffer) == ["in the file", "in the WAL"]
    assert "buffer.db.damaged-1" in buffer.damage
    assert buffer.append(b"new", MASTER) > 2
    await buffer.close()
    again = await open_buffer(directory, seed=4)
    assert await held(again) == ["in the file", "in the WAL", "new"]
    assert not again.damage
    await again.close()


async def leave_damaged_file(directory: StateDirectory) -> None:
    """As a power cut leaves it: one record in the file, one in its WAL; and a counter that is none."""
    buffer = await open_buffer(directory)
    await say(buffer, "in the file")
    await buffer.close()
    buffer = await open_buffer(directory, seed=5)
    await say(buffer, "in the WAL")
    change(directory, "UPDATE counter SET value = 'x'")
    before = {name: (directory.path / name).read_bytes() for name in ("buffer.db", "buffer.db-wal")}
    await buffer.close()
    for name, content in before.items():
        (directory.path / name).write_bytes(content)
