"""The JSON-RPC methods that the chain answers, in one table. Whatever is not in it is refused with -32601."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eth.abc import BlockHeaderAPI, StateAPI
from eth.exceptions import HeaderNotFound
from eth_hash.auto import keccak
from eth_typing import Address

from chain_gateway.embedded.archive import MAX_LOGS, Archive, TooManyLogsError
from chain_gateway.embedded.caller import Caller
from chain_gateway.embedded.errors import RpcError
from chain_gateway.embedded.evm import EvmState
from chain_gateway.embedded.rpc_objects import JsonObject, block_object, log_object, receipt_object, transaction_object
from chain_gateway.embedded.rpc_values import (
    INVALID_PARAMS,
    data,
    parse_call,
    parse_data,
    parse_log_filter,
    parse_quantity,
    quantity,
)

METHOD_NOT_FOUND = -32601
BLOCK_NOT_FOUND = -32001
LIMIT_EXCEEDED = -32005

CLIENT_VERSION = "vgroup-embedded/1/prague"

_NEWEST = frozenset({"latest", "pending", "safe", "finalized"})
"""One chain, no forks, nothing pending: all of them are the head."""


class RpcMethods:
    """Answers every method but ``eth_sendRawTransaction``, which goes to the miner."""

    def __init__(self, state: EvmState, archive: Archive, caller: Caller, chain_id: int) -> None:
        self._state = state
        self._archive = archive
        self._caller = caller
        self._chain_id = chain_id
        self._methods: Mapping[str, Callable[..., object]] = {
            "web3_clientVersion": lambda: CLIENT_VERSION,
            "web3_sha3": lambda raw: data(keccak(parse_data(raw))),
            "net_version": lambda: str(chain_id),
            "net_listening": lambda: False,
            "eth_chainId": lambda: quantity(chain_id),
            "eth_syncing": lambda: False,
            "eth_accounts": list,
            "eth_gasPrice": lambda: quantity(0),
            "eth_maxPriorityFeePerGas": lambda: quantity(0),
            "eth_blockNumber": lambda: quantity(self._state.head().block_number),
            "eth_getBlockByNumber": self._get_block_by_number,
            "eth_getBlockByHash": self._get_block_by_hash,
            "eth_getTransactionByHash": self._get_transaction_by_hash,
            "eth_getTransactionReceipt": self._get_transaction_receipt,
            "eth_getTransactionCount": self._get_transaction_count,
            "eth_getBalance": self._get_balance,
            "eth_getCode": self._get_code,
            "eth_getStorageAt": self._get_storage_at,
            "eth_call": self._call,
            "eth_estimateGas": self._estimate_gas,
            "eth_getLogs": self._get_logs,
        }

    def answer(self, method: str, params: Sequence[object]) -> object:
        """The result of one request.

        Raises:
            RpcError: unknown method, wrong parameters, or the method's own refusal.
        """
        handler = self._methods.get(method)
        if handler is None:
            raise RpcError(METHOD_NOT_FOUND, f"the method {method} does not exist or is not available")
        try:
            arguments = inspect.signature(handler).bind(*params)
        except TypeError as exc:
            raise RpcError(INVALID_PARAMS, f"{method}: wrong number of parameters ({len(params)})") from exc
        return handler(*arguments.args)

    def _get_block_by_number(self, block: object, with_transactions: bool = False) -> JsonObject | None:  # noqa: FBT001, FBT002 - JSON-RPC's order
        try:
            header = self._header(block)
        except RpcError as exc:
            if exc.code == BLOCK_NOT_FOUND:
                return None
            raise
        return self._block(header, with_transactions)

    def _get_block_by_hash(self, block_hash: object, with_transactions: bool = False) -> JsonObject | None:  # noqa: FBT001, FBT002 - JSON-RPC's order
        try:
            header = self._state.header_by_hash(parse_data(block_hash, length_bytes=32))
        except HeaderNotFound:
            return None
        return self._block(header, with_transactions)

    def _block(self, header: BlockHeaderAPI, with_transactions: bool) -> JsonObject:  # noqa: FBT001 - from JSON-RPC
        transactions = self._archive.block_transactions(header.block_number)
        return block_object(header, transactions, with_transactions=bool(with_transactions))

    def _get_transaction_by_hash(self, transaction_hash: object) -> JsonObject | None:
        stored = self._archive.transaction(parse_data(transaction_hash, length_bytes=32))
        return None if stored is None else transaction_object(stored)

    def _get_transaction_receipt(self, transaction_hash: object) -> JsonObject | None:
        stored = self._archive.transaction(parse_data(transaction_hash, length_bytes=32))
        return None if stored is None else receipt_object(stored, self._archive.transaction_logs(stored))

    def _get_transaction_count(self, address: object, block: object = "latest") -> str:
        return quantity(self._state_at(block).get_nonce(_address(address)))

    def _get_balance(self, address: object, block: object = "latest") -> str:
        return quantity(self._state_at(block).get_balance(_address(address)))

    def _get_code(self, address: object, block: object = "latest") -> str:
        return data(self._state_at(block).get_code(_address(address)))

    def _get_storage_at(self, address: object, slot: object, block: object = "latest") -> str:
        word = self._state_at(block).get_storage(_address(address), parse_quantity(slot))
        return data(word.to_bytes(32, "big"))

    def _call(self, call: object, block: object = "latest") -> str:
        return data(self._caller.call(parse_call(call), self._header(block)))

    def _estimate_gas(self, call: object, block: object = "latest") -> str:
        return quantity(self._caller.estimate_gas(parse_call(call), self._header(block)))

    def _get_logs(self, wanted: object) -> list[JsonObject]:
        if not isinstance(wanted, Mapping):
            raise RpcError(INVALID_PARAMS, "invalid argument: a log filter is an object")
        first, last = self._block_range(wanted)
        try:
            logs = self._archive.logs(parse_log_filter(wanted, first, last))
        except TooManyLogsError as exc:
            raise RpcError(
                LIMIT_EXCEEDED, f"query returned more than {MAX_LOGS} results; ask for fewer blocks"
            ) from exc
        return [log_object(log) for log in logs]

    def _block_range(self, wanted: Mapping[str, Any]) -> tuple[int, int]:
        if wanted.get("blockHash") is not None:
            number = self._header({"blockHash": wanted["blockHash"]}).block_number
            return number, number
        head = self._state.head().block_number
        first = self._number(wanted.get("fromBlock", "latest"), head)
        last = self._number(wanted.get("toBlock", "latest"), head)
        if first > last:
            raise RpcError(INVALID_PARAMS, f"invalid block range: {first} is after {last}")
        return first, min(last, head)

    def _state_at(self, block: object) -> StateAPI:
        return self._state.vm(self._header(block)).state

    def _header(self, block: object) -> BlockHeaderAPI:
        """A block named by tag, number, or EIP-1898 object. Raises RpcError with BLOCK_NOT_FOUND."""
        try:
            if isinstance(block, Mapping) and "blockHash" in block:
                return self._state.header_by_hash(parse_data(block["blockHash"], length_bytes=32))
            wanted = block.get("blockNumber") if isinstance(block, Mapping) else block
            head = self._state.head()
            number = self._number(wanted, head.block_number)
            return head if number == head.block_number else self._state.header(number)
        except HeaderNotFound as exc:
            raise RpcError(BLOCK_NOT_FOUND, "block not found") from exc

    @staticmethod
    def _number(block: object, head: int) -> int:
        if isinstance(block, str) and block in _NEWEST:
            return head
        return 0 if block == "earliest" else parse_quantity(block)


def _address(value: object) -> Address:
    return Address(parse_data(value, length_bytes=20))
