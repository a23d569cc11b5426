import pytest
from eth_utils.crypto import keccak

from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import LocalProtocolError, VerificationError
from group_protocol.identifiers import Address, GroupId, ObjectId, Token, derive_object_id
from group_protocol.tokens import issue_token, token_digest, verify_token

MASTER_KEY = PrivateKey.from_secret(bytes.fromhex("11" * 32))
STRANGER_KEY = PrivateKey.from_secret(bytes.fromhex("33" * 32))
GID = GroupId(bytes.fromhex("c0ffee00" * 4))
ADDRESS = PrivateKey.from_secret(bytes.fromhex("22" * 32)).address
OID = derive_object_id(ADDRESS)
TOKEN = issue_token(MASTER_KEY, GID, ADDRESS)


def flip(raw: bytes, bit: int) -> bytes:
    return (int.from_bytes(raw, "big") ^ (1 << bit)).to_bytes(len(raw), "big")


def test_digest_is_keccak_of_the_three_packed_fields() -> None:
    assert token_digest(GID, OID, ADDRESS) == keccak(GID + OID + ADDRESS)


def test_issued_token_has_64_bytes_and_verifies() -> None:
    assert len(TOKEN) == 64
    verify_token(TOKEN, GID, OID, ADDRESS, MASTER_KEY.address)


@pytest.mark.parametrize("bit", [0, 7, 63, 127])
def test_token_for_another_group_raises_verification_error(bit: int) -> None:
    with pytest.raises(VerificationError):
        verify_token(TOKEN, GroupId(flip(GID, bit)), OID, ADDRESS, MASTER_KEY.address)


@pytest.mark.parametrize("bit", [0, 64, 127])
def test_token_for_another_object_raises_verification_error(bit: int) -> None:
    with pytest.raises(VerificationError):
        verify_token(TOKEN, GID, ObjectId(flip(OID, bit)), ADDRESS, MASTER_KEY.address)


@pytest.mark.parametrize("bit", [0, 80, 159])
def test_token_for_another_address_raises_verification_error(bit: int) -> None:
    with pytest.raises(VerificationError):
        verify_token(TOKEN, GID, OID, Address(flip(ADDRESS, bit)), MASTER_KEY.address)


@pytest.mark.parametrize("bit", range(0, 512, 17))
def test_token_with_a_flipped_bit_raises_verification_error(bit: int) -> None:
    with pytest.raises(VerificationError):
        verify_token(Token(flip(TOKEN, bit)), GID, OID, ADDRESS, MASTER_KEY.address)


def test_token_of_another_master_raises_verification_error() -> None:
    with pytest.raises(VerificationError):
        verify_token(issue_token(STRANGER_KEY, GID, ADDRESS), GID, OID, ADDRESS, MASTER_KEY.address)


def test_token_of_a_rotated_device_names_the_id_it_kept() -> None:
    kept = derive_object_id(STRANGER_KEY.address)
    token = issue_token(MASTER_KEY, GID, ADDRESS, oid=kept)
    verify_token(token, GID, kept, ADDRESS, MASTER_KEY.address)
    with pytest.raises(VerificationError):
        verify_token(token, GID, OID, ADDRESS, MASTER_KEY.address)


@pytest.mark.parametrize(("gid", "oid", "address"), [(15, 17, 20), (16, 15, 21), (16, 16, 19), (0, 0, 52)])
def test_fields_cut_elsewhere_raise_local_error(gid: int, oid: int, address: int) -> None:
    with pytest.raises(LocalProtocolError):
        token_digest(GroupId(bytes(gid)), ObjectId(bytes(oid)), Address(bytes(address)))
