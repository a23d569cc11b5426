"""The chain's one file: SQLite, one transaction per block.

``node`` holds what py-evm keeps by key: the state trie's nodes, contract code, headers and their lookups. ``block``,
``tx`` and ``log`` are ours: receipts and logs as rows, so that asking for them reads just those rows and executes
nothing.

Durability: WAL with ``synchronous=FULL``. A commit returns after its frames are flushed, so that neither ``kill -9``
nor a power cut takes back a block that was acknowledged; an unfinished transaction is invisible to whoever opens the
file next.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eth.db.backends.base import BaseDB

from chain_gateway.embedded.errors import ChainFileRefused
from group_protocol.error_codes import ErrorCode

APPLICATION_ID = 0x76_67_63_31
"""``vgc1`` in the SQLite header: this file is an embedded chain."""

FORMAT = "1"
"""Version of the tables below."""

_SCHEMA = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE node (key BLOB NOT NULL UNIQUE, value BLOB NOT NULL);
CREATE TABLE block (number INTEGER PRIMARY KEY, hash BLOB NOT NULL);
CREATE TABLE tx (
    hash BLOB NOT NULL UNIQUE,
    block_number INTEGER NOT NULL,
    position INTEGER NOT NULL,
    sender BLOB NOT NULL,
    encoded BLOB NOT NULL,
    succeeded INTEGER NOT NULL,
    gas_used INTEGER NOT NULL,
    cumulative_gas_used INTEGER NOT NULL,
    bloom BLOB NOT NULL,
    created BLOB,
    UNIQUE (block_number, position)
);
CREATE TABLE log (
    block_number INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    position INTEGER NOT NULL,
    address BLOB NOT NULL,
    topic0 BLOB, topic1 BLOB, topic2 BLOB, topic3 BLOB,
    data BLOB NOT NULL,
    PRIMARY KEY (block_number, log_index)
) WITHOUT ROWID;
"""


class ChainStore:
    """The open file. Not for several threads at once; the chain's one thread uses it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.nodes = NodeTable(connection)

    @property
    def is_new(self) -> bool:
        """True before the genesis transaction."""
        return not self.connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything written inside is committed together at the end, or, if anything raises, not at all."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def create_tables(self) -> None:
        """Inside the genesis transaction: mark the file as ours and make its tables."""
        self.connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        for statement in filter(str.strip, _SCHEMA.split(";")):
            self.connection.execute(statement)
        self.write_setting("format", FORMAT)

    def write_setting(self, name: str, value: str) -> None:
        """Store one fact about the chain that never changes."""
        self.connection.execute("INSERT INTO setting (name, value) VALUES (?, ?)", (name, value))

    def read_setting(self, name: str) -> str:
        """One stored fact. Raises ChainFileRefused where it is missing."""
        row = self.connection.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise ChainFileRefused(f"the chain file has no setting {name!r}", remedy="Restore it from a backup.")
        return str(row[0])

    def close(self) -> None:
        """Close the file; SQLite folds the write-ahead log into it."""
        self.connection.close()


class NodeTable(BaseDB):
    """py-evm's key-value store over the table ``node``. Writes are refused outside :meth:`ChainStore.transaction`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __getitem__(self, key: bytes) -> bytes:
        row = self._connection.execute("SELECT value FROM node WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return bytes(row[0])

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._demand_transaction()
        self._connection.execute(
            "INSERT INTO node (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, value),
        )

    def __delitem__(self, key: bytes) -> None:
        self._demand_transaction()
        if not self._connection.execute("DELETE FROM node WHERE key = ?", (key,)).rowcount:
            raise KeyError(key)

    def _exists(self, key: bytes) -> bool:
        return self._connection.execute("SELECT 1 FROM node WHERE key = ?", (key,)).fetchone() is not None

    def _demand_transaction(self) -> None:
        if not self._connection.in_transaction:
            raise RuntimeError("the chain is written in one transaction per block, never outside of it")


def open_store(path: Path) -> ChainStore:
    """Open or create the file at ``path`` (its directory exists and is locked by us).

    Raises:
        ChainFileRefused: not SQLite, damaged, another program's database, or a format that this version does not know.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        store = ChainStore(connection)
        if not store.is_new:
            _check_origin(store, path)
        _configure(connection)
    except sqlite3.DatabaseError as exc:
        connection.close()
        raise ChainFileRefused(
            f"{path} is damaged or not an embedded chain: {exc}",
            remedy="Restore it from a backup, or move it away to start an empty chain.",
        ) from exc
    except ChainFileRefused:
        connection.close()
        raise
    return store


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -16384")  # KiB


def _check_origin(store: ChainStore, path: Path) -> None:
    application_id = store.connection.execute("PRAGMA application_id").fetchone()[0]
    if application_id != APPLICATION_ID:
        raise ChainFileRefused(f"{path} is another program's database", remedy="Give the chain a directory of its own.")
    found = store.read_setting("format")
    if found != FORMAT:
        raise ChainFileRefused(
            f"{path} has format {found}; this version reads format {FORMAT}",
            remedy="Use the version of vgroup that wrote it.",
            code=ErrorCode.WRITTEN_BY_NEWER,
        )
