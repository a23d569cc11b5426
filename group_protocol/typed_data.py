"""EIP-712 digests of what masters and slaves sign for the contract, coded by hand for speed (``docs/protocol.md`` §8).

A general encoder takes some 290 µs for one digest; a master needs one for every signed record.
"""

import struct
from typing import Final

from group_protocol.crypto.keccak import keccak256
from group_protocol.errors import LocalProtocolError
from group_protocol.identifiers import ADDRESS_BYTES, GROUP_ID_BYTES, HASH_BYTES, Address, GroupId, ObjectId, Token
from group_protocol.ports import RegistryIdentity

DOMAIN_NAME: Final = "VirtualGroups"
DOMAIN_VERSION: Final = "1"
_DOMAIN_TYPE: Final = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_WORD_BYTES: Final = 32
_MEMBER_LAYOUTS: Final = {"bytes32": "32s", "bytes16": "16s16x", "address": "12x20s", "uint64": "24xQ"}
"""How the ABI puts a member into its 32-byte word: bytes to the left, numbers and addresses to the right."""

_Member = bytes | int


class StructType:
    """One EIP-712 struct type whose members are all of fixed width.

    Args:
        type_string: As EIP-712 writes it (``encodeType``): ``Name(type name,…)``.
    """

    __slots__ = ("_layout", "_type_hash", "type_string")

    def __init__(self, type_string: str) -> None:
        self.type_string: Final = type_string
        self._type_hash: Final = keccak256(type_string.encode("ascii"))
        members = type_string[type_string.index("(") + 1 : -1].split(",")
        self._layout: Final = struct.Struct(
            ">32s" + "".join(_MEMBER_LAYOUTS[member.split(" ")[0]] for member in members)
        )

    def hash(self, *values: _Member) -> bytes:
        """``hashStruct`` of EIP-712: 32 bytes.

        Raises:
            LocalProtocolError: A value has another width than its member, or is out of range.
        """
        try:
            encoded = self._layout.pack(self._type_hash, *values)
        except struct.error as exc:
            raise LocalProtocolError(f"values do not fit {self.type_string}: {exc}") from exc
        # struct pads and cuts byte strings in silence; what comes back differs then.
        if self._layout.unpack(encoded)[1:] != values:
            raise LocalProtocolError(f"a value has the wrong length for {self.type_string}")
        return keccak256(encoded)


CREATE_GROUP: Final = StructType("CreateGroup(bytes32 salt,address master,uint64 deadline)")
ASSOCIATION: Final = StructType("Association(bytes16 gid,bytes32 tokenR,bytes32 tokenVs,uint64 deadline)")
REVOCATION: Final = StructType("Revocation(bytes16 gid,bytes16 oid,uint64 deadline)")
ROTATION: Final = StructType("Rotation(bytes16 gid,bytes16 oid,address newAddress,uint64 deadline)")
MASTER_ROTATION: Final = StructType("MasterRotation(bytes16 gid,address newMaster,uint64 deadline)")
EXCHANGE: Final = StructType(
    "Exchange(bytes16 gid,bytes16 from,bytes16 to,bytes32 payloadHash,uint64 seq,uint64 epoch)"
)
CHECKPOINT: Final = StructType(
    "Checkpoint(bytes16 gid,bytes16 from,uint64 firstSeq,uint64 lastSeq,uint64 epoch,bytes32 runningHash)"
)
ANCHOR: Final = StructType("Anchor(bytes16 gid,bytes32 root,uint64 fromRecord,uint64 toRecord)")


