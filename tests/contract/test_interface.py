"""The interface that gateways are built on, spelled out a second time so that a change to it cannot go unseen."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from eth_typing import ABIElement
from eth_utils.abi import abi_to_signature
from eth_utils.crypto import keccak

from contracts import load_artifact
from tests.contract.acts import Actor
from tests.contract.local_register import LocalRegister
from tests.contract.scenario import Ward

SIGNATURE = "(bytes32,bytes32)"
ASSOCIATION = f"(bytes16,{SIGNATURE},{SIGNATURE},uint64)"
ERRORS = {
    "0143a61f": "VirtualGroups_ObjectIdInUse(bytes16)",
    "0c2991dc": "VirtualGroups_BadSignature()",
    "0e39a275": "VirtualGroups_BadRange(uint64,uint64)",
    "386a012a": "VirtualGroups_AddressInUse(address)",
    "559bd9c7": "VirtualGroups_UnknownGroup(bytes16)",
    "6138719f": "VirtualGroups_StaleEpoch(uint64)",
    "696283c5": "VirtualGroups_ObjectRevoked(bytes16)",
    "83a668e1": "VirtualGroups_NotInGroup(bytes16)",
    "8adeeb40": "VirtualGroups_UnknownObject(bytes16)",
    "92c8d58b": "VirtualGroups_SeqNotRising(uint64)",
    "94ce0f17": "VirtualGroups_ZeroAddress()",
    "99c20210": "VirtualGroups_TokenRefused()",
    "d1754638": "VirtualGroups_NotASlave(bytes16)",
    "dc166753": "VirtualGroups_DeadlinePassed(uint64)",
    "f35c9ede": "VirtualGroups_GroupIdInUse(bytes16)",
}
EVENTS = {
    "Anchored(bytes16 gid*,bytes32 root,uint64 fromRecord,uint64 toRecord,uint64 epoch)",
    "Associated(bytes16 gid*,bytes16 oid*,address account*)",
    "AssociationRefused(uint256 index*,bytes16 gid*,bytes4 reason)",
    "ExchangeRecorded(bytes16 gid*,bytes16 from*,bytes16 to*,bytes32 payloadHash,uint64 seq,uint64 epoch)",
    "GroupCreated(bytes16 gid*,address master*,bytes16 oid,uint32 index)",
    "MasterRotated(bytes16 gid*,address newMaster*,uint64 epoch)",
    "Revoked(bytes16 gid*,bytes16 oid*,uint64 epoch)",
    "Rotated(bytes16 gid*,bytes16 oid*,address newAddress*,uint64 epoch)",
}
"""A star marks an indexed argument."""
FUNCTIONS = {
    f"createGroup(bytes32,address,uint64,{SIGNATURE})": "nonpayable",
    f"associate({ASSOCIATION})": "nonpayable",
    f"associateBatch({ASSOCIATION}[])": "nonpayable",
    f"verifyExchange(bytes16,bytes16,bytes16,bytes32,uint64,uint64,{SIGNATURE})": "view",
    f"recordExchange(bytes16,bytes16,bytes16,bytes32,uint64,uint64,{SIGNATURE})": "nonpayable",
    f"verifyCheckpoint(bytes16,bytes16,uint64,uint64,uint64,bytes32,{SIGNATURE})": "view",
    f"anchor(bytes16,bytes32,uint64,uint64,{SIGNATURE})": "nonpayable",
    f"revoke(bytes16,bytes16,uint64,{SIGNATURE})": "nonpayable",
    f"rotate(bytes16,bytes16,address,uint64,{SIGNATURE},{SIGNATURE})": "nonpayable",
    f"rotateMaster(bytes16,address,uint64,{SIGNATURE},{SIGNATURE})": "nonpayable",
    "checkOID(bytes16)": "view",
    "checkGID(bytes16)": "view",
    "checkAddr(address)": "view",
    f"tokenVerify(bytes16,bytes16,address,{SIGNATURE})": "view",
    f"signVerify(address,bytes32,{SIGNATURE})": "pure",
    "groupOf(bytes16)": "view",
    "objectOf(bytes16)": "view",
    "objectIdOf(address)": "view",
    "deriveGroupId(address,bytes32)": "view",
    "domainSeparator()": "view",
}
UNKNOWN = bytes(15) + b"\x01"


def abi_of(kind: str) -> list[Any]:
    return [element for element in load_artifact().abi if element["type"] == kind]


def signature_of(element: Any) -> str:
    return abi_to_signature(cast("ABIElement", element))


def argument_of(part: dict[str, Any]) -> str:
    return f"{part['type']} {part['name']}{'*' if part['indexed'] else ''}"


def test_errors_and_their_selectors_are_the_documented_ones() -> None:
    found = {keccak(text=name)[:4].hex(): name for name in map(signature_of, abi_of("error"))}
    assert found == ERRORS


def test_events_are_the_documented_ones() -> None:
    found = {event["name"] + "(" + ",".join(map(argument_of, event["inputs"])) + ")" for event in abi_of("event")}
    assert found == EVENTS


def test_functions_are_the_documented_ones_and_none_takes_ether() -> None:
    found = {signature_of(function): function["stateMutability"] for function in abi_of("function")}
    assert found == FUNCTIONS
    assert {element["type"] for element in load_artifact().abi} == {"function", "event", "error"}


def test_ether_is_refused_with_and_without_a_call(register: LocalRegister, group: Ward, stranger: Actor) -> None:
    assert not register.evm.transact(register.address, b"", value_wei=1).succeeded
    assert not register.send("associate", group.request(stranger), value_wei=1).succeeded
    assert register.send("associate", group.request(stranger)).succeeded


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\xff\xff\xff\xff"])
def test_call_of_no_function_is_refused(register: LocalRegister, payload: bytes) -> None:
    assert not register.evm.transact(register.address, payload).succeeded


def test_nothing_is_known_at_first(register: LocalRegister, stranger: Actor) -> None:
    nobody = "0x" + "00" * 20
    answers: dict[str, tuple[Callable[[], Any], Any]] = {
        "checkOID": (lambda: register.read("checkOID", UNKNOWN), False),
        "checkGID": (lambda: register.read("checkGID", UNKNOWN), False),
        "checkAddr": (lambda: register.read("checkAddr", stranger.address), False),
        "checkAddr of nobody": (lambda: register.read("checkAddr", bytes(20)), False),
        "objectIdOf": (lambda: register.read("objectIdOf", stranger.address), bytes(16)),
        "objectOf": (lambda: register.read("objectOf", UNKNOWN), (nobody, 0, 0, 0)),
        "groupOf": (lambda: register.read("groupOf", UNKNOWN), (nobody, 0, 0)),
    }
    assert {name: ask() for name, (ask, _) in answers.items()} == {name: known for name, (_, known) in answers.items()}
