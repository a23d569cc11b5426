"""The event replica's file: the contract's logs as the node gave them, and the blocks that they stand on.

SQLite, one transaction per step. All of it can be read from the chain again, so that a lost file costs time only.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chain_gateway.contract_abi import WORD_BYTES
from chain_gateway.node_answers import RawLog
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.identifiers import Address
from group_protocol.ports import RegistryIdentity

APPLICATION_ID = 0x76_67_72_31
"""``vgr1`` in the SQLite header: this file is an event replica."""

_FORMAT = 1
"""Version of the tables below (``PRAGMA user_version``)."""

_BARE_BLOCKS_KEPT = 64
"""Blocks without an event that are kept as places to roll back to; blocks with events are always kept."""

_TABLES = (
    "CREATE TABLE identity (chain_id INTEGER NOT NULL, contract BLOB NOT NULL)",
    "CREATE TABLE block (number INTEGER PRIMARY KEY, hash BLOB NOT NULL)",
    """CREATE TABLE log (
        block_number INTEGER NOT NULL, log_index INTEGER NOT NULL,
        transaction_hash BLOB NOT NULL, topics BLOB NOT NULL, payload BLOB NOT NULL,
        PRIMARY KEY (block_number, log_index)) WITHOUT ROWID""",
)


@dataclass(frozen=True, slots=True)
class Position:
    """A block up to which (inclusive) the replica has every log."""

    number: int
    block_hash: bytes


class ReplicaStore:
    """The open file. Blocking, and for one thread at a time."""

    def __init__(self, connection: sqlite3.Connection, identity: RegistryIdentity) -> None:
        self._connection = connection
        self._identity = identity

    @classmethod
    def open(cls, path: Path, identity: RegistryIdentity) -> "ReplicaStore":
        """Open or create the file. One that holds another contract's logs is emptied.

        Raises:
            ConfigurationError: The file is damaged, another program's, or of a later format.
        """
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last blocks, to be read again
            store = cls(connection, identity)
            store._prepare(path)
        except (sqlite3.DatabaseError, ConfigurationError) as exc:
            connection.close()
            if isinstance(exc, ConfigurationError):
                raise
            raise ConfigurationError(
                f"{path} is damaged or no event replica: {exc}",
                remedy="Remove the file: it is read from the chain again.",
                code=ErrorCode.REPLICA_DAMAGED,
            ) from exc
        return store

    def position(self) -> Position | None:
        """The newest block that was taken; None in an empty file."""
        return next(self.positions(), None)

    def positions(self) -> Iterator[Position]:
        """Every known block, the newest first."""
        for number, block_hash in self._connection.execute("SELECT number, hash FROM block ORDER BY number DESC"):
            yield Position(number, bytes(block_hash))

    def logs(self) -> list[RawLog]:
        """All logs in the chain's order."""
        return self._select("")

    def logs_up_to(self, number: int) -> list[RawLog]:
        """Logs of the blocks up to this one, in the chain's order."""
        return self._select("WHERE log.block_number <= ?", (number,))

    def logs_with(self, topic: bytes, word: bytes) -> list[RawLog]:
        """Logs whose first topic (32 bytes) is this and that hold these bytes, in the chain's order."""
        return self._select(
            "WHERE substr(topics, 1, ?) = ? AND (instr(topics, ?) OR instr(payload, ?))",
            (WORD_BYTES, topic, word, word),
        )

    def _select(self, condition: str, values: tuple[object, ...] = ()) -> list[RawLog]:
        rows = self._connection.execute(
            "SELECT topics, payload, log.block_number, hash, transaction_hash, log_index"  # noqa: S608 - our own words
            f" FROM log JOIN block ON block.number = log.block_number {condition}"
            " ORDER BY log.block_number, log_index",
            values,
        )
        return [
            RawLog(
                address=Address(self._identity.contract),
                topics=tuple(topics[at : at + WORD_BYTES] for at in range(0, len(topics), WORD_BYTES)),
                payload=payload,
                block_number=block_number,
                block_hash=block_hash,
                transaction_hash=transaction_hash,
                log_index=log_index,
            )
            for topics, payload, block_number, block_hash, transaction_hash, log_index in rows
        ]

    def append(self, logs: Iterable[RawLog], position: Position) -> None:
        """Take the logs up to a block, in one transaction."""
        with self._transaction():
            self._insert(logs, position)

    def replace_above(self, number: int, logs: Iterable[RawLog], position: Position) -> None:
        """Forget every block above ``number``, and take the logs up to another block instead, in one transaction."""
        with self._transaction():
            self._delete_above(number)
            self._insert(logs, position)

    def empty(self) -> None:
        """Forget every block, in one transaction."""
        with self._transaction():
            self._delete_above(-1)

    def _insert(self, logs: Iterable[RawLog], position: Position) -> None:
        logs = list(logs)
        blocks = {log.block_number: log.block_hash for log in logs} | {position.number: position.block_hash}
        self._connection.executemany("INSERT OR REPLACE INTO block VALUES (?, ?)", blocks.items())
        self._connection.executemany(
            "INSERT INTO log VALUES (?, ?, ?, ?, ?)",
            (
                (log.block_number, log.log_index, log.transaction_hash, b"".join(log.topics), log.payload)
                for log in logs
            ),
        )
        self._connection.execute(
            "DELETE FROM block WHERE number IN (SELECT number FROM block LEFT JOIN log ON number = block_number"
            " WHERE block_number IS NULL ORDER BY number DESC LIMIT -1 OFFSET ?)",
            (_BARE_BLOCKS_KEPT,),
        )

    def _delete_above(self, number: int) -> None:
        self._connection.execute("DELETE FROM log WHERE block_number > ?", (number,))
        self._connection.execute("DELETE FROM block WHERE number > ?", (number,))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _prepare(self, path: Path) -> None:
        (application_id,) = self._connection.execute("PRAGMA application_id").fetchone()
        (found_format,) = self._connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not tables:
            self._create()
        elif (application_id, found_format) != (APPLICATION_ID, _FORMAT):
            raise ConfigurationError(
                f"{path} is no event replica that this version can read",
                remedy="Move the file away: the replica is read from the chain again.",
                code=ErrorCode.REPLICA_DAMAGED,
            )
        expected = (self._identity.chain_id, bytes(self._identity.contract))
        if self._connection.execute("SELECT chain_id, contract FROM identity").fetchone() != expected:
            with self._transaction():
                for table in ("identity", "block", "log"):
                    self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names from the line above
                self._connection.execute("INSERT INTO identity VALUES (?, ?)", expected)

    def _create(self) -> None:
        with self._transaction():
            self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version = {_FORMAT}")
            for statement in _TABLES:
                self._connection.execute(statement)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
