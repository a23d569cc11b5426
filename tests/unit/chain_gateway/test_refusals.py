"""Every error of the contract has its reason, and nothing else passes for one."""

import pytest
from eth_abi.abi import encode

from chain_gateway.contract_abi import ContractAbi
from chain_gateway.refusals import known_errors, reason_of_selector, refusal_of_revert
from contracts import load_artifact
from group_protocol.crypto.keccak import keccak256
from group_protocol.errors import ContractRefusal, Reason, RegistryInconsistent

ABI = ContractAbi.from_json(load_artifact().abi)

SIGNATURES = {
    "VirtualGroups_DeadlinePassed(uint64)": (Reason.DEADLINE_PASSED, 99),
    "VirtualGroups_BadSignature()": (Reason.BAD_SIGNATURE,),
    "VirtualGroups_ObjectIdInUse(bytes16)": (Reason.OBJECT_ID_IN_USE, b"\x01" * 16),
    "VirtualGroups_ObjectRevoked(bytes16)": (Reason.OBJECT_REVOKED, b"\x01" * 16),
    "VirtualGroups_AddressInUse(address)": (Reason.ADDRESS_IN_USE, b"\x01" * 20),
    "VirtualGroups_UnknownGroup(bytes16)": (Reason.UNKNOWN_GROUP, b"\x01" * 16),
    "VirtualGroups_GroupIdInUse(bytes16)": (Reason.GROUP_ID_IN_USE, b"\x01" * 16),
    "VirtualGroups_TokenRefused()": (Reason.TOKEN_REFUSED,),
    "VirtualGroups_UnknownObject(bytes16)": (Reason.UNKNOWN_OBJECT, b"\x01" * 16),
    "VirtualGroups_NotInGroup(bytes16)": (Reason.NOT_IN_GROUP, b"\x01" * 16),
    "VirtualGroups_StaleEpoch(uint64)": (Reason.STALE_EPOCH, 7),
    "VirtualGroups_SeqNotRising(uint64)": (Reason.SEQ_NOT_RISING, 7),
    "VirtualGroups_ZeroAddress()": (Reason.ZERO_ADDRESS,),
    "VirtualGroups_NotASlave(bytes16)": (Reason.NOT_A_SLAVE, b"\x01" * 16),
    "VirtualGroups_BadRange(uint64,uint64)": (Reason.BAD_RANGE, 2, 1),
}
"""As in ``contracts/src/IVirtualGroups.sol``, each with its reason and arguments."""


def revert_output(signature: str) -> bytes:
    types = signature[signature.index("(") + 1 : -1]
    _, *arguments = SIGNATURES[signature]
    return keccak256(signature.encode())[:4] + encode(types.split(",") if types else [], arguments)


def test_contract_has_no_error_without_a_reason() -> None:
    assert known_errors() == ABI.error_names == {signature.partition("(")[0] for signature in SIGNATURES}


@pytest.mark.parametrize("signature", SIGNATURES)
def test_error_becomes_a_refusal_with_reason_and_remedy(signature: str) -> None:
    refusal = refusal_of_revert(ABI, revert_output(signature))
    assert isinstance(refusal, ContractRefusal)
    assert refusal.reason is SIGNATURES[signature][0]
    assert refusal.remedy
    assert "{" not in str(refusal)


@pytest.mark.parametrize("signature", SIGNATURES)
def test_selector_in_a_batch_becomes_the_same_reason(signature: str) -> None:
    assert reason_of_selector(ABI, keccak256(signature.encode())[:4]) is SIGNATURES[signature][0]


@pytest.mark.parametrize(
    "output",
    [
        b"",
        b"\x00",
        b"\xde\xad\xbe\xef",
        keccak256(b"VirtualGroups_DeadlinePassed(uint64)")[:4],
        b"\x4e\x48\x7b\x71" + bytes(32),
    ],
    ids=["bare", "short", "unknown", "without its argument", "panic"],
)
def test_revert_with_anything_else_is_inconsistent(output: bytes) -> None:
    assert isinstance(refusal_of_revert(ABI, output), RegistryInconsistent)


def test_unknown_selector_in_a_batch_is_inconsistent() -> None:
    with pytest.raises(RegistryInconsistent):
        reason_of_selector(ABI, b"\xde\xad\xbe\xef")
