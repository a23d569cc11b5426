"""Signs what masters and slaves sign for the register, for the gas report and the contract's tests.

The digests are those of eth-account, from the structs' text: nothing here shares code with the contract or with
`group_protocol`, so that an error in either shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from eth_account.messages import encode_typed_data
from eth_keys.datatypes import PrivateKey
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

Signature = tuple[bytes, bytes]
"""r and vs of EIP-2098, 32 bytes each."""
Association = tuple[bytes, Signature, Signature, int]
"""gid, token, request, deadline: the contract's struct."""

STRUCTS: Mapping[str, str] = {
    "CreateGroup": "bytes32 salt,address master,uint64 deadline",
    "Association": "bytes16 gid,bytes32 tokenR,bytes32 tokenVs,uint64 deadline",
    "Revocation": "bytes16 gid,bytes16 oid,uint64 deadline",
    "Rotation": "bytes16 gid,bytes16 oid,address newAddress,uint64 deadline",
    "MasterRotation": "bytes16 gid,address newMaster,uint64 deadline",
    "Exchange": "bytes16 gid,bytes16 from,bytes16 to,bytes32 payloadHash,uint64 seq,uint64 epoch",
    "Checkpoint": "bytes16 gid,bytes16 from,uint64 firstSeq,uint64 lastSeq,uint64 epoch,bytes32 runningHash",
    "Anchor": "bytes16 gid,bytes32 root,uint64 fromRecord,uint64 toRecord",
}
"""docs/protocol.md, section 8."""
DOMAIN = "string name,string version,uint256 chainId,address verifyingContract"


def _fields(declaration: str) -> list[dict[str, str]]:
    pairs = (part.split(" ") for part in declaration.split(","))
    return [{"type": kind, "name": name} for kind, name in pairs]


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody with a key."""

    key: PrivateKey = field(repr=False)

    @classmethod
    def named(cls, name: str) -> Self:
        """Make the actor of that name: always the same key."""
        return cls(PrivateKey(keccak(text=f"actor {name}")))

    @property
    def address(self) -> bytes:
        """The 20 bytes of the address."""
        return self.key.public_key.to_canonical_address()

    @property
    def oid(self) -> bytes:
        """The last 16 bytes of the address: the object id, if it associates with this key."""
        return self.address[4:]

    def sign(self, digest: bytes) -> Signature:
        """Sign 32 bytes, with a low s."""
        signature = self.key.sign_msg_hash(digest)
        return signature.r.to_bytes(32, "big"), (signature.s | signature.v << 255).to_bytes(32, "big")

    def token_for(self, gid: bytes, slave: "Actor") -> Signature:
        """Sign a slave's token: keccak256(gid ‖ oid ‖ address), 52 bytes."""
        return self.sign(keccak(gid + slave.oid + slave.address))


@dataclass(frozen=True, slots=True)
class Acts:
    """The EIP-712 domain of one register.

    Args:
        chain_id: The chain that the signatures hold for.
        contract: The 20 bytes of the register's address.
    """

    chain_id: int
    contract: bytes

    def digest(self, struct: str, message: Mapping[str, Any]) -> bytes:
        """Return the 32 bytes that are signed for a struct of `STRUCTS`."""
        encoded = encode_typed_data(
            full_message={
                "types": {"EIP712Domain": _fields(DOMAIN), struct: _fields(STRUCTS[struct])},
                "primaryType": struct,
                "domain": {
                    "name": "VirtualGroups",
                    "version": "1",
                    "chainId": self.chain_id,
                    "verifyingContract": to_checksum_address(self.contract),
                },
                "message": {
                    name: to_checksum_address(value) if isinstance(value, bytes) and len(value) == 20 else value
                    for name, value in message.items()
                },
            }
        )
        return keccak(b"\x19" + encoded.version + encoded.header + encoded.body)

    def sign(self, signer: Actor, struct: str, **message: Any) -> Signature:
        """Sign a struct; the field that is a Python keyword is written `from_`."""
        return signer.sign(self.digest(struct, {name.rstrip("_"): value for name, value in message.items()}))

    def association(self, gid: bytes, master: Actor, slave: Actor, deadline: int) -> Association:
        """Make a good request to join: the master's token and the slave's signature over it."""
        return self.request(gid, master.token_for(gid, slave), slave, deadline)

    def request(self, gid: bytes, token: Signature, slave: Actor, deadline: int) -> Association:
        """Make a slave's request to join with any token."""
        signed = self.sign(slave, "Association", gid=gid, tokenR=token[0], tokenVs=token[1], deadline=deadline)
        return gid, token, signed, deadline
