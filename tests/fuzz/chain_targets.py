"""What a chain's node hands in: JSON-RPC answers, logs, results and reverts of the contract; and requests to ours."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from eth_utils.abi import event_abi_to_log_topic

from chain_gateway.contract_abi import ContractAbi
from chain_gateway.embedded.errors import RpcError
from chain_gateway.embedded.rpc_values import parse_call, parse_data, parse_log_filter
from chain_gateway.embedded.rpc_values import parse_quantity as parse_own_quantity
from chain_gateway.errors import NodeError
from chain_gateway.events import EventDecoder
from chain_gateway.node_answers import (
    RawLog,
    UnusableAnswer,
    parse_block,
    parse_bytes,
    parse_calldata,
    parse_logs,
    parse_receipt,
)
from chain_gateway.node_provider import NodeProvider
from chain_gateway.refusals import refusal_of_revert
from chain_gateway.translate import refusal_of_transaction, result_of, revert_of_call
from contracts import load_artifact
from group_protocol.errors import ContractRefusal, RegistryInconsistent
from group_protocol.membership import ChainEvent, fold
from tests.support.contract_logs import CONTRACT

ARTIFACT: Final = load_artifact()
ABI: Final = ContractAbi.from_json(ARTIFACT.abi)
DECODER: Final = EventDecoder(ABI, CONTRACT)
TOPICS: Final = tuple(
    event_abi_to_log_topic(entry)  # type: ignore[arg-type] # an entry of the ABI
    for entry in ARTIFACT.abi
    if entry["type"] == "event"
)
_END: Final = 0xFF
"""In the place of an event: the contract's output follows."""
VIEWS: Final = tuple(entry["name"] for entry in ARTIFACT.abi if entry["type"] == "function" and entry["outputs"])
_PARSERS: Final[tuple[Callable[[object], object], ...]] = (
    parse_block,
    parse_logs,
    parse_receipt,
    parse_bytes,
    parse_calldata,
)


def fuzz_node_answers(raw: bytes) -> None:
    """A body of JSON-RPC; each parser is offered its result, whatever was asked, and ours its whole as parameters."""
    try:
        body = NodeProvider.decode_rpc_response(raw)
    except UnusableAnswer:
        return
    _refuse_or_take(body)
    try:
        result = result_of(body)
    except UnusableAnswer:
        return
    except NodeError as error:
        revert_of_call(error)
        refusal_of_transaction(error)
        return
    for parse in _PARSERS:
        try:
            parse(result)
        except UnusableAnswer:
            continue


def _refuse_or_take(value: object) -> None:
    """The embedded chain's own parsers of parameters."""
    for parse in (parse_call, parse_data, parse_own_quantity):
        with suppress(RpcError):
            parse(value)
    if isinstance(value, dict):
        with suppress(RpcError):
            parse_log_filter(value, 0, 1)


def fuzz_chain_events(raw: bytes) -> None:
    """Logs one after the other: which event, how many topics and words of payload; then what a view returned.

    What decodes is folded into a membership, which may only refuse.
    """
    events: list[ChainEvent] = []
    rest = raw
    while len(rest) > 3 and rest[0] != _END and len(events) < 20:
        kind, topics, words, rest = rest[0], rest[1] % 4, rest[2] % 8, rest[3:]
        content, rest = rest[: 32 * (topics + words)], rest[32 * (topics + words) :]
        log = _log(TOPICS[kind % len(TOPICS)], content, topics, len(events))
        try:
            events.append(DECODER.decode(log))
        except RegistryInconsistent:
            break
    _refuse_or_take_output(rest[1:])
    try:
        membership = fold(events)
    except RegistryInconsistent:
        return
    assert all(view.epoch >= 1 for view in membership.groups.values())


def _refuse_or_take_output(raw: bytes) -> None:
    """Of the view that the first byte chooses, or of a revert."""
    if not raw:
        return
    with suppress(RegistryInconsistent):
        ABI.decode_result(VIEWS[raw[0] % len(VIEWS)], raw[1:])
    assert isinstance(refusal_of_revert(ABI, raw[1:]), ContractRefusal | RegistryInconsistent)


def _log(topic: bytes, content: bytes, topics: int, index: int) -> RawLog:
    indexed = tuple(content[start : start + 32] for start in range(0, 32 * topics, 32))
    whole = all(len(word) == 32 for word in indexed)
    return RawLog(
        CONTRACT, (topic, *indexed) if whole else (topic,), content[32 * topics :], 1, bytes(32), bytes(32), index
    )
