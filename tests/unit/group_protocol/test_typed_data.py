"""The hand-coded digests against eth_account's general EIP-712 encoder and eth_abi."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from eth_abi.abi import encode as abi_encode
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

from group_protocol.errors import LocalProtocolError
from group_protocol.identifiers import Address, GroupId, ObjectId, Token
from group_protocol.ports import RegistryIdentity
from group_protocol.typed_data import (
    ANCHOR,
    ASSOCIATION,
    CHECKPOINT,
    CREATE_GROUP,
    EXCHANGE,
    MASTER_ROTATION,
    REVOCATION,
    ROTATION,
    StructType,
    TypedDataDomain,
    derive_group_id,
)

STRUCT_TYPES = [CREATE_GROUP, ASSOCIATION, REVOCATION, ROTATION, MASTER_ROTATION, EXCHANGE, CHECKPOINT, ANCHOR]
IDENTITY = RegistryIdentity(1337, Address(bytes.fromhex("42" * 20)))
DIGESTS: dict[StructType, Callable[..., bytes]] = {
    CREATE_GROUP: TypedDataDomain.create_group_digest,
    REVOCATION: TypedDataDomain.revocation_digest,
    ROTATION: TypedDataDomain.rotation_digest,
    MASTER_ROTATION: TypedDataDomain.master_rotation_digest,
    EXCHANGE: TypedDataDomain.exchange_digest,
    CHECKPOINT: TypedDataDomain.checkpoint_digest,
    ANCHOR: TypedDataDomain.anchor_digest,
}
WIDTHS = {"bytes32": 32, "bytes16": 16, "address": 20}


def members_of(struct_type: StructType) -> list[tuple[str, str]]:
    """(type, name) of each member."""
    inner = struct_type.type_string.split("(")[1].rstrip(")")
    return [(member.split()[0], member.split()[1]) for member in inner.split(",")]


def random_values(struct_type: StructType, seed: int) -> list[Any]:
    seeded = random.Random(seed)
    return [
        seeded.getrandbits(64) if kind == "uint64" else seeded.randbytes(WIDTHS[kind])
        for kind, _ in members_of(struct_type)
    ]


def digest_of(domain: TypedDataDomain, struct_type: StructType, values: list[Any]) -> bytes:
    if struct_type is ASSOCIATION:
        gid, token_r, token_vs, deadline = values
        return domain.association_digest(gid, Token(token_r + token_vs), deadline)
    return DIGESTS[struct_type](domain, *values)


def reference_digest(identity: RegistryIdentity, struct_type: StructType, values: list[Any]) -> bytes:
    members = members_of(struct_type)
    name = struct_type.type_string.split("(")[0]
    shown = ["0x" + value.hex() if isinstance(value, bytes) else value for value in values]
    signable = encode_typed_data(
        domain_data={
            "name": "VirtualGroups",
            "version": "1",
            "chainId": identity.chain_id,
            "verifyingContract": "0x" + identity.contract.hex(),
        },
        message_types={name: [{"type": kind, "name": member} for kind, member in members]},
        message_data=dict(zip([member for _, member in members], shown, strict=True)),
    )
    return bytes(keccak(b"\x19" + signable.version + signable.header + signable.body))


@pytest.mark.parametrize("struct_type", STRUCT_TYPES, ids=lambda struct_type: struct_type.type_string.split("(")[0])
@pytest.mark.parametrize("seed", range(5))
def test_digest_is_what_a_general_encoder_makes(struct_type: StructType, seed: int) -> None:
    seeded = random.Random(1000 + seed)
    identity = RegistryIdentity(seeded.getrandbits(seeded.choice([8, 64, 256])), Address(seeded.randbytes(20)))
    values = random_values(struct_type, seed)
    assert digest_of(TypedDataDomain(identity), struct_type, values) == reference_digest(identity, struct_type, values)


@pytest.mark.parametrize("struct_type", STRUCT_TYPES, ids=lambda struct_type: struct_type.type_string.split("(")[0])
def test_digest_changes_with_each_member_and_with_chain_and_contract(struct_type: StructType) -> None:
    values = random_values(struct_type, 7)
    domain = TypedDataDomain(IDENTITY)
    digests = [digest_of(domain, struct_type, values)]
    for index, value in enumerate(values):
        changed = value ^ 1 if isinstance(value, int) else value[:-1] + bytes([value[-1] ^ 1])
        digests.append(digest_of(domain, struct_type, [*values[:index], changed, *values[index + 1 :]]))
    digests.append(digest_of(TypedDataDomain(RegistryIdentity(1338, IDENTITY.contract)), struct_type, values))
    digests.append(digest_of(TypedDataDomain(RegistryIdentity(1337, Address(bytes(20)))), struct_type, values))
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize("struct_type", STRUCT_TYPES, ids=lambda struct_type: struct_type.type_string.split("(")[0])
def test_value_of_another_width_or_range_raises_local_error(struct_type: StructType) -> None:
    values = random_values(struct_type, 8)
    for index, value in enumerate(values):
        wrong = (-1, 1 << 64) if isinstance(value, int) else (value[:-1], value + b"\0", b"")
        for bad in wrong:
            with pytest.raises(LocalProtocolError):
                struct_type.hash(*values[:index], bad, *values[index + 1 :])


def test_type_of_every_kind_of_member_hashes_as_eip_712_says() -> None:
    made = StructType("Mixed(bytes32 a,bytes16 b,address c,uint64 d)")
    values = (bytes(range(32)), bytes(range(16)), bytes(range(20)), 7)
    words = (values[0], values[1] + bytes(16), bytes(12) + values[2], bytes(31) + b"\x07")
    assert made.hash(*values) == keccak(keccak(text=made.type_string) + b"".join(words))
    assert made.type_string == "Mixed(bytes32 a,bytes16 b,address c,uint64 d)"


def test_token_of_another_length_raises_local_error() -> None:
    with pytest.raises(LocalProtocolError):
        TypedDataDomain(IDENTITY).association_digest(GroupId(bytes(16)), Token(bytes(63)), 0)


def test_domain_with_wrong_contract_or_chain_raises_local_error() -> None:
    with pytest.raises(LocalProtocolError):
        TypedDataDomain(RegistryIdentity(1, Address(bytes(19))))
    with pytest.raises(LocalProtocolError):
        TypedDataDomain(RegistryIdentity(1 << 256, Address(bytes(20))))


def test_separator_and_identity_are_readable() -> None:
    domain = TypedDataDomain(IDENTITY)
    type_hash = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    fields = [type_hash, keccak(b"VirtualGroups"), keccak(b"1"), 1337, IDENTITY.contract]
    assert domain.separator == keccak(abi_encode(["bytes32", "bytes32", "bytes32", "uint256", "address"], fields))
    assert domain.identity == IDENTITY


@pytest.mark.parametrize("seed", range(10))
def test_group_id_is_what_the_contract_derives(seed: int) -> None:
    seeded = random.Random(seed)
    identity = RegistryIdentity(seeded.getrandbits(64), Address(seeded.randbytes(20)))
    master, salt = Address(seeded.randbytes(20)), seeded.randbytes(32)
    encoded = abi_encode(
        ["string", "uint256", "address", "address", "bytes32"],
        ["VirtualGroups", identity.chain_id, identity.contract, master, salt],
    )
    assert derive_group_id(identity, master, salt) == keccak(encoded)[:16]


@pytest.mark.parametrize(("master", "salt"), [(bytes(19), bytes(32)), (bytes(20), bytes(31)), (bytes(20), bytes(33))])
def test_group_id_from_wrong_lengths_raises_local_error(master: bytes, salt: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        derive_group_id(IDENTITY, Address(master), salt)


def test_exchange_and_checkpoint_of_the_same_numbers_have_different_digests() -> None:
    domain, oid = TypedDataDomain(IDENTITY), ObjectId(bytes(16))
    exchange = domain.exchange_digest(GroupId(bytes(16)), oid, oid, bytes(32), 0, 0)
    assert exchange != domain.checkpoint_digest(GroupId(bytes(16)), oid, 0, 0, 0, bytes(32))
