"""One instant of several SQLite databases that others write to.

The chain must know whatever the store believes of it, and the store must know each anchor that the chain has
(``docs/adr/0017-anchors.md``). So for some milliseconds the gateway's databases are kept from changing, in which a
read transaction is begun in each of them and in the store. After that everybody writes on, and the copies are made
from what those transactions see.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import StoreError
from system_ports.private_files import PRIVATE_FILE_MODE

_LOCK_TIMEOUT_S: Final = 10.0


@contextmanager
def snapshots(gateway: Sequence[Path], store: Sequence[Path]) -> Iterator[dict[Path, sqlite3.Connection]]:
    """A connection for each file, each of which sees that file as it was at one and the same instant.

    Raises:
        StoreError: One of them is no database, or somebody does not let go of it.
    """
    with ExitStack() as readers:
        with ExitStack() as locks:
            for path in gateway:
                locks.enter_context(_held_still(path))
            opened = {path: readers.enter_context(_reading(path)) for path in (*store, *gateway)}
        yield opened


def copy_snapshot(name: str, snapshot: sqlite3.Connection, target: Path) -> None:
    """Copy what a snapshot sees into a new file of mode 0600, and check the copy's structure.

    Raises:
        StoreError: It cannot be copied, or what was copied is damaged.
    """
    target.touch(PRIVATE_FILE_MODE, exist_ok=False)
    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            snapshot.backup(copy)
            found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
            copy.execute("PRAGMA journal_mode = DELETE")  # all in one file; whoever opens it next makes a WAL again
    except sqlite3.Error as exc:
        raise StoreError(f"cannot copy {name}: {exc}") from exc
    if found != "ok":
        raise StoreError(
            f"{name} is damaged, and so would be its backup: {found}",
            remedy="Restore the last good backup.",
            code=ErrorCode.STORE_DAMAGED,
        )


@contextmanager
def _held_still(path: Path) -> Iterator[None]:
    with _connected(path) as connection:
        with _named(path):
            connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with _connected(path) as connection:
        with _named(path):
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # only now the snapshot is taken
        yield connection


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    with _named(path):
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=_LOCK_TIMEOUT_S
        )
    with closing(connection):
        yield connection


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise StoreError(
            f"cannot read {path}: {exc}", remedy="Try again; if it stays, see docs/operations.md."
        ) from exc
