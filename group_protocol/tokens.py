"""Tokens: the master's word that an object may join its group (``docs/protocol.md`` §1; paper section 4.2)."""

from group_protocol.crypto.keccak import keccak256
from group_protocol.crypto.keys import PrivateKey, verify_signature
from group_protocol.errors import LocalProtocolError
from group_protocol.identifiers import (
    ADDRESS_BYTES,
    GROUP_ID_BYTES,
    OBJECT_ID_BYTES,
    Address,
    GroupId,
    ObjectId,
    Token,
    derive_object_id,
)


def token_digest(gid: GroupId, oid: ObjectId, address: Address) -> bytes:
    """keccak256(gid ‖ oid ‖ address), 32 bytes; the contract's ``tokenVerify`` makes the same.

    Raises:
        LocalProtocolError: A field has the wrong length, so that the three could be cut elsewhere.
    """
    if (len(gid), len(oid), len(address)) != (GROUP_ID_BYTES, OBJECT_ID_BYTES, ADDRESS_BYTES):
        raise LocalProtocolError("gid, oid and address have 16, 16 and 20 bytes")
    return keccak256(gid + oid + address)


def issue_token(master_key: PrivateKey, gid: GroupId, address: Address, *, oid: ObjectId | None = None) -> Token:
    """Sign the token of the object with this address.

    Args:
        master_key: The group's master.
        gid: The group.
        address: The object's present address.
        oid: The id that an object kept when it rotated its key (§7.1); by default the one that the address gives.
    """
    return Token(master_key.sign_digest(token_digest(gid, oid or derive_object_id(address), address)))


def verify_token(token: Token, gid: GroupId, oid: ObjectId, address: Address, master: Address) -> None:
    """Check that the master let this object into this group.

    Raises:
        VerificationError: The token is another master's, or for another group, object or address, or malformed.
    """
    verify_signature(token_digest(gid, oid, address), token, master)
