"""JSON-RPC values to Python and back (Ethereum JSON-RPC: "quantity" and "unformatted data").

web3 hands parameters to an in-process provider as they are, without JSON in between: bytes and ints come as well as hex
strings.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chain_gateway.embedded.archive import LogFilter
from chain_gateway.embedded.caller import Call
from chain_gateway.embedded.errors import RpcError
from chain_gateway.embedded.evm import BLOCK_GAS_TARGET

INVALID_PARAMS = -32602

MAX_FILTER_VALUES = 1000
"""Most addresses, or values for one topic, in a log filter."""


def quantity(number: int) -> str:
    """A number as JSON-RPC writes it: hex without leading zeros."""
    return hex(number)


def data(raw: bytes) -> str:
    """Bytes as JSON-RPC writes them."""
    return f"0x{raw.hex()}"


def parse_data(value: object, *, length_bytes: int | None = None) -> bytes:
    """Bytes from hex or bytes. Raises RpcError for anything else, or another length than asked for."""
    try:
        raw = value if isinstance(value, bytes) else bytes.fromhex(_text(value).removeprefix("0x"))
    except ValueError as exc:
        raise RpcError(INVALID_PARAMS, f"invalid argument: {str(value)[:80]!r} is not hex data") from exc
    if length_bytes is not None and len(raw) != length_bytes:
        raise RpcError(INVALID_PARAMS, f"invalid argument: {len(raw)} bytes where {length_bytes} belong")
    return raw


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(type(value).__name__)  # noqa: TRY004 - told apart by neither caller
    return value


def parse_quantity(value: object) -> int:
    """A number below 2^256 from hex or int. Raises RpcError for anything else."""
    try:
        number = value if isinstance(value, int) else int(_text(value), 16)
    except ValueError as exc:
        raise RpcError(INVALID_PARAMS, f"invalid argument: {str(value)[:80]!r} is not a quantity") from exc
    if not 0 <= number < 2**256:
        raise RpcError(INVALID_PARAMS, "invalid argument: a quantity lies between 0 and 2^256 - 1")
    return number


def parse_call(value: object) -> Call:
    """The transaction object of ``eth_call`` and ``eth_estimateGas``; fees and nonce do not matter to a call."""
    if not isinstance(value, Mapping):
        raise RpcError(INVALID_PARAMS, "invalid argument: a call is an object")
    payload = value.get("data") or value.get("input") or b""
    return Call(
        sender=parse_data(value.get("from") or bytes(20), length_bytes=20),
        to=parse_data(value["to"], length_bytes=20) if value.get("to") else b"",
        data=parse_data(payload),
        value_wei=parse_quantity(value.get("value") or 0),
        gas=parse_quantity(value.get("gas") or BLOCK_GAS_TARGET),
    )


def parse_log_filter(value: Mapping[str, Any], first_block: int, last_block: int) -> LogFilter:
    """Addresses and topics of ``eth_getLogs``; the caller has resolved the blocks."""
    topics = value.get("topics") or ()
    if not isinstance(topics, Sequence) or len(topics) > 4:
        raise RpcError(INVALID_PARAMS, "invalid argument: a log has at most 4 topics")
    return LogFilter(
        first_block=first_block,
        last_block=last_block,
        addresses=_alternatives(value.get("address"), 20),
        topics=tuple(_alternatives(topic, 32) for topic in topics),
    )


def _alternatives(value: object, length_bytes: int) -> tuple[bytes, ...]:
    """One value, a list of them, or none: what may stand at one place of a filter."""
    if value is None:
        return ()
    listed = value if isinstance(value, list | tuple) else (value,)
    if len(listed) > MAX_FILTER_VALUES:
        raise RpcError(INVALID_PARAMS, f"invalid argument: more than {MAX_FILTER_VALUES} alternatives in a filter")
    return tuple(parse_data(item, length_bytes=length_bytes) for item in listed)
