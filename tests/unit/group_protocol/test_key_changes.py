"""The history of a device's keys, as M3 carries it (docs/protocol.md §3.4, §7.2)."""

import pytest

from group_protocol.crypto.keys import PrivateKey
from group_protocol.encoding import u64
from group_protocol.errors import DecodingError, LocalProtocolError
from group_protocol.identifiers import Address, GroupId, ObjectId, SessionId, Signature
from group_protocol.key_changes import KEY_HISTORY_MAX, KeyChange, KeyHistory
from group_protocol.limits import HANDSHAKE_BODY_MAX_BYTES
from group_protocol.messages import SealedRequest
from group_protocol.ports import RegistryIdentity
from group_protocol.tickets import IdentityProof, PairingProof
from group_protocol.typed_data import TypedDataDomain

DOMAIN = TypedDataDomain(RegistryIdentity(1337, Address(b"\x0c" * 20)))
GID, OID = GroupId(b"\x60" * 16), ObjectId(b"\x0d" * 16)
DEADLINE = 1_800_000_000
AEAD_TAG_BYTES = 16


def key(number: int) -> PrivateKey:
    return PrivateKey.from_secret(number.to_bytes(32, "big"))


def change(old: int, new: int) -> KeyChange:
    digest = DOMAIN.rotation_digest(GID, OID, key(new).address, DEADLINE)
    return KeyChange(key(new).address, DEADLINE, key(old).sign_digest(digest), key(new).sign_digest(digest))


def longest() -> KeyHistory:
    return KeyHistory(OID, tuple(change(number, number + 1) for number in range(1, KEY_HISTORY_MAX + 1)))


def identity(history: KeyHistory) -> IdentityProof:
    pairing = PairingProof(b"i" * 8, b"p" * 32)
    return IdentityProof(key(9).public_key, Signature(b"s" * 64), pairing, "x" * 32, key_history=history)


def test_history_has_its_documented_layout() -> None:
    it = change(1, 2)
    expected = OID + key(2).address + u64(DEADLINE) + it.by_old + it.by_new
    assert KeyHistory(OID, (it,)).encode() == expected
    assert KeyHistory.decode(expected) == KeyHistory(OID, (it,))
    assert len(expected) == 172


def test_longest_history_survives_m3_and_fits_its_body() -> None:
    proof = identity(longest())
    assert IdentityProof.decode(proof.encode()) == proof
    m3 = SealedRequest(SessionId(bytes(16)), 0, proof.encode() + bytes(AEAD_TAG_BYTES))
    assert len(m3.to_body()) <= HANDSHAKE_BODY_MAX_BYTES


@pytest.mark.parametrize("length_bytes", [0, 15, 16, 16 + 155, 16 + 157, 16 + 156 * (KEY_HISTORY_MAX + 1)])
def test_history_of_another_length_is_refused(length_bytes: int) -> None:
    with pytest.raises(DecodingError):
        KeyHistory.decode(bytes(length_bytes))


def test_history_that_cannot_be_is_not_encoded() -> None:
    it = change(1, 2)
    for changes in ((), (it,) * (KEY_HISTORY_MAX + 1), (KeyChange(it.new_address, 2**64, it.by_old, it.by_new),)):
        with pytest.raises(LocalProtocolError):
            KeyHistory(OID, changes).encode()
    with pytest.raises(LocalProtocolError):
        KeyChange(Address(b"short"), DEADLINE, it.by_old, it.by_new).encode()
