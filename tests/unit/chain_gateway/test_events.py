"""Logs become events, strictly."""

from dataclasses import replace
from typing import Any

import pytest

from chain_gateway.contract_abi import ContractAbi
from chain_gateway.events import EventDecoder
from contracts import load_artifact
from group_protocol.crypto.keccak import keccak256
from group_protocol.errors import Reason, RegistryInconsistent
from group_protocol.identifiers import Address, GroupId, ObjectId
from group_protocol.membership import (
    Anchored,
    Associated,
    AssociationRefused,
    ChainEvent,
    ChainPosition,
    ExchangeRecorded,
    GroupCreated,
    MasterRotated,
    Revoked,
    Rotated,
)
from tests.support.contract_logs import CONTRACT, make_log

ABI = ContractAbi.from_json(load_artifact().abi)
DECODER = EventDecoder(ABI, CONTRACT)
GID, OID, OTHER_OID = GroupId(b"g" * 16), ObjectId(b"o" * 16), ObjectId(b"p" * 16)
ACCOUNT, HASH = Address(b"a" * 20), b"h" * 32
AT = ChainPosition(1, 0, b"\xbb" * 32, b"\xaa" * 32)
LARGEST = 2**64 - 1

EVENTS: dict[str, tuple[dict[str, Any], ChainEvent]] = {
    "GroupCreated": (
        {"gid": GID, "master": ACCOUNT, "oid": OID, "index": 1},
        GroupCreated(GID, ACCOUNT, OID, AT),
    ),
    "Associated": ({"gid": GID, "oid": OID, "account": ACCOUNT}, Associated(GID, OID, ACCOUNT, AT)),
    "AssociationRefused": (
        {"index": 3, "gid": GID, "reason": keccak256(b"VirtualGroups_TokenRefused()")[:4]},
        AssociationRefused(GID, 3, Reason.TOKEN_REFUSED, AT),
    ),
    "Revoked": ({"gid": GID, "oid": OID, "epoch": LARGEST}, Revoked(GID, OID, LARGEST, AT)),
    "Rotated": (
        {"gid": GID, "oid": OID, "newAddress": ACCOUNT, "epoch": 2},
        Rotated(GID, OID, ACCOUNT, 2, AT),
    ),
    "MasterRotated": ({"gid": GID, "newMaster": ACCOUNT, "epoch": 2}, MasterRotated(GID, ACCOUNT, 2, AT)),
    "ExchangeRecorded": (
        {"gid": GID, "from": OID, "to": OTHER_OID, "payloadHash": HASH, "seq": LARGEST, "epoch": 2},
        ExchangeRecorded(GID, OID, OTHER_OID, HASH, LARGEST, 2, AT),
    ),
    "Anchored": (
        {"gid": GID, "root": HASH, "fromRecord": 1, "toRecord": 2, "epoch": 3},
        Anchored(GID, HASH, 1, 2, 3, AT),
    ),
}


def test_every_event_of_the_contract_is_decoded() -> None:
    assert DECODER.event_names == ABI.event_names == EVENTS.keys()


@pytest.mark.parametrize("name", EVENTS)
def test_log_becomes_its_event(name: str) -> None:
    values, event = EVENTS[name]
    assert DECODER.decode(make_log(name, **values)) == event


@pytest.mark.parametrize("name", EVENTS)
def test_log_with_a_topic_less_is_inconsistent(name: str) -> None:
    log = make_log(name, **EVENTS[name][0])
    with pytest.raises(RegistryInconsistent):
        DECODER.decode(replace(log, topics=log.topics[:-1], payload=log.topics[-1] + log.payload))


@pytest.mark.parametrize("name", EVENTS)
def test_log_with_a_byte_more_is_inconsistent(name: str) -> None:
    log = make_log(name, **EVENTS[name][0])
    with pytest.raises(RegistryInconsistent):
        DECODER.decode(replace(log, payload=log.payload + b"\0"))


@pytest.mark.parametrize("name", EVENTS)
def test_gid_with_non_zero_padding_is_inconsistent(name: str) -> None:
    log = make_log(name, **EVENTS[name][0])
    topics = tuple(topic[:-1] + b"\x01" if topic.startswith(GID) else topic for topic in log.topics)
    assert topics != log.topics
    with pytest.raises(RegistryInconsistent):
        DECODER.decode(replace(log, topics=topics))


def test_epoch_above_64_bits_is_inconsistent() -> None:
    log = make_log("Revoked", **EVENTS["Revoked"][0])
    with pytest.raises(RegistryInconsistent):
        DECODER.decode(replace(log, payload=b"\x01" + log.payload[1:]))


def test_log_of_another_contract_is_inconsistent() -> None:
    log = make_log("Associated", **EVENTS["Associated"][0])
    with pytest.raises(RegistryInconsistent):
        DECODER.decode(replace(log, address=Address(bytes(20))))


@pytest.mark.parametrize("topics", [(), (b"\x01" * 32,)], ids=["none", "unknown"])
def test_log_of_no_known_event_is_inconsistent(topics: tuple[bytes, ...]) -> None:
    log = make_log("Associated", **EVENTS["Associated"][0])
    with pytest.raises(RegistryInconsistent):
        DECODER.decode(replace(log, topics=topics))


def test_logs_of_other_contracts_in_a_receipt_are_passed_over() -> None:
    ours = make_log("Associated", **EVENTS["Associated"][0])
    foreign = replace(ours, address=Address(bytes(20)))
    assert DECODER.decode_ours([foreign, ours, foreign]) == [EVENTS["Associated"][1]]
