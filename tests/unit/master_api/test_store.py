import asyncio
import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from group_protocol.errors import ConfigurationError, Reason, RefusedError, StoreError
from master_api.store import schema
from master_api.store.store import Store
from tests.support.failing_store import failing_commits, held_commits


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m" / "store.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{path}")
    yield store
    store.close()


def add(connection: Connection, number: int) -> int:
    row = {"number": number, "at_unix_ms": 0, "kind": "x", "detail": "{}", "entry_hash": bytes(32)}
    connection.execute(insert(schema.audit).values(**row))
    return number


def numbers(connection: Connection) -> list[int]:
    return list(connection.execute(select(schema.audit.c.number).order_by(schema.audit.c.number)).scalars())


def test_file_and_folder_are_private(store: Store, path: Path) -> None:
    store.write_now(lambda connection: add(connection, 1))
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_pragmas_are_the_durable_ones(store: Store) -> None:
    def read(connection: Connection) -> tuple[object, ...]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return tuple(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names)

    assert store.read_now(read) == ("wal", 2, 1)


def test_write_answers_what_its_job_answers_and_is_read_after(store: Store) -> None:
    assert store.write_now(lambda connection: add(connection, 7)) == 7
    assert store.read_now(numbers) == [7]


def test_refused_job_keeps_nothing_and_leaves_the_others_of_its_batch(store: Store) -> None:
    def refuse(connection: Connection) -> None:
        add(connection, 2)
        raise RefusedError(Reason.BAD_RANGE)

    may_commit = threading.Event()
    with held_commits(store, lambda: may_commit.wait(10)):
        first = store.submit(lambda connection: add(connection, 0))
        jobs: list[Future[int] | Future[None]] = [
            store.submit(lambda connection: add(connection, 1)),
            store.submit(refuse),
            store.submit(lambda connection: add(connection, 3)),
        ]
        may_commit.set()
        first.result(10)
        assert isinstance(jobs[1].exception(10), RefusedError)
        assert jobs[0].result(10) == 1
        assert jobs[2].result(10) == 3
    assert store.read_now(numbers) == [0, 1, 3]


def test_broken_constraint_fails_its_own_job_alone(store: Store) -> None:
    futures = [store.submit(lambda connection, number=number: add(connection, number)) for number in (1, 1, 2)]  # type: ignore[misc]
    assert isinstance(futures[1].exception(10), StoreError)
    assert futures[2].result(10) == 2
    assert store.read_now(numbers) == [1, 2]


def test_foreign_key_is_enforced(store: Store) -> None:
    def orphan(connection: Connection) -> None:
        connection.execute(insert(schema.device_keys).values(oid=bytes(16), from_epoch=0, address=bytes(20)))

    with pytest.raises(StoreError):
        store.write_now(orphan)


def test_mistake_in_a_job_reaches_its_waiter_and_the_writer_goes_on(store: Store) -> None:
    def mistake(_connection: Connection) -> None:
        raise ZeroDivisionError

    with pytest.raises(StoreError, match="ZeroDivisionError"):
        store.write_now(mistake)
    assert store.write_now(lambda connection: add(connection, 1)) == 1


def test_failing_commit_fails_every_waiter_and_keeps_nothing(store: Store) -> None:
    with failing_commits(store):
        futures = [store.submit(lambda connection, number=number: add(connection, number)) for number in range(3)]  # type: ignore[misc]
        assert all(isinstance(future.exception(10), StoreError) for future in futures)
    assert store.read_now(numbers) == []
    store.write_now(lambda connection: add(connection, 1))
    assert store.read_now(numbers) == [1]


def test_jobs_run_in_the_order_in_which_they_came(store: Store) -> None:
    ran: list[int] = []
    futures = [store.submit(lambda _, number=number: ran.append(number)) for number in range(2_000)]  # type: ignore[misc]
    for future in futures:
        future.result(10)
    assert ran == list(range(2_000))


def test_close_writes_what_is_queued_and_refuses_more(path: Path) -> None:
    store = Store(f"sqlite:///{path}")
    futures = [store.submit(lambda connection, number=number: add(connection, number)) for number in range(200)]  # type: ignore[misc]
    store.close()
    assert all(future.done() for future in futures)
    with pytest.raises(StoreError, match="closed"):
        store.submit(lambda connection: add(connection, 999))
    store.close()
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM audit").fetchone() == (200,)


async def test_cancelled_waiter_does_not_take_its_write_back(store: Store) -> None:
    may_commit = threading.Event()
    with held_commits(store, lambda: may_commit.wait(10)):
        waiting = asyncio.create_task(store.write(lambda connection: add(connection, 1)))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        may_commit.set()
        await store.write(lambda connection: add(connection, 2))
    assert store.read_now(numbers) == [1, 2]


def test_second_process_may_read_and_write_beside(store: Store, path: Path) -> None:
    store.write_now(lambda connection: add(connection, 1))
    beside = Store(f"sqlite:///{path}", may_create=False)
    beside.write_now(lambda connection: add(connection, 2))
    beside.close()
    assert store.read_now(numbers) == [1, 2]


def test_newer_schema_is_refused_with_a_remedy(path: Path) -> None:
    store = Store(f"sqlite:///{path}")
    store.write_now(lambda connection: connection.execute(update(schema.schema_version).values(version=99)))
    store.close()
    with pytest.raises(ConfigurationError, match="schema 99"):
        Store(f"sqlite:///{path}")


def test_missing_store_is_not_made_where_it_should_be_there(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no store"):
        Store(f"sqlite:///{path}", may_create=False)
    assert not path.exists()


@pytest.mark.parametrize("url", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "cobol://x"])
def test_bad_url_is_the_users_to_mend(url: str) -> None:
    with pytest.raises(ConfigurationError):
        Store(url)


def test_missing_driver_names_its_package() -> None:
    with pytest.raises(ConfigurationError, match="needs the Python package"):
        Store("postgresql+psycopg2://host/name")


def test_file_that_is_no_database_is_a_store_error(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_bytes(b"this is no database, but it is long enough to look at" * 20)
    with pytest.raises(StoreError):
        Store(f"sqlite:///{path}")


def test_every_table_compiles_for_postgresql() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    created = {table.name: str(CreateTable(table).compile(dialect=dialect)) for table in schema.METADATA.sorted_tables}
    assert "BIGSERIAL" in created["records"]
    assert "BYTEA" in created["devices"]
