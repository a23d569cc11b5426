"""What the relayer signed and has not seen through: on the disk before it is sent, gone when its block is final.

A gateway that is killed between signing, sending and the receipt finds here what it had begun, and goes on with it:
the same bytes under the same tx_nonce, so that nothing of it can happen twice. SQLite; what is noted side by side
shares a commit.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from chain_gateway.fees import Fees
from group_protocol.crypto.keccak import keccak256
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, RegistryUnavailable
from group_protocol.identifiers import Address

APPLICATION_ID = 0x76_67_74_31
"""``vgt1`` in the SQLite header: this file is a journal of transactions."""

_FORMAT = 1
"""Version of the tables below (``PRAGMA user_version``)."""

_TABLES = (
    """CREATE TABLE call (
        relayer BLOB NOT NULL, key BLOB NOT NULL, recipient BLOB, calldata BLOB NOT NULL, gas_limit INTEGER NOT NULL,
        PRIMARY KEY (relayer, key)) WITHOUT ROWID""",
    # Fees as text: wei may be wider than SQLite's integers.
    """CREATE TABLE attempt (
        relayer BLOB NOT NULL, key BLOB NOT NULL, number INTEGER NOT NULL, tx_nonce INTEGER NOT NULL,
        max_fee_wei TEXT NOT NULL, tip_wei TEXT, raw BLOB NOT NULL, transaction_hash BLOB NOT NULL,
        PRIMARY KEY (relayer, key, number)) WITHOUT ROWID""",
)

_Job = Callable[[sqlite3.Connection], None]


@dataclass(frozen=True, slots=True)
class Call:
    """What is to be sent; ``to`` is None for a deployment.

    Attributes:
        key: 32 bytes; the same for the same call.
    """

    to: Address | None
    calldata: bytes
    gas_limit: int
    key: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", keccak256((self.to or b"") + self.calldata))


@dataclass(frozen=True, slots=True)
class Attempt:
    """A signed transaction that carries a call. The attempts of one call have one tx_nonce and rising fees."""

    tx_nonce: int
    fees: Fees
    raw: bytes
    transaction_hash: bytes


class TransactionJournal:
    """The open file. Several relayers may share it.

    Every method may raise RegistryUnavailable: the disk failed, and nothing may be sent that is not noted.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="transaction-journal")
        self._connection: sqlite3.Connection | None = None
        self._waiting: list[tuple[_Job, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, path: Path) -> "TransactionJournal":
        """Open or create the file. Raises ConfigurationError: it is damaged, or another program's."""
        journal = cls(path)
        loop = asyncio.get_running_loop()
        journal._connection = await loop.run_in_executor(journal._thread, lambda: _connect(path))
        return journal

    async def close(self) -> None:
        """Finish what was begun and close the file. Idempotent."""
        if self._flushing is not None:
            await asyncio.gather(self._flushing, return_exceptions=True)
        connection, self._connection = self._connection, None
        if connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, connection.close)
        self._thread.shutdown(wait=False)

    async def note(self, relayer: Address, call: Call, attempts: list[Attempt]) -> None:
        """Keep a call with all its attempts, in place of what was kept of it before; on the disk when this returns."""
        rows = [
            (
                relayer,
                call.key,
                number,
                attempt.tx_nonce,
                str(attempt.fees.max_fee_wei),
                None if attempt.fees.tip_wei is None else str(attempt.fees.tip_wei),
                attempt.raw,
                attempt.transaction_hash,
            )
            for number, attempt in enumerate(attempts)
        ]

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO call VALUES (?, ?, ?, ?, ?)",
                (relayer, call.key, call.to, call.calldata, call.gas_limit),
            )
            connection.execute("DELETE FROM attempt WHERE relayer = ? AND key = ?", (relayer, call.key))
            connection.executemany("INSERT INTO attempt VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

        await self._commit(write)

    async def settle(self, relayer: Address, call: Call) -> None:
        """Forget a call: it stands in a block for good, or was refused for good."""

        def write(connection: sqlite3.Connection) -> None:
            for table in ("attempt", "call"):
                connection.execute(
                    f"DELETE FROM {table} WHERE relayer = ? AND key = ?",  # noqa: S608 - names from the line above
                    (relayer, call.key),
                )

        await self._commit(write)

    async def fetch_open(self, relayer: Address) -> list[tuple[Call, list[Attempt]]]:
        """What an earlier run left unfinished, in the order of its tx_nonces."""
        connection = self._require_open()
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, lambda: _read(connection, relayer))
        except sqlite3.Error as exc:
            raise self._unusable(exc) from exc
        return sorted(found, key=lambda each: each[1][0].tx_nonce)

    async def _commit(self, job: _Job) -> None:
        self._require_open()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, done))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        await asyncio.shield(done)

    async def _flush(self) -> None:
        """Commit what waits, together; what comes meanwhile shares the next commit."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            connection = self._require_open()
            try:
                await asyncio.get_running_loop().run_in_executor(
                    self._thread, _write, connection, [job for job, _ in batch]
                )
            except sqlite3.Error as exc:
                for _, done in batch:
                    if not done.done():
                        done.set_exception(self._unusable(exc))
                        done.exception()  # its caller may have given up
            else:
                for _, done in batch:
                    if not done.done():
                        done.set_result(None)

    def _require_open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RegistryUnavailable("the gateway is closed")
        return self._connection

    def _unusable(self, cause: sqlite3.Error) -> RegistryUnavailable:
        return RegistryUnavailable(
            f"the journal of transactions {self._path} cannot be read or written: {cause}",
            remedy="Check the disk; nothing is sent that is not noted there first.",
            code=ErrorCode.DISK_REFUSES,
        )


def _connect(path: Path) -> sqlite3.Connection:
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # what was noted survives a power cut: it is sent next
        _prepare(connection)
    except (sqlite3.DatabaseError, ConfigurationError) as exc:
        connection.close()
        raise ConfigurationError(
            f"{path} is damaged or no journal of transactions that this version can read: {exc}",
            remedy="Move the file away. What it held may have been sent or not; the chain tells.",
            code=ErrorCode.JOURNAL_DAMAGED,
        ) from exc
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if not tables:
        setup = f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {_FORMAT}", *_TABLES
        _write(connection, [lambda open_file, statement=each: open_file.execute(statement) for each in setup])  # type: ignore[misc]
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (found_format,) = connection.execute("PRAGMA user_version").fetchone()
    if (application_id, found_format) != (APPLICATION_ID, _FORMAT):
        raise ConfigurationError("another program's file, or a later version's", code=ErrorCode.JOURNAL_DAMAGED)


def _write(connection: sqlite3.Connection, jobs: list[_Job]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for job in jobs:
            job(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _read(connection: sqlite3.Connection, relayer: Address) -> list[tuple[Call, list[Attempt]]]:
    found = []
    calls = connection.execute("SELECT key, recipient, calldata, gas_limit FROM call WHERE relayer = ?", (relayer,))
    for key, recipient, calldata, gas_limit in calls.fetchall():
        rows = connection.execute(
            "SELECT tx_nonce, max_fee_wei, tip_wei, raw, transaction_hash FROM attempt"
            " WHERE relayer = ? AND key = ? ORDER BY number",
            (relayer, key),
        )
        attempts = [
            Attempt(tx_nonce, Fees(int(max_fee), None if tip is None else int(tip)), raw, transaction_hash)
            for tx_nonce, max_fee, tip, raw, transaction_hash in rows
        ]
        if attempts:
            to = None if recipient is None else Address(recipient)
            found.append((Call(to, calldata, gas_limit), attempts))
    return found
