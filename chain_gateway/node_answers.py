"""What a node answers, parsed once and strictly at the edge: JSON-RPC quantities, bytes, blocks, logs, receipts.

Source: the Ethereum execution API specification (``QUANTITY``: 0x and hex without leading zeros; ``DATA``: 0x and an
even number of hex digits). A node's answer is input from outside like any other: what is not of that form is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import RegistryUnavailable
from group_protocol.identifiers import ADDRESS_BYTES, HASH_BYTES, Address

_QUANTITY = re.compile(r"0x(0|[1-9a-fA-F][0-9a-fA-F]{0,63})")
_BYTES = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_TOPICS_MAX = 4


class UnusableAnswer(RegistryUnavailable):
    """The node answered, but not in the form that the specification gives."""

    default_code = ErrorCode.CHAIN_CONTRADICTS


@dataclass(frozen=True, slots=True)
class Block:
    """A block's header, as far as it is needed.

    Attributes:
        block_hash: 32 bytes.
        parent_hash: 32 bytes.
        timestamp_unix_s: What the contract sees as ``block.timestamp``.
        base_fee_wei: Wei per gas; None on a chain without EIP-1559.
        gas_limit: Gas that all transactions of a block may use together.
    """

    number: int
    block_hash: bytes
    parent_hash: bytes
    timestamp_unix_s: int
    base_fee_wei: int | None
    gas_limit: int


@dataclass(frozen=True, slots=True)
class RawLog:
    """A log as the node has it; topics of 32 bytes each."""

    address: Address
    topics: tuple[bytes, ...]
    payload: bytes
    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    log_index: int


@dataclass(frozen=True, slots=True)
class RawReceipt:
    """A transaction that stands in a block.

    Attributes:
        succeeded: False if the execution was reverted.
        gas_used: Gas of the whole transaction.
        contract: Address of the contract that it created, if it did.
    """

    transaction_hash: bytes
    block_number: int
    block_hash: bytes
    succeeded: bool
    gas_used: int
    contract: Address | None
    logs: tuple[RawLog, ...]


def parse_quantity(value: object) -> int:
    """A QUANTITY of at most 256 bits. Raises UnusableAnswer."""
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise UnusableAnswer(f"the node gave {_shown(value)} for a number")
    return int(value, 16)


def parse_bytes(value: object, length_bytes: int | None = None) -> bytes:
    """DATA, of exactly ``length_bytes`` if that is given. Raises UnusableAnswer."""
    if not isinstance(value, str) or not _BYTES.fullmatch(value):
        raise UnusableAnswer(f"the node gave {_shown(value)} for bytes")
    raw = bytes.fromhex(value[2:])
    if length_bytes is not None and len(raw) != length_bytes:
        raise UnusableAnswer(f"the node gave {len(raw)} bytes where {length_bytes} belong")
    return raw


def parse_block(value: object) -> Block:
    """A block object of eth_getBlockByNumber. Raises UnusableAnswer."""
    fields = _object(value)
    base_fee = fields.get("baseFeePerGas")
    return Block(
        number=parse_quantity(fields.get("number")),
        block_hash=parse_bytes(fields.get("hash"), HASH_BYTES),
        parent_hash=parse_bytes(fields.get("parentHash"), HASH_BYTES),
        timestamp_unix_s=parse_quantity(fields.get("timestamp")),
        base_fee_wei=None if base_fee is None else parse_quantity(base_fee),
        gas_limit=parse_quantity(fields.get("gasLimit")),
    )


def parse_log(value: object) -> RawLog:
    """A log of eth_getLogs or of a receipt. Raises UnusableAnswer, also for one that a reorganisation removed."""
    fields = _object(value)
    topics = fields.get("topics")
    if not isinstance(topics, list) or len(topics) > _TOPICS_MAX or fields.get("removed", False) is not False:
        raise UnusableAnswer("the node gave a log without topics, or one that was removed")
    return RawLog(
        address=Address(parse_bytes(fields.get("address"), ADDRESS_BYTES)),
        topics=tuple(parse_bytes(topic, HASH_BYTES) for topic in topics),
        payload=parse_bytes(fields.get("data")),
        block_number=parse_quantity(fields.get("blockNumber")),
        block_hash=parse_bytes(fields.get("blockHash"), HASH_BYTES),
        transaction_hash=parse_bytes(fields.get("transactionHash"), HASH_BYTES),
        log_index=parse_quantity(fields.get("logIndex")),
    )


def parse_logs(value: object) -> list[RawLog]:
    """The array that eth_getLogs answers. Raises UnusableAnswer."""
    if not isinstance(value, list):
        raise UnusableAnswer(f"the node gave {_shown(value)} for a list of logs")
    return [parse_log(item) for item in value]


def parse_receipt(value: object) -> RawReceipt:
    """A receipt object of eth_getTransactionReceipt. Raises UnusableAnswer."""
    fields = _object(value)
    contract = fields.get("contractAddress")
    return RawReceipt(
        transaction_hash=parse_bytes(fields.get("transactionHash"), HASH_BYTES),
        block_number=parse_quantity(fields.get("blockNumber")),
        block_hash=parse_bytes(fields.get("blockHash"), HASH_BYTES),
        succeeded=parse_quantity(fields.get("status")) == 1,
        gas_used=parse_quantity(fields.get("gasUsed")),
        contract=None if contract is None else Address(parse_bytes(contract, ADDRESS_BYTES)),
        logs=tuple(parse_logs(fields.get("logs"))),
    )


def parse_calldata(value: object) -> bytes:
    """The calldata of a transaction object of eth_getTransactionByHash. Raises UnusableAnswer."""
    return parse_bytes(_object(value).get("input"))


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise UnusableAnswer(f"the node gave {_shown(value)} for an object")
    return value


def _shown(value: object) -> str:
    """A stranger's value, short enough for a log line."""
    return repr(value)[:80]
