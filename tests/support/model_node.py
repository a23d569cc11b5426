"""A model of an Ethereum node, as a web3 provider in this process: a pool, blocks, forks, and failures on demand.

It executes nothing: a transaction in a block succeeds, and logs are put into blocks by the test. What it keeps to are
the rules of the pool (one transaction per nonce, gaps wait) and of the chain (each block names its parent's hash).
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes
from web3 import AsyncWeb3
from web3.providers.async_base import AsyncBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from chain_gateway.node import ChainNode
from chain_gateway.node_answers import RawLog
from group_protocol.crypto.keccak import keccak256

CHAIN_ID = 77
_REFUSED = -32000


@dataclass(frozen=True)
class ModelTransaction:
    raw: bytes
    transaction_hash: bytes
    sender: str
    nonce: int
    max_fee_wei: int
    tip_wei: int

    def may_replace(self, other: "ModelTransaction") -> bool:
        """geth's rule: both fees are at least a tenth higher."""
        return all(
            mine > theirs and 10 * mine >= 11 * theirs
            for mine, theirs in ((self.max_fee_wei, other.max_fee_wei), (self.tip_wei, other.tip_wei))
        )


@dataclass(frozen=True)
class ModelBlock:
    number: int
    block_hash: bytes
    parent_hash: bytes
    transactions: tuple[ModelTransaction, ...] = ()
    logs: tuple[RawLog, ...] = ()


@dataclass
class RpcFault(Exception):
    """A JSON-RPC error that the model answers."""

    code: int
    message: str
    error_data: str | None = None