class TypedDataDomain:
    """The digests for one contract on one chain; no digest of it is good for another.

    Every ``…_digest`` answers 32 bytes and raises LocalProtocolError for a value of the wrong width or range.

    Args:
        identity: The two values of the EIP-712 domain that vary.
    """

    __slots__ = ("_prefix", "identity")

    def __init__(self, identity: RegistryIdentity) -> None:
        self.identity: Final = identity
        self._prefix: Final = b"\x19\x01" + _derive_separator(identity)

    @property
    def separator(self) -> bytes:
        """The EIP-712 domain separator, 32 bytes."""
        return self._prefix[2:]

    def create_group_digest(self, salt: bytes, master: Address, deadline_unix_s: int) -> bytes:
        """What the master signs to form its group. ``salt`` is 32 bytes."""
        return self._digest(CREATE_GROUP.hash(salt, master, deadline_unix_s))

    def association_digest(self, gid: GroupId, token: Token, deadline_unix_s: int) -> bytes:
        """What the slave signs to join."""
        return self._digest(ASSOCIATION.hash(gid, token[:_WORD_BYTES], token[_WORD_BYTES:], deadline_unix_s))

    def revocation_digest(self, gid: GroupId, oid: ObjectId, deadline_unix_s: int) -> bytes:
        """What the master signs to revoke a slave."""
        return self._digest(REVOCATION.hash(gid, oid, deadline_unix_s))

    def rotation_digest(self, gid: GroupId, oid: ObjectId, new_address: Address, deadline_unix_s: int) -> bytes:
        """What the slave's old and new key both sign."""
        return self._digest(ROTATION.hash(gid, oid, new_address, deadline_unix_s))

    def master_rotation_digest(self, gid: GroupId, new_master: Address, deadline_unix_s: int) -> bytes:
        """What the master's old and new key both sign."""
        return self._digest(MASTER_ROTATION.hash(gid, new_master, deadline_unix_s))

    def exchange_digest(
        self, gid: GroupId, sender: ObjectId, receiver: ObjectId, payload_hash: bytes, seq: int, epoch: int
    ) -> bytes:
        """What a member signs for one record: Algorithm 3's input. ``payload_hash`` is 32 bytes."""
        return self._digest(EXCHANGE.hash(gid, sender, receiver, payload_hash, seq, epoch))

    def checkpoint_digest(
        self, gid: GroupId, sender: ObjectId, first_seq: int, last_seq: int, epoch: int, running_hash: bytes
    ) -> bytes:
        """What a member signs for a run of records at once. ``running_hash`` is 32 bytes."""
        return self._digest(CHECKPOINT.hash(gid, sender, first_seq, last_seq, epoch, running_hash))

    def anchor_digest(self, gid: GroupId, root: bytes, from_record: int, to_record: int) -> bytes:
        """What the master signs to commit to a batch of records. ``root`` is 32 bytes."""
        return self._digest(ANCHOR.hash(gid, root, from_record, to_record))

    def _digest(self, struct_hash: bytes) -> bytes:
        return keccak256(self._prefix + struct_hash)


def _word(number: int) -> bytes:
    try:
        return number.to_bytes(_WORD_BYTES, "big")
    except OverflowError as exc:
        raise LocalProtocolError("a number does not fit uint256") from exc


def _derive_separator(identity: RegistryIdentity) -> bytes:
    if len(identity.contract) != ADDRESS_BYTES:
        raise LocalProtocolError("the contract's address has the wrong length")
    fields = (
        keccak256(_DOMAIN_TYPE),
        keccak256(DOMAIN_NAME.encode("ascii")),
        keccak256(DOMAIN_VERSION.encode("ascii")),
        _word(identity.chain_id),
        identity.contract.rjust(_WORD_BYTES, b"\0"),
    )
    return keccak256(b"".join(fields))


def derive_group_id(identity: RegistryIdentity, master: Address, salt: bytes) -> GroupId:
    """The gid that the contract gives: 16 bytes of keccak256(abi.encode(name, chain, contract, master, salt)) (§1).

    Raises:
        LocalProtocolError: ``salt`` has not 32 bytes, or an address not 20.
    """
    if len(salt) != HASH_BYTES or len(master) != ADDRESS_BYTES or len(identity.contract) != ADDRESS_BYTES:
        raise LocalProtocolError("salt or address has the wrong length")
    head_bytes = 5 * _WORD_BYTES
    name = DOMAIN_NAME.encode("ascii")
    encoded = (
        _word(head_bytes),
        _word(identity.chain_id),
        identity.contract.rjust(_WORD_BYTES, b"\0"),
        master.rjust(_WORD_BYTES, b"\0"),
        salt,
        _word(len(name)),
        name.ljust(_WORD_BYTES, b"\0"),
    )
    return GroupId(keccak256(b"".join(encoded))[:GROUP_ID_BYTES])
