"""The contract's logs as a node would report them, made from the ABI alone: an encoder to test the decoder against."""

from collections.abc import Mapping
from typing import Any

from eth_abi.abi import encode
from eth_utils.abi import collapse_if_tuple, event_abi_to_log_topic

from chain_gateway.node_answers import RawLog
from contracts import load_artifact
from group_protocol.identifiers import Address

CONTRACT = Address(b"\xc0" * 20)

_EVENTS: Mapping[str, Mapping[str, Any]] = {
    entry["name"]: entry for entry in load_artifact().abi if entry["type"] == "event"
}


def make_log(
    name: str,
    *,
    block_number: int = 1,
    log_index: int = 0,
    block_hash: bytes = b"\xbb" * 32,
    address: Address = CONTRACT,
    **values: object,
) -> RawLog:
    """One event's log; every value of the event must be given."""
    entry = _EVENTS[name]
    assert values.keys() == {parameter["name"] for parameter in entry["inputs"]}
    words = {
        parameter["name"]: encode([collapse_if_tuple(parameter)], [values[parameter["name"]]])
        for parameter in entry["inputs"]
    }
    indexed = [parameter["name"] for parameter in entry["inputs"] if parameter["indexed"]]
    return RawLog(
        address=address,
        topics=(event_abi_to_log_topic(entry), *(words[each] for each in indexed)),  # type: ignore[arg-type]
        payload=b"".join(words[each] for each in words if each not in indexed),
        block_number=block_number,
        block_hash=block_hash,
        transaction_hash=b"\xaa" * 32,
        log_index=log_index,
    )
