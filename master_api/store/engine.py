"""Opening the database: pragmas, file mode, schema version, and foreign errors translated at this border."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, make_url, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, StoreError, VirtualGroupError
from master_api.private_files import ensure_private_file, ensure_private_folder
from master_api.store.schema import METADATA, SCHEMA_VERSION, schema_version

BUSY_TIMEOUT_S = 10
"""SQLite waits this long for another process's write (a command beside the daemon) before it gives up."""

CACHE_KIB = 8_192
"""Each device has its own page of the index of records; SQLite's 2 MiB hold those of some 400 devices."""
JOURNAL_MAX_PAGES = 32_768
"""A commit that finds the journal at 128 MiB works it into the database itself, and takes as long as that takes. Long
before, :mod:`master_api.store.journal` does it; this is for what that one cannot count: other processes' writes, and
what a killed one left behind."""


def open_engine(url: str, *, may_create: bool) -> Engine:
    """Connect, and make the tables in an empty database.

    Args:
        url: SQLAlchemy URL.
        may_create: Whether an SQLite file may be made where there is none.

    Raises:
        ConfigurationError: The URL is no good, the file is missing, or a newer program wrote the database.
        StoreError: The database cannot be opened.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            _prepare_file(parsed, may_create=may_create)
        engine = create_engine(parsed, hide_parameters=True)
    except (ArgumentError, NoSuchModuleError) as exc:
        raise ConfigurationError(f"the store's URL is no good: {exc}", code=ErrorCode.SETTING_WRONG) from exc
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            f"the store needs the Python package {exc.name}",
            remedy=f"pip install {exc.name}",
            code=ErrorCode.PACKAGE_MISSING,
        ) from exc
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _set_pragmas)
        event.listen(engine, "begin", _begin)
    with translated_errors("open the store"), engine.begin() as connection:
        _ensure_schema(connection)
    return engine


def connect_alone(engine: Engine) -> Connection:
    """A connection that is nobody else's before or after: closed, it is closed, and no reader gets what was set on it.

    Raises:
        SQLAlchemyError: There is none to be had.
    """
    connection = engine.connect()
    connection.detach()
    return connection


def connect_writer(engine: Engine) -> Connection:
    """A connection for the thread that writes, to be kept.

    SQLite's cache of pages is a connection's own, and is void once another one has written.

    Raises:
        SQLAlchemyError: There is none to be had.
    """
    connection = connect_alone(engine)
    if engine.dialect.name == "sqlite":
        _set_writer_pragmas(driver_of(connection))  # below SQLAlchemy: no transaction may have begun
    return connection


def driver_of(connection: Connection) -> Any:  # noqa: ANN401 - the driver's own, whichever that is
    """The driver's connection below SQLAlchemy's."""
    return connection.connection.dbapi_connection


@contextmanager
def translated_errors(action: str) -> Iterator[None]:
    """Turn the database's errors into StoreError; our own pass as they are."""
    try:
        yield
    except SQLAlchemyError as exc:
        cause = getattr(exc, "orig", None) or exc
        raise StoreError(f"cannot {action}: {type(cause).__name__}: {cause}") from exc


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """Take back what is done in it where that alone is refused; anything else ends the whole transaction.

    SQLAlchemy's own compiles its statements anew each time, which was a third of what a commit of sixty records took of
    Python's lock.
    """
    connection.exec_driver_sql("SAVEPOINT part")
    try:
        yield
    except (IntegrityError, VirtualGroupError):
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT part")
        connection.exec_driver_sql("RELEASE SAVEPOINT part")
        raise
    connection.exec_driver_sql("RELEASE SAVEPOINT part")


def _prepare_file(url: URL, *, may_create: bool) -> None:
    if not url.database or url.database == ":memory:":
        raise ConfigurationError("the store cannot live in memory alone", code=ErrorCode.SETTING_WRONG)
    path = Path(url.database)
    if not may_create and not path.exists():
        raise ConfigurationError(
            f"there is no store at {path}", remedy="Run: vgroup master init", code=ErrorCode.NO_MASTER_HERE
        )
    ensure_private_folder(path.parent)
    ensure_private_file(path)


def _set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own, unused
    connection.isolation_level = None  # the driver would begin transactions by rules of its own; _begin does it
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # a commit is on the disk before anybody hears of it
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _set_writer_pragmas(connection: sqlite3.Connection) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    # Each page that a savepoint may have to take back is copied first: into memory, no file made and removed each time.
    cursor.execute("PRAGMA temp_store = MEMORY")
    cursor.execute(f"PRAGMA wal_autocheckpoint = {JOURNAL_MAX_PAGES}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A reader's BEGIN takes no lock; a writer says so in its execution options and takes the lock at once,
    # because SQLite cannot turn a read transaction into a write while another one writes.
    is_reader = connection.get_execution_options().get("vgroup_reader", False)
    connection.exec_driver_sql("BEGIN" if is_reader else "BEGIN IMMEDIATE")


def _ensure_schema(connection: Connection) -> None:
    METADATA.create_all(connection, checkfirst=True)
    version = connection.execute(select(schema_version.c.version)).scalar_one_or_none()
    if version is None:
        connection.execute(insert(schema_version).values(version=SCHEMA_VERSION))
    elif version > SCHEMA_VERSION:
        raise ConfigurationError(
            f"the store has schema {version}; this program knows up to {SCHEMA_VERSION}",
            remedy="Use the newer vgroup that wrote it.",
            code=ErrorCode.WRITTEN_BY_NEWER,
        )
