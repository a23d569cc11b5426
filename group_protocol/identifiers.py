"""Identifiers of the protocol: fixed-width byte strings with names of their own (``docs/protocol.md`` §1).

They are plain ``bytes`` at run time, so that the hot path pays nothing; ``parse_…`` is the one way in from outside.
"""

from typing import NewType

from group_protocol.errors import DecodingError

Address = NewType("Address", bytes)
"""20 bytes: last 20 of keccak256 of the uncompressed public key without its 04."""
GroupId = NewType("GroupId", bytes)
"""16 bytes, derived by the contract."""
ObjectId = NewType("ObjectId", bytes)
"""16 bytes: last 16 of the object's address at association."""
SessionId = NewType("SessionId", bytes)
"""16 random bytes, chosen by the master."""
Signature = NewType("Signature", bytes)
"""64 bytes, EIP-2098: r (32) ‖ yParityAndS (32)."""
Token = NewType("Token", bytes)
"""64 bytes: the master's EIP-2098 signature over keccak256(gid ‖ oid ‖ address)."""

ADDRESS_BYTES = 20
GROUP_ID_BYTES = 16
OBJECT_ID_BYTES = 16
SESSION_ID_BYTES = 16
SIGNATURE_BYTES = 64
TOKEN_BYTES = 64
HASH_BYTES = 32
PUBLIC_KEY_BYTES = 65


def _exactly(raw: bytes, length_bytes: int, name: str) -> bytes:
    if len(raw) != length_bytes:
        raise DecodingError(f"{name} has {len(raw)} bytes, not {length_bytes}")
    return raw


def parse_address(raw: bytes) -> Address:
    """Take 20 bytes as an address. Raises DecodingError for another length."""
    return Address(_exactly(raw, ADDRESS_BYTES, "address"))


def parse_group_id(raw: bytes) -> GroupId:
    """Take 16 bytes as a gid. Raises DecodingError for another length."""
    return GroupId(_exactly(raw, GROUP_ID_BYTES, "gid"))


def parse_object_id(raw: bytes) -> ObjectId:
    """Take 16 bytes as an oid. Raises DecodingError for another length."""
    return ObjectId(_exactly(raw, OBJECT_ID_BYTES, "oid"))


def parse_session_id(raw: bytes) -> SessionId:
    """Take 16 bytes as a sid. Raises DecodingError for another length."""
    return SessionId(_exactly(raw, SESSION_ID_BYTES, "sid"))


def parse_signature(raw: bytes) -> Signature:
    """Take 64 bytes as a signature; its values are checked where it is verified. Raises DecodingError."""
    return Signature(_exactly(raw, SIGNATURE_BYTES, "signature"))


def parse_token(raw: bytes) -> Token:
    """Take 64 bytes as a token; its values are checked where it is verified. Raises DecodingError."""
    return Token(_exactly(raw, TOKEN_BYTES, "token"))


def derive_object_id(address: Address) -> ObjectId:
    """The oid that an address gets when it associates: its last 16 bytes (``docs/protocol.md`` §1)."""
    return ObjectId(address[-OBJECT_ID_BYTES:])


def display_object_id(oid: ObjectId) -> str:
    """The paper's two-byte form in hex (``9d9c``), for people only, never for a decision."""
    return oid[-2:].hex()
