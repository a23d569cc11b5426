"""Blocks, transactions, receipts and logs as JSON-RPC objects (Ethereum execution API, names as in geth)."""

from collections.abc import Sequence
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth.abc import BlockHeaderAPI, SignedTransactionAPI

from chain_gateway.embedded.archive import StoredLog, StoredTransaction
from chain_gateway.embedded.evm import EvmState
from chain_gateway.embedded.miner import transaction_type
from chain_gateway.embedded.rpc_values import data, quantity

JsonObject = dict[str, Any]


def block_object(
    header: BlockHeaderAPI, transactions: Sequence[StoredTransaction], *, with_transactions: bool
) -> JsonObject:
    """A block; its transactions as objects or as hashes."""
    encoded_size_bytes = len(rlp.encode(header)) + sum(len(each.encoded) for each in transactions)
    listed: list[Any]
    if with_transactions:
        listed = [transaction_object(each) for each in transactions]
    else:
        listed = [data(each.hash) for each in transactions]
    since_london = header.as_dict()
    return {
        "number": quantity(header.block_number),
        "hash": data(header.hash),
        "parentHash": data(header.parent_hash),
        "sha3Uncles": data(header.uncles_hash),
        "miner": data(header.coinbase),
        "stateRoot": data(header.state_root),
        "transactionsRoot": data(header.transaction_root),
        "receiptsRoot": data(header.receipt_root),
        "logsBloom": data(header.bloom.to_bytes(256, "big")),
        "difficulty": quantity(header.difficulty),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "timestamp": quantity(header.timestamp),
        "extraData": data(header.extra_data),
        "mixHash": data(header.mix_hash),
        "nonce": data(header.nonce),
        "baseFeePerGas": quantity(since_london["base_fee_per_gas"]),
        "withdrawalsRoot": data(since_london["withdrawals_root"]),
        "blobGasUsed": quantity(since_london["blob_gas_used"]),
        "excessBlobGas": quantity(since_london["excess_blob_gas"]),
        "parentBeaconBlockRoot": data(since_london["parent_beacon_block_root"]),
        "requestsHash": data(since_london["requests_hash"]),
        "size": quantity(encoded_size_bytes),
        "uncles": [],
        "withdrawals": [],
        "transactions": listed,
    }


def transaction_object(stored: StoredTransaction) -> JsonObject:
    """A mined transaction."""
    transaction = EvmState.decode_transaction(stored.encoded)
    kind = transaction_type(transaction)
    chain_id = transaction.chain_id or 0  # never None: what names no chain (before EIP-155) is not admitted
    answer: JsonObject = {
        "hash": data(stored.hash),
        "type": quantity(kind),
        "blockHash": data(stored.block_hash),
        "blockNumber": quantity(stored.block_number),
        "transactionIndex": quantity(stored.position),
        "from": data(stored.sender),
        "to": data(transaction.to) if transaction.to else None,
        "nonce": quantity(transaction.nonce),
        "gas": quantity(transaction.gas),
        "gasPrice": quantity(effective_gas_price(transaction)),
        "value": quantity(transaction.value),
        "input": data(transaction.data),
        "chainId": quantity(chain_id),
        "r": quantity(transaction.r),
        "s": quantity(transaction.s),
    }
    if kind == 0:
        answer["v"] = quantity(chain_id * 2 + 35 + transaction.y_parity)
        return answer
    answer["v"] = answer["yParity"] = quantity(transaction.y_parity)
    answer["accessList"] = [
        {"address": data(address), "storageKeys": [data(slot.to_bytes(32, "big")) for slot in slots]}
        for address, slots in transaction.access_list
    ]
    if kind == 2:
        answer["maxFeePerGas"] = quantity(transaction.max_fee_per_gas)
        answer["maxPriorityFeePerGas"] = quantity(transaction.max_priority_fee_per_gas)
    return answer


def receipt_object(stored: StoredTransaction, logs: Sequence[StoredLog]) -> JsonObject:
    """A mined transaction's receipt."""
    transaction = EvmState.decode_transaction(stored.encoded)
    return {
        "transactionHash": data(stored.hash),
        "transactionIndex": quantity(stored.position),
        "blockHash": data(stored.block_hash),
        "blockNumber": quantity(stored.block_number),
        "from": data(stored.sender),
        "to": data(transaction.to) if transaction.to else None,
        "contractAddress": data(stored.created) if stored.created else None,
        "cumulativeGasUsed": quantity(stored.cumulative_gas_used),
        "gasUsed": quantity(stored.gas_used),
        "effectiveGasPrice": quantity(effective_gas_price(transaction)),
        "status": quantity(int(stored.succeeded)),
        "type": quantity(transaction_type(transaction)),
        "logsBloom": data(stored.bloom),
        "logs": [log_object(log) for log in logs],
    }


def log_object(log: StoredLog) -> JsonObject:
    """A log; the chain has no forks, so that none is ever removed."""
    return {
        "address": data(log.address),
        "topics": [data(topic) for topic in log.topics],
        "data": data(log.data),
        "blockHash": data(log.block_hash),
        "blockNumber": quantity(log.block_number),
        "transactionHash": data(log.transaction_hash),
        "transactionIndex": quantity(log.position),
        "logIndex": quantity(log.index),
        "removed": False,
    }


def effective_gas_price(transaction: SignedTransactionAPI) -> int:
    """EIP-1559's price paid per gas, in wei, with this chain's base fee of zero."""
    return min(transaction.max_fee_per_gas, transaction.max_priority_fee_per_gas)
