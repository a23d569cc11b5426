"""The store's writing connection, and its journal: worked in beside the commits, begun anew, no harm to any of them."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select

from group_protocol.errors import StoreError
from master_api.store import engine as engine_module
from master_api.store import journal, schema
from master_api.store.store import Store
from tests.support.failing_store import failing_commits

PAGE_BYTES = 4_096
KEPT_PAGES = 64
ROW_BYTES = 7 * PAGE_BYTES  # with its leaf and the tables' heads some eight pages: what a job is counted as
LONG = 40
"""Writes of 320 pages together: five times what is kept."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m" / "store.sqlite3"


@pytest.fixture
def store(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(journal, "KEPT_PAGES", KEPT_PAGES)
    monkeypatch.setattr(journal, "RETRY_PAGES", KEPT_PAGES // 2)
    monkeypatch.setattr(journal, "REST_PAGES_MAX", 10)
    store = Store(f"sqlite:///{path}")
    yield store
    store.close()


def add(connection: Connection) -> Any:
    """A long row; answers the driver's connection."""
    number = count(connection)
    row = {"number": number, "at_unix_ms": 0, "kind": "x", "detail": "d" * ROW_BYTES, "entry_hash": os.urandom(32)}
    connection.execute(insert(schema.audit).values(**row))
    return connection.connection.dbapi_connection


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(schema.audit)).scalar_one()


def wait_until(is_so: Callable[[], bool]) -> None:
    until_s = monotonic() + 20
    while not is_so():
        assert monotonic() < until_s
        sleep(0.001)


def is_idle(store: Store) -> bool:
    kept = store._writer._journal
    assert kept is not None
    return not kept._is_under_way


def write(store: Store, times: int) -> None:
    """So many commits; where one has the journal worked in, the next waits for that."""
    for _ in range(times):
        store.write_now(add)
        store.submit(lambda _connection: None).result(20)  # only now the first one's commit is noted
        wait_until(lambda: is_idle(store))


def wal_pages(path: Path) -> int:
    return Path(f"{path}-wal").stat().st_size // (PAGE_BYTES + 24)


def file_pages(path: Path) -> int:
    return path.stat().st_size // PAGE_BYTES


def assert_whole(path: Path, rows: int) -> None:
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT count(*) FROM audit").fetchone() == (rows,)


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("store-")]