@dataclass
class ModelNode(AsyncBaseProvider):
    """See the module.

    Attributes:
        mines_at_once: Every transaction that can gets a block of its own at once.
        base_fee_wei: None models a chain without EIP-1559. Blocks take nothing that offers less.
        tip_min_wei: Blocks take nothing that offers a smaller tip.
        is_down: Nobody answers.
        log_range_max: More blocks than that in eth_getLogs are refused.
    """

    mines_at_once: bool = True
    base_fee_wei: int | None = 7
    tip_min_wei: int = 0
    is_down: bool = False
    log_range_max: int = 1_000
    blocks: list[ModelBlock] = field(default_factory=list)
    pool: dict[int, ModelTransaction] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    answers: dict[str, object] = field(default_factory=dict)
    _faults: dict[str, deque[Exception]] = field(default_factory=dict)
    _branch: int = 0

    def __post_init__(self) -> None:
        super().__init__()
        self.mine()

    def connect_gateway(self) -> ChainNode:
        """The gateway's view of this node."""
        return ChainNode(AsyncWeb3(self), request_timeout_s=5)

    def fail_next(self, method: str, *faults: Exception) -> None:
        """The next requests of this method end so, one after the other."""
        self._faults.setdefault(method, deque()).extend(faults)

    def mine(self, *logs: RawLog) -> ModelBlock:
        """A new block with these logs and all of the pool that has no gap before it."""
        number = len(self.blocks)
        parent_hash = self.blocks[-1].block_hash if self.blocks else bytes(32)
        block_hash = hashlib.sha256(parent_hash + b"%d %d" % (number, self._branch)).digest()
        transactions: list[ModelTransaction] = []
        while (transaction := self.pool.get(self.nonce + len(transactions))) is not None:
            if transaction.max_fee_wei < (self.base_fee_wei or 0) or transaction.tip_wei < self.tip_min_wei:
                break
            transactions.append(self.pool.pop(transaction.nonce))
        placed = tuple(
            replace(log, block_number=number, block_hash=block_hash, log_index=index) for index, log in enumerate(logs)
        )
        self.blocks.append(ModelBlock(number, block_hash, parent_hash, tuple(transactions), placed))
        return self.blocks[-1]

    def fork(self, depth: int) -> None:
        """Forget the newest blocks; what is mined from now on has other hashes."""
        del self.blocks[-depth:]
        self._branch += 1

    @property
    def nonce(self) -> int:
        """Transactions in blocks. The model knows one sender."""
        return sum(len(block.transactions) for block in self.blocks)

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        self.asked.append(method)
        await asyncio.sleep(0)  # as with a real node, others run meanwhile
        if self.is_down:
            raise ConnectionRefusedError("the model is down")
        try:
            if self._faults.get(method):
                raise self._faults[method].popleft()
            if method in self.answers:
                return {"jsonrpc": "2.0", "id": 1, "result": self.answers[method]}
            return {"jsonrpc": "2.0", "id": 1, "result": getattr(self, f"_{method}")(*params)}
        except RpcFault as fault:
            error: dict[str, Any] = {"code": fault.code, "message": fault.message}
            if fault.error_data is not None:
                error["data"] = fault.error_data
            return {"jsonrpc": "2.0", "id": 1, "error": error}  # type: ignore[typeddict-item]

    def _eth_chainId(self) -> str:  # noqa: N802 - JSON-RPC's names, here and below
        return hex(CHAIN_ID)

    def _eth_gasPrice(self) -> str:  # noqa: N802
        return "0x0"

    def _eth_maxPriorityFeePerGas(self) -> str:  # noqa: N802
        return "0x1"

    def _eth_getBlockByNumber(self, tag: str, _: object) -> dict[str, object] | None:  # noqa: N802
        number = len(self.blocks) - 1 if tag == "latest" else int(tag, 16)
        if number >= len(self.blocks):
            return None
        block = self.blocks[number]
        fee = {} if self.base_fee_wei is None else {"baseFeePerGas": hex(self.base_fee_wei)}
        return {
            "number": hex(number),
            "gasLimit": hex(30_000_000),
            "hash": f"0x{block.block_hash.hex()}",
            "parentHash": f"0x{block.parent_hash.hex()}",
            "timestamp": hex(1_800_000_000 + number),
            **fee,
        }

    def _eth_getLogs(self, query: dict[str, str]) -> list[dict[str, object]]:  # noqa: N802
        first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
        if last - first >= self.log_range_max:
            raise RpcFault(-32005, "query returned too many results")
        return [log_json(log) for block in self.blocks[first : last + 1] for log in block.logs]

    def _eth_getTransactionCount(self, _: str, tag: str) -> str:  # noqa: N802
        count = self.nonce
        while tag == "pending" and count in self.pool:
            count += 1
        return hex(count)

    def _eth_sendRawTransaction(self, encoded: str) -> str:  # noqa: N802
        transaction = decode_transaction(bytes.fromhex(encoded[2:]))
        if transaction.nonce < self.nonce:
            raise RpcFault(_REFUSED, f"nonce too low: next nonce {self.nonce}, tx nonce {transaction.nonce}")
        waiting = self.pool.get(transaction.nonce)
        if waiting == transaction:
            raise RpcFault(_REFUSED, "already known")
        if waiting is not None and not transaction.may_replace(waiting):
            raise RpcFault(_REFUSED, "replacement transaction underpriced")
        self.pool[transaction.nonce] = transaction
        if self.mines_at_once:
            self.mine()
        return f"0x{transaction.transaction_hash.hex()}"

    def _eth_getTransactionByHash(self, wanted: str) -> dict[str, str] | None:  # noqa: N802
        known = [*self.pool.values(), *(each for block in self.blocks for each in block.transactions)]
        hashes = [f"0x{each.transaction_hash.hex()}" for each in known]
        return {"hash": wanted} if wanted in hashes else None

    def _eth_getTransactionReceipt(self, wanted: str) -> dict[str, object] | None:  # noqa: N802
        for block in self.blocks:
            for transaction in block.transactions:
                if f"0x{transaction.transaction_hash.hex()}" == wanted:
                    return receipt_json(block, transaction)
        return None


def receipt_json(block: ModelBlock, transaction: ModelTransaction) -> dict[str, object]:
    return {
        "transactionHash": f"0x{transaction.transaction_hash.hex()}",
        "blockNumber": hex(block.number),
        "blockHash": f"0x{block.block_hash.hex()}",
        "status": "0x1",
        "gasUsed": "0x5208",
        "contractAddress": None,
        "logs": [],
    }


def log_json(log: RawLog) -> dict[str, object]:
    return {
        "address": f"0x{log.address.hex()}",
        "topics": [f"0x{topic.hex()}" for topic in log.topics],
        "data": f"0x{log.payload.hex()}",
        "blockNumber": hex(log.block_number),
        "blockHash": f"0x{log.block_hash.hex()}",
        "transactionHash": f"0x{log.transaction_hash.hex()}",
        "logIndex": hex(log.log_index),
        "removed": False,
    }


def decode_transaction(raw: bytes) -> ModelTransaction:
    if raw[0] < 0x80:
        typed = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        nonce, max_fee_wei, tip_wei = (int(typed[name]) for name in ("nonce", "maxFeePerGas", "maxPriorityFeePerGas"))
    else:
        fields: Sequence[bytes] = rlp.decode(raw)
        nonce, max_fee_wei = int.from_bytes(fields[0], "big"), int.from_bytes(fields[1], "big")
        tip_wei = max_fee_wei
    return ModelTransaction(raw, keccak256(raw), Account.recover_transaction(raw), nonce, max_fee_wei, tip_wei)
