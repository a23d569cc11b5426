"""From raw transactions to blocks: admission, execution, and the one commit per block."""

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import rlp  # type: ignore[import-untyped]
from eth.abc import BlockHeaderAPI, ReceiptAPI, SignedTransactionAPI
from eth.db.trie import make_trie_root_and_nodes
from eth.exceptions import UnrecognizedTransactionType
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from chain_gateway.embedded.archive import Archive
from chain_gateway.embedded.errors import RpcError
from chain_gateway.embedded.evm import BLOCK_GAS_TARGET, EmbeddedVm, EvmState, finish_block, minimum_gas
from chain_gateway.embedded.store import ChainStore

REFUSED = -32000
"""geth's code for a transaction that it does not take."""

INTERNAL_ERROR = -32603
"""JSON-RPC 2.0: the fault is ours, not the request's."""

_TAKEN_TYPES = (0, 1, 2)
"""Legacy, EIP-2930, EIP-1559. Blobs and set-code transactions have no use on this chain."""

MAX_TRANSACTION_BYTES = 128 * 1024
"""As in geth's pool (``txMaxSize``)."""


logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _OpenBlock:
    """A block while it is being filled."""

    vm: EmbeddedVm
    header: BlockHeaderAPI
    transactions: list[SignedTransactionAPI] = field(default_factory=list)
    receipts: list[ReceiptAPI] = field(default_factory=list)


class Miner:
    """Mines what it is given at once. Several transactions given together share a block as far as gas allows."""

    def __init__(
        self, store: ChainStore, state: EvmState, archive: Archive, chain_id: int, now_unix_s: Callable[[], int]
    ) -> None:
        self._store = store
        self._state = state
        self._archive = archive
        self._chain_id = chain_id
        self._now_unix_s = now_unix_s

    def mine(self, raw_transactions: Sequence[bytes]) -> list[bytes | RpcError]:
        """Execute and commit; for each transaction, in order, its hash (32 bytes) or why it was refused.

        When this returns, every hash in the answer stands in a committed block.

        Raises:
            sqlite3.Error: the file cannot be written; nothing of the block that failed is kept.
        """
        answers: list[bytes | RpcError] = []
        while len(answers) < len(raw_transactions):
            answers += self._mine_block(raw_transactions[len(answers) :])
        return answers

    def _mine_block(self, raw_transactions: Sequence[bytes]) -> list[bytes | RpcError]:
        """The first of the transactions, as many as fit; a bug that one of them trips over is kept from the others."""
        try:
            return self._fill_block(raw_transactions)
        except sqlite3.Error:
            raise
        except Exception as exc:
            if len(raw_transactions) > 1:
                return self._mine_block(raw_transactions[: len(raw_transactions) // 2])
            logger.exception("the virtual machine failed on a transaction")
            return [RpcError(INTERNAL_ERROR, f"the virtual machine failed: {exc}")]

    def _fill_block(self, raw_transactions: Sequence[bytes]) -> list[bytes | RpcError]:
        answers: list[bytes | RpcError] = []
        with self._store.transaction():
            block = self._open_block()
            for transaction in self._decode_all(raw_transactions):
                if isinstance(transaction, RpcError):
                    answers.append(transaction)
                    continue
                if block.transactions and block.header.gas_used + transaction.gas > BLOCK_GAS_TARGET:
                    break
                answers.append(self._execute(block, transaction))
            if block.transactions:
                self._seal(block)
        return answers

    def _open_block(self) -> _OpenBlock:
        header = self._state.child_of(self._state.head(), self._now_unix_s())
        return _OpenBlock(vm=self._state.vm(header), header=header)

    def _decode_all(self, raw_transactions: Sequence[bytes]) -> Iterator[SignedTransactionAPI | RpcError]:
        for raw in raw_transactions:
            try:
                yield self._admit(raw)
            except RpcError as exc:
                yield exc

    def _admit(self, raw: bytes) -> SignedTransactionAPI:
        """Decode and check what needs no state. Raises RpcError."""
        if not 0 < len(raw) <= MAX_TRANSACTION_BYTES:
            raise RpcError(REFUSED, f"a transaction has 1 to {MAX_TRANSACTION_BYTES} bytes, not {len(raw)}")
        try:
            transaction = self._state.decode_transaction(raw)
            transaction.validate()
            transaction.check_signature_validity()
        except (rlp.RLPException, ValidationError, UnrecognizedTransactionType, BadSignature, TypeError) as exc:
            # TypeError: rlp met a list where a number belongs.
            raise RpcError(REFUSED, f"invalid transaction: {exc}") from exc
        if transaction_type(transaction) not in _TAKEN_TYPES:
            raise RpcError(REFUSED, "transaction type not supported")
        if transaction.chain_id != self._chain_id:
            raise RpcError(REFUSED, f"invalid chain id: have {transaction.chain_id} want {self._chain_id}")
        if transaction.gas > BLOCK_GAS_TARGET:
            raise RpcError(REFUSED, f"exceeds block gas limit: {transaction.gas} > {BLOCK_GAS_TARGET}")
        if transaction.gas < minimum_gas(transaction):
            raise RpcError(REFUSED, f"intrinsic gas too low: have {transaction.gas}, want {minimum_gas(transaction)}")
        return transaction

    @staticmethod
    def _execute(block: _OpenBlock, transaction: SignedTransactionAPI) -> bytes | RpcError:
        """Put the transaction into the block, or say why not; a refused one leaves no trace in the state."""
        expected = block.vm.state.get_nonce(transaction.sender)
        if transaction.nonce != expected:
            fault = "low" if transaction.nonce < expected else "high"
            return RpcError(REFUSED, f"nonce too {fault}: next nonce {expected}, tx nonce {transaction.nonce}")
        try:
            block.vm.validate_transaction_against_header(block.header, transaction)
            block.vm.state.validate_transaction(transaction)
        except ValidationError as exc:
            return RpcError(REFUSED, str(exc))
        receipt, _ = block.vm.apply_transaction(block.header, transaction)
        block.header = block.vm.add_receipt_to_header(block.header, receipt)
        block.transactions.append(transaction)
        block.receipts.append(receipt)
        return bytes(transaction.hash)

    def _seal(self, block: _OpenBlock) -> None:
        transaction_root, _ = make_trie_root_and_nodes(tuple(block.transactions))
        receipt_root, _ = make_trie_root_and_nodes(tuple(block.receipts))
        header = finish_block(block.vm, block.header, tuple(block.transactions), transaction_root, receipt_root)
        self._state.append(header)
        self._archive.add_block(header, block.transactions, block.receipts)


def transaction_type(transaction: SignedTransactionAPI) -> int:
    """EIP-2718's type; 0 for a legacy transaction, which carries none."""
    return int(getattr(transaction, "type_id", None) or 0)
