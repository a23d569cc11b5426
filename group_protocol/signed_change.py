"""One change of a key, a device's or a master's, signed by the key before it and by its own: the layout both share."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from group_protocol.errors import DecodingError, LocalProtocolError
from group_protocol.identifiers import ADDRESS_BYTES, SIGNATURE_BYTES, Address, Signature

_LAYOUT: Final = struct.Struct(">20sQ64s64s")
CHANGE_BYTES: Final = _LAYOUT.size
"""156."""


@dataclass(frozen=True, slots=True)
class SignedChange:
    """What is signed says which kind it is; the layout does not.

    Attributes:
        deadline_unix_s: Latest block time at which the contract takes it; nobody else looks at it.
        by_old: 64 bytes, over the change, by the key before it.
        by_new: 64 bytes, over the same, by the new key.
    """

    new_address: Address
    deadline_unix_s: int
    by_old: Signature
    by_new: Signature

    def encode(self) -> bytes:
        """156 bytes. Raises LocalProtocolError for a field of the wrong length or range."""
        # struct pads and cuts byte strings in silence.
        lengths = (len(self.new_address), len(self.by_old), len(self.by_new))
        if lengths != (ADDRESS_BYTES, SIGNATURE_BYTES, SIGNATURE_BYTES):
            raise LocalProtocolError("a field of the change has the wrong length")
        try:
            return _LAYOUT.pack(self.new_address, self.deadline_unix_s, self.by_old, self.by_new)
        except struct.error as exc:
            raise LocalProtocolError(f"a number of the change is out of range: {exc}") from exc

    @classmethod
    def decode_all(cls, raw: bytes) -> tuple[Self, ...]:
        """Any number of them, 156 bytes each; raises DecodingError. Whether they are true, the signatures say."""
        if len(raw) % CHANGE_BYTES:
            raise DecodingError("a change of key has 156 bytes")
        return tuple(
            cls(Address(address), deadline_unix_s, Signature(by_old), Signature(by_new))
            for address, deadline_unix_s, by_old, by_new in _LAYOUT.iter_unpack(raw)
        )


def encode_changes(changes: Iterable[SignedChange]) -> bytes:
    """N times 156 bytes. Raises LocalProtocolError."""
    return b"".join(change.encode() for change in changes)
