"""The port's requests, receipts, views and errors as JSON, strictly, both ways (``docs/gateway.md``).

Byte fields are base64url without padding and of exactly their width; numbers are below 2^64; no field is missing, none
is more. What each type holds is read from the dataclasses of the port, so that the two cannot drift apart.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final, TypeVar, get_type_hints

from chain_gateway.node_answers import Block, RawLog
from group_protocol.encoding import b64decode, b64encode
from group_protocol.error_codes import find_code
from group_protocol.errors import (
    ContractRefusal,
    DecodingError,
    LocalProtocolError,
    Reason,
    RegistryInconsistent,
    RegistryUnavailable,
    VirtualGroupError,
)
from group_protocol.identifiers import (
    ADDRESS_BYTES,
    GROUP_ID_BYTES,
    HASH_BYTES,
    OBJECT_ID_BYTES,
    SIGNATURE_BYTES,
    TOKEN_BYTES,
    Address,
    GroupId,
    ObjectId,
    Signature,
    Token,
)
from group_protocol.membership import (
    Anchored,
    Associated,
    AssociationRefused,
    ChainEvent,
    ChainPosition,
    ExchangeRecorded,
    GroupCreated,
    GroupView,
    MasterRotated,
    ObjectState,
    ObjectView,
    Revoked,
    Rotated,
)
from group_protocol.ports import (
    AnchorRequest,
    AssociationRequest,
    CreateGroupRequest,
    ExchangeProof,
    MasterRotationRequest,
    Receipt,
    RegistryIdentity,
    RevocationRequest,
    RotationRequest,
)
from group_protocol.shallow_json import load_shallow_json

INTEGER_LIMIT: Final = 1 << 64
MESSAGE_MAX_CHARACTERS: Final = 300
WIDTHS: Final[Mapping[object, int]] = {
    Address: ADDRESS_BYTES,
    GroupId: GROUP_ID_BYTES,
    ObjectId: OBJECT_ID_BYTES,
    Signature: SIGNATURE_BYTES,
    Token: TOKEN_BYTES,
    bytes: HASH_BYTES,  # salt, payload hash, root, block and transaction hash
}

ACTS: Final[Mapping[str, type]] = {
    "create_group": CreateGroupRequest,
    "associate": AssociationRequest,
    "record_exchange": ExchangeProof,
    "anchor": AnchorRequest,
    "revoke": RevocationRequest,
    "rotate": RotationRequest,
    "rotate_master": MasterRotationRequest,
}
"""Paths under ``/v1/acts/`` that answer one receipt, each with its request. ``associate_batch`` answers several."""

EVENTS: Final[Mapping[str, type]] = {
    kind.__name__: kind
    for kind in (
        GroupCreated,
        Associated,
        AssociationRefused,
        Revoked,
        Rotated,
        MasterRotated,
        ExchangeRecorded,
        Anchored,
    )
}
_ERRORS: Final[Mapping[str, type[VirtualGroupError]]] = {
    "unavailable": RegistryUnavailable,
    "inconsistent": RegistryInconsistent,
    "misused": LocalProtocolError,
}

_T = TypeVar("_T")
Json = dict[str, Any]


def parse_object(body: bytes) -> Json:
    """A JSON object of bounded depth. Raises DecodingError."""
    try:
        parsed = load_shallow_json(body)
    except ValueError as exc:
        raise DecodingError("the body is no JSON") from exc
    if not isinstance(parsed, dict):
        raise DecodingError("the body is no object")
    return parsed


def dump(value: object) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def encode(value: object) -> Json:
    """A request, event, view, block or identity as an object."""
    return {field.name: _encode_value(getattr(value, field.name)) for field in fields(value)}  # type: ignore[arg-type]


def decode(kind: type[_T], parsed: object) -> _T:
    """One of them again. Raises DecodingError."""
    kinds = get_type_hints(kind)
    if not isinstance(parsed, dict) or parsed.keys() != kinds.keys():
        raise DecodingError(f"the fields are not those of {kind.__name__}")
    return kind(**{name: _decode_value(kinds[name], parsed[name], name) for name in kinds})


def encode_receipt(receipt: Receipt) -> Json:
    """A receipt with its event."""
    return {"event": {"kind": type(receipt.event).__name__, **encode(receipt.event)}, "gas": receipt.gas}


def decode_receipt(parsed: object) -> Receipt:
    """A receipt again. Raises DecodingError."""
    if not isinstance(parsed, dict) or parsed.keys() != {"event", "gas"} or not isinstance(parsed["event"], dict):
        raise DecodingError("that is no receipt")
    told = dict(parsed["event"])
    kind = EVENTS.get(str(told.pop("kind", "")))
    if kind is None:
        raise DecodingError("the receipt's event is of no known kind")
    event: ChainEvent = decode(kind, told)
    return Receipt(event, _integer(parsed["gas"], "gas"))


def encode_log(log: RawLog) -> Json:
    """A log of the contract, whose address both sides know."""
    return {
        "topics": [b64encode(topic) for topic in log.topics],
        "payload": b64encode(log.payload),
        "block_number": log.block_number,
        "block_hash": b64encode(log.block_hash),
        "transaction_hash": b64encode(log.transaction_hash),
        "log_index": log.log_index,
    }


def decode_log(contract: Address, parsed: object) -> RawLog:
    """A log again. Raises DecodingError."""
    names = {"topics", "payload", "block_number", "block_hash", "transaction_hash", "log_index"}
    if not isinstance(parsed, dict) or parsed.keys() != names or not isinstance(parsed["topics"], list):
        raise DecodingError("that is no log")
    return RawLog(
        contract,
        tuple(_bytes(topic, HASH_BYTES, "topic") for topic in parsed["topics"]),
        _bytes(parsed["payload"], None, "payload"),
        _integer(parsed["block_number"], "block_number"),
        _bytes(parsed["block_hash"], HASH_BYTES, "block_hash"),
        _bytes(parsed["transaction_hash"], HASH_BYTES, "transaction_hash"),
        _integer(parsed["log_index"], "log_index"),
    )


def encode_error(error: VirtualGroupError) -> Json:
    """An error of the port, for a caller that is known."""
    code = next((name for name, kind in _ERRORS.items() if isinstance(error, kind)), "unavailable")
    shown: Json = {"code": code, "message": str(error)[:MESSAGE_MAX_CHARACTERS]}
    shown |= {"remedy": error.remedy[:MESSAGE_MAX_CHARACTERS], "explained_as": error.code}
    if isinstance(error, ContractRefusal):
        shown |= {"code": "contract", "reason": error.reason.name}
    return {"error": shown}


def decode_error(parsed: Json) -> VirtualGroupError:
    """The error that the port raises. Raises DecodingError."""
    told = parsed.get("error")
    if not isinstance(told, dict):
        raise DecodingError("that is no error")
    message, remedy = _text(told.get("message")), _text(told.get("remedy", ""))
    known_as = find_code(told.get("explained_as"))
    if told.get("code") == "contract":
        try:
            return ContractRefusal(Reason[str(told.get("reason"))], message, remedy=remedy, code=known_as)
        except KeyError as exc:
            raise DecodingError("a refusal for an unknown reason") from exc
    kind = _ERRORS.get(str(told.get("code")))
    if kind is None:
        raise DecodingError("an unknown error")
    return kind(message, remedy=remedy, code=known_as)


def _text(value: object) -> str:
    """A gateway's words: short, on one line."""
    if not isinstance(value, str):
        raise DecodingError("a message is no text")
    return "".join(letter if letter.isprintable() else "?" for letter in value[:MESSAGE_MAX_CHARACTERS])


