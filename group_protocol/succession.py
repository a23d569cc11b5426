"""How a slave that pinned a master's old key learns of its new one (``docs/protocol.md`` §3.5, ADR 0019).

The statement is the contract's own ``MasterRotation`` (§8), signed by the old key and by the new one. Whoever carries
it need not be believed: it is as good from a master that holds the new key alone as it was from the old one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from group_protocol.crypto.keys import verify_signature
from group_protocol.encoding import b64encode, dump_json_object, u64
from group_protocol.errors import DecodingError, VerificationError
from group_protocol.identifiers import ADDRESS_BYTES, GROUP_ID_BYTES, Address, GroupId
from group_protocol.messages import VERSION, BodyFields
from group_protocol.ports import RegistryIdentity
from group_protocol.signed_change import SignedChange, encode_changes
from group_protocol.typed_data import TypedDataDomain

CHANGES_MAX: Final = 32
"""In one answer, which then stays below the 8,192 bytes of a body; who missed more asks again from the last."""
_CHAIN_ID_BYTES: Final = 8


class MasterChange(SignedChange):
    """One change of a master's key; ``by_old`` and ``by_new`` are over ``MasterRotation``."""

    __slots__ = ()

    def verify(self, domain: TypedDataDomain, gid: GroupId, old: Address) -> None:
        """Check both signatures. Raises VerificationError."""
        digest = domain.master_rotation_digest(gid, self.new_address, self.deadline_unix_s)
        verify_signature(digest, self.by_old, old)
        verify_signature(digest, self.by_new, self.new_address)


@dataclass(frozen=True, slots=True)
class SuccessionRequest:
    """``POST /succession``: who came after this master? ``master`` is the 20-byte address that the slave has pinned."""

    master: Address

    def to_body(self) -> bytes:
        """The JSON body."""
        return dump_json_object({"v": VERSION, "master": b64encode(self.master)})

    @classmethod
    def from_body(cls, body: bytes) -> Self:
        """Parse; raises DecodingError."""
        fields = BodyFields(body)
        fields.version()
        request = cls(Address(fields.raw("master", ADDRESS_BYTES)))
        fields.end()
        return request


@dataclass(frozen=True, slots=True)
class Succession:
    """Its answer: the changes from that address on, the oldest first, and the domain in which they are signed.

    Attributes:
        changes: 1 to 32.
    """

    gid: GroupId
    identity: RegistryIdentity
    changes: tuple[MasterChange, ...]

    def to_body(self) -> bytes:
        """The JSON body."""
        return dump_json_object(
            {
                "v": VERSION,
                "gid": b64encode(self.gid),
                "chain": b64encode(u64(self.identity.chain_id)),
                "contract": b64encode(self.identity.contract),
                "changes": b64encode(encode_changes(self.changes)),
            }
        )

    @classmethod
    def from_body(cls, body: bytes) -> Self:
        """Parse; raises DecodingError."""
        fields = BodyFields(body)
        fields.version()
        succession = cls(
            GroupId(fields.raw("gid", GROUP_ID_BYTES)),
            RegistryIdentity(
                int.from_bytes(fields.raw("chain", _CHAIN_ID_BYTES), "big"),
                Address(fields.raw("contract", ADDRESS_BYTES)),
            ),
            _parse_changes(fields.raw("changes")),
        )
        fields.end()
        return succession

    def verify(self, pinned: Address) -> Address:
        """Who is the master now, for a slave that pinned this address.

        Raises:
            VerificationError: A signature is another key's, or the changes lead in a circle.
        """
        domain, address, seen = TypedDataDomain(self.identity), pinned, {pinned}
        for change in self.changes:
            if change.new_address in seen:
                raise VerificationError("the succession leads back to a key that was given up")
            change.verify(domain, self.gid, address)
            address = change.new_address
            seen.add(address)
        return address


def changes_after(changes: Sequence[tuple[Address, MasterChange]], pinned: Address) -> tuple[MasterChange, ...]:
    """Of all changes, each with the address before it and the oldest first: those after that address; at most 32."""
    following = [change for old, change in changes]
    for place, (old, _) in enumerate(changes):
        if old == pinned:
            return tuple(following[place : place + CHANGES_MAX])
    return ()


def _parse_changes(raw: bytes) -> tuple[MasterChange, ...]:
    changes = MasterChange.decode_all(raw)
    if not 1 <= len(changes) <= CHANGES_MAX:
        raise DecodingError(f"a succession has 1 to {CHANGES_MAX} changes")
    return changes
