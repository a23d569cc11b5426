"""Transactions, receipts and logs as rows: what was executed, ready to be asked for without executing it again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth._utils.address import generate_contract_address
from eth.abc import BlockHeaderAPI, ReceiptAPI, SignedTransactionAPI

from chain_gateway.embedded.store import ChainStore

MAX_LOGS = 10_000
"""Most logs that one query answers, as public nodes have it; who wants more asks for fewer blocks at a time."""

_TOPIC_COLUMNS = ("topic0", "topic1", "topic2", "topic3")


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """One executed transaction with its receipt. Hashes have 32 bytes, addresses 20, the bloom 256."""

    hash: bytes
    block_number: int
    block_hash: bytes
    position: int
    sender: bytes
    encoded: bytes
    succeeded: bool
    gas_used: int
    cumulative_gas_used: int
    bloom: bytes
    created: bytes | None


@dataclass(frozen=True, slots=True)
class StoredLog:
    """One event as the EVM emitted it. ``index`` counts within the block; ``topics`` have 32 bytes each."""

    block_number: int
    block_hash: bytes
    index: int
    transaction_hash: bytes
    position: int
    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What ``eth_getLogs`` asks for.

    Attributes:
        first_block: Number of the first block, inclusive.
        last_block: Number of the last block, inclusive.
        addresses: Emitters, 20 bytes each; empty for any.
        topics: For each position the values that match; an empty position matches any value.
    """

    first_block: int
    last_block: int
    addresses: tuple[bytes, ...] = ()
    topics: tuple[tuple[bytes, ...], ...] = ()


class TooManyLogsError(Exception):
    """More than :data:`MAX_LOGS` logs match."""


class Archive:
    """The rows of :class:`ChainStore`'s tables ``block``, ``tx`` and ``log``."""

    def __init__(self, store: ChainStore) -> None:
        self._connection = store.connection

    def add_block(
        self, header: BlockHeaderAPI, transactions: Sequence[SignedTransactionAPI], receipts: Sequence[ReceiptAPI]
    ) -> None:
        """Write one block's rows; the caller holds the store's transaction."""
        self._connection.execute("INSERT INTO block (number, hash) VALUES (?, ?)", (header.block_number, header.hash))
        cumulative = log_index = 0
        for position, (transaction, receipt) in enumerate(zip(transactions, receipts, strict=True)):
            row = _transaction_row(header.block_number, position, transaction, receipt, receipt.gas_used - cumulative)
            self._connection.execute("INSERT INTO tx VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            logs = _log_rows(header.block_number, position, log_index, receipt)
            self._connection.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", logs)
            cumulative = receipt.gas_used
            log_index += len(logs)

    def transaction(self, transaction_hash: bytes) -> StoredTransaction | None:
        """The transaction with this hash, or None."""
        found = self._select_transactions("tx.hash = ?", transaction_hash)
        return found[0] if found else None

    def block_transactions(self, number: int) -> list[StoredTransaction]:
        """A block's transactions in their order."""
        return self._select_transactions("tx.block_number = ?", number)

    def transaction_logs(self, transaction: StoredTransaction) -> list[StoredLog]:
        """The logs of one transaction."""
        return self._select_logs(
            ["log.block_number = ?", "log.position = ?"], [transaction.block_number, transaction.position]
        )

    def logs(self, wanted: LogFilter) -> list[StoredLog]:
        """The logs that match, in chain order: a walk over the rows of the asked blocks and no others.

        Raises:
            TooManyLogsError: more than MAX_LOGS match.
        """
        conditions = ["log.block_number BETWEEN ? AND ?"]
        values: list[int | bytes] = [wanted.first_block, wanted.last_block]
        for column, accepted in zip(("address", *_TOPIC_COLUMNS), (wanted.addresses, *wanted.topics), strict=False):
            if accepted:
                conditions.append(f"log.{column} IN ({', '.join('?' * len(accepted))})")
                values += accepted
        if wanted.topics:
            conditions.append(f"log.{_TOPIC_COLUMNS[len(wanted.topics) - 1]} IS NOT NULL")
        found = self._select_logs(conditions, values)
        if len(found) > MAX_LOGS:
            raise TooManyLogsError
        return found

    def _select_transactions(self, condition: str, value: bytes | int) -> list[StoredTransaction]:
        rows = self._connection.execute(
            "SELECT tx.hash, tx.block_number, block.hash, position, sender, encoded, succeeded, gas_used,"  # noqa: S608 - the conditions are the literals above
            " cumulative_gas_used, bloom, created"
            f" FROM tx JOIN block ON block.number = tx.block_number WHERE {condition} ORDER BY position",
            (value,),
        )
        return [StoredTransaction(*row) for row in rows]

    def _select_logs(self, conditions: Sequence[str], values: Sequence[int | bytes]) -> list[StoredLog]:
        rows = self._connection.execute(
            "SELECT log.block_number, block.hash, log_index, tx.hash, log.position, address,"  # noqa: S608 - the conditions name our own columns
            " topic0, topic1, topic2, topic3, data FROM log"
            " JOIN tx ON tx.block_number = log.block_number AND tx.position = log.position"
            " JOIN block ON block.number = log.block_number"
            f" WHERE {' AND '.join(conditions)} ORDER BY log.block_number, log_index LIMIT {MAX_LOGS + 1}",
            values,
        )
        return [_stored_log(row) for row in rows]


def _transaction_row(
    number: int, position: int, transaction: SignedTransactionAPI, receipt: ReceiptAPI, gas_used: int
) -> tuple[object, ...]:
    created = None
    if transaction.to == b"":
        created = generate_contract_address(transaction.sender, transaction.nonce)
    return (
        transaction.hash,
        number,
        position,
        transaction.sender,
        transaction.encode(),
        int(receipt.state_root == b"\x01"),
        gas_used,
        receipt.gas_used,
        receipt.bloom.to_bytes(256, "big"),
        created,
    )


def _log_rows(number: int, position: int, first_index: int, receipt: ReceiptAPI) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for index, log in enumerate(receipt.logs, first_index):
        topics: list[bytes | None] = [topic.to_bytes(32, "big") for topic in log.topics]
        topics += [None] * (len(_TOPIC_COLUMNS) - len(topics))
        rows.append((number, index, position, log.address, *topics, log.data))
    return rows


def _stored_log(row: Sequence[Any]) -> StoredLog:
    number, block_hash, index, transaction_hash, position, address, *topics, data = row
    present = tuple(topic for topic in topics if topic is not None)
    return StoredLog(number, block_hash, index, transaction_hash, position, address, present, data)