def _encode_value(value: object) -> object:
    match value:
        case bytes():
            return b64encode(value)
        case Reason() | ObjectState():
            return value.name
        case ChainPosition():
            return encode(value)
        case _:
            return value


def _decode_value(kind: Any, value: object, name: str) -> object:  # noqa: ANN401 - a type hint
    if kind is int:
        return _integer(value, name)
    if kind == int | None:
        return None if value is None else _integer(value, name)
    if kind is ChainPosition:
        return decode(ChainPosition, value)
    if kind in (Reason, ObjectState):
        try:
            return kind[str(value)]
        except KeyError as exc:
            raise DecodingError(f"{name} has no such value") from exc
    return _bytes(value, WIDTHS[kind], name)


def _integer(value: object, name: str) -> int:
    if type(value) is not int or not 0 <= value < INTEGER_LIMIT:
        raise DecodingError(f"{name} is no number from 0 to 2^64 - 1")
    return value


def _bytes(value: object, length_bytes: int | None, name: str) -> bytes:
    if not isinstance(value, str):
        raise DecodingError(f"{name} is no text")
    raw = b64decode(value)
    if length_bytes is not None and len(raw) != length_bytes:
        raise DecodingError(f"{name} has {len(raw)} bytes, not {length_bytes}")
    return raw


VIEWS: Final = (GroupView, ObjectView, Block, RegistryIdentity)
"""What the service answers beside receipts and logs."""