def hold_passes(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """From now on a pass waits before it begins: set when one is there, and to be set when it may go on."""
    is_there, may_go_on = threading.Event(), threading.Event()
    real = journal._checkpoint

    def hold(holder: Any, worker: Any) -> object:
        is_there.set()
        assert may_go_on.wait(20)
        return real(holder, worker)

    monkeypatch.setattr(journal, "_checkpoint", hold)
    return is_there, may_go_on


def test_journal_is_worked_in_beside_the_commits_and_begins_anew(store: Store, path: Path) -> None:
    longest = 0
    for _ in range(4):
        write(store, LONG)
        longest = max(longest, wal_pages(path))
    assert longest < 3 * KEPT_PAGES
    assert file_pages(path) > 4 * LONG * 6
    assert_whole(path, 4 * LONG)


def test_journal_grows_while_somebody_reads_an_old_state_and_is_worked_in_afterwards(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[str] = []
    real = journal._checkpoint

    def noted(holder: Any, worker: Any) -> object:
        passes.append(threading.current_thread().name)
        return real(holder, worker)

    monkeypatch.setattr(journal, "_checkpoint", noted)
    write(store, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM audit").fetchone() == (1,)
        write(store, LONG)
        assert wal_pages(path) > LONG * 6
        assert file_pages(path) < LONG * 2, "what the reader must not see yet is not worked in"
        assert 0 < len(passes) <= 2 * (LONG * 2 * 10 // KEPT_PAGES), "it is not tried again at each commit"
        assert reader.execute("SELECT count(*) FROM audit").fetchone() == (1,)
        reader.execute("ROLLBACK")
    write(store, LONG)
    grown = wal_pages(path)
    assert file_pages(path) > LONG * 6
    write(store, 2 * LONG)
    assert wal_pages(path) == grown, "it does not begin anew"
    assert_whole(path, 1 + 4 * LONG)


@pytest.mark.parametrize("thread", ["store-journal", "store-writer"])
def test_pass_that_fails_harms_no_commit_and_is_made_up_for(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch, thread: str
) -> None:
    failed: list[str] = []
    real = journal._checkpoint

    def fail(holder: Any, worker: Any) -> object:
        if threading.current_thread().name == thread:
            failed.append(thread)
            raise sqlite3.OperationalError("database or disk is full")
        return real(holder, worker)

    with monkeypatch.context() as patched:
        patched.setattr(journal, "_checkpoint", fail)
        write(store, LONG)
        assert failed
    grown = wal_pages(path)
    write(store, 2 * LONG)
    assert wal_pages(path) < grown + 2 * KEPT_PAGES
    assert file_pages(path) > 2 * LONG * 6
    assert_whole(path, 3 * LONG)


def test_commits_go_on_while_a_pass_is_under_way(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_there, may_go_on = hold_passes(monkeypatch)
    for _ in range(LONG):
        store.write_now(add)
    assert is_there.wait(20)
    assert not is_idle(store)
    assert store.read_now(count) == LONG
    may_go_on.set()
    write(store, LONG)
    assert wal_pages(path) < LONG * 8 + 3 * KEPT_PAGES
    assert_whole(path, 2 * LONG)


def test_closing_leaves_no_thread_and_no_journal(path: Path) -> None:
    before = our_threads()
    Store(f"sqlite:///{path}").close()
    store = Store(f"sqlite:///{path}")
    store.write_now(add)
    store.close()
    assert our_threads() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_closing_while_a_pass_is_under_way_waits_for_it(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_there, may_go_on = hold_passes(monkeypatch)
    for _ in range(KEPT_PAGES // 8 + 1):
        store.write_now(add)
    assert is_there.wait(20)
    closer = threading.Thread(target=store.close)
    closer.start()
    wait_until(lambda: not store._writer._thread.is_alive())
    assert closer.is_alive()
    may_go_on.set()
    closer.join(20)
    assert not closer.is_alive()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert_whole(path, KEPT_PAGES // 8 + 1)


def test_journal_does_not_begin_anew_under_a_pass(store: Store, path: Path) -> None:
    """SQLite before 3.51.3 loses pages where it does (https://sqlite.org/wal.html#walresetbug)."""

    def header() -> bytes:
        with Path(f"{path}-wal").open("rb") as wal:
            return wal.read(32)

    class Worker:
        def __init__(self, connection: sqlite3.Connection) -> None:
            self.connection = connection

        def execute(self, statement: str) -> sqlite3.Cursor:
            found = self.connection.execute(statement)
            before = header()
            store.write_now(add)  # all is worked in: the journal would begin anew here
            assert header() == before
            return found

    store.write_now(add)
    with (
        closing(engine_module.connect_alone(store._engine)) as holder,
        closing(engine_module.connect_alone(store._engine)) as worker,
    ):
        pair = engine_module.driver_of(holder), engine_module.driver_of(worker)
        found = journal._checkpoint(pair[0], Worker(pair[1]))
        assert found is not None
        assert found.left == 0
        found = journal._checkpoint(*pair)
        assert found is not None
        assert found.left == 0
        before = header()
        store.write_now(add)
        assert header() != before, "it begins anew after a pass"


def test_writer_keeps_its_connection_until_a_commit_fails(store: Store, path: Path) -> None:
    first = store.write_now(add)
    assert all(store.write_now(add) is first for _ in range(3))
    with failing_commits(store):
        assert isinstance(store.submit(add).exception(20), StoreError)
    second = store.write_now(add)
    assert second is not first
    assert store.write_now(add) is second
    assert_whole(path, 6)


def test_writer_whose_connection_is_dead_fails_one_commit_and_goes_on(store: Store, path: Path) -> None:
    store.write_now(add).close()
    assert isinstance(store.submit(add).exception(20), StoreError)
    store.write_now(add)
    assert_whole(path, 2)


def test_readers_get_no_connection_of_the_writers(store: Store) -> None:
    def cache_size(connection: Connection) -> int:
        return int(connection.exec_driver_sql("PRAGMA cache_size").scalar_one())

    kept = store.write_now(cache_size)
    assert kept == -engine_module.CACHE_KIB
    with failing_commits(store):
        store.submit(add).exception(20)
    assert store.read_now(cache_size) != kept
