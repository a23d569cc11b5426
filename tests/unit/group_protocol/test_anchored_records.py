import hashlib
from dataclasses import replace
from typing import Any

import pytest

from group_protocol.anchored_records import AnchoredRecord
from group_protocol.errors import LocalProtocolError
from group_protocol.identifiers import GroupId, ObjectId, SessionId, Signature
from tests.support.records import DEVICE, GID, MASTER, OTHER_GID

RECORD = AnchoredRecord(
    5, DEVICE, MASTER, 9, 2, b"h" * 32, SessionId(b"s" * 16), 1_700_000_000_123, Signature(b"e" * 64)
)


def lp(*fields: bytes) -> bytes:
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def u64(number: int) -> bytes:
    return number.to_bytes(8, "big")


@pytest.mark.parametrize("signature", [RECORD.signature, None])
def test_leaf_is_the_hash_that_the_page_defines(signature: Signature | None) -> None:
    record = replace(RECORD, signature=signature)
    content = lp(
        b"vgroup/1 record leaf",
        GID,
        u64(5),
        DEVICE,
        MASTER,
        u64(9),
        u64(2),
        b"h" * 32,
        b"s" * 16,
        u64(1_700_000_000_123),
        signature or b"",
    )
    assert record.leaf(GID) == hashlib.sha256(b"\x00" + content).digest()


CHANGES: list[dict[str, Any]] = [
    {"number": 6},
    {"sender": MASTER},
    {"receiver": DEVICE},
    {"seq": 10},
    {"epoch": 3},
    {"payload_hash": b"i" * 32},
    {"sid": SessionId(b"t" * 16)},
    {"received_at_unix_ms": 1},
    {"signature": None},
]


@pytest.mark.parametrize("change", CHANGES)
def test_every_field_counts(change: dict[str, Any]) -> None:
    assert replace(RECORD, **change).leaf(GID) != RECORD.leaf(GID)


def test_group_counts() -> None:
    assert RECORD.leaf(OTHER_GID) != RECORD.leaf(GID)


WRONG: list[dict[str, Any]] = [
    {"number": -1},
    {"seq": 1 << 64},
    {"sender": ObjectId(b"short")},
    {"payload_hash": b"h" * 31},
    {"signature": Signature(b"e" * 63)},
]


@pytest.mark.parametrize("change", WRONG)
def test_value_that_does_not_fit_is_our_own_mistake(change: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        replace(RECORD, **change).leaf(GID)


def test_group_of_another_length_is_our_own_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        RECORD.leaf(GroupId(b"short"))
