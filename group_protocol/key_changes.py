"""Changes of a device's key, each signed by the key before it and by its own (``docs/protocol.md`` §7.1, §8).

They are shown to who has to be convinced without believing the register: the receiver of a message between slaves
(§6.1), and a master that was put back from a backup which is older than the change (§7.2).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from group_protocol.errors import DecodingError, LocalProtocolError
from group_protocol.identifiers import (
    ADDRESS_BYTES,
    OBJECT_ID_BYTES,
    SIGNATURE_BYTES,
    Address,
    ObjectId,
    Signature,
)

KEY_HISTORY_MAX: Final = 32
"""Changes that an M3 carries at most: it then stays below the 8,192 bytes of a body."""
_CHANGE: Final = struct.Struct(">20sQ64s64s")
KEY_CHANGE_BYTES: Final = _CHANGE.size


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One change of a device's key.

    Attributes:
        deadline_unix_s: Latest block time at which the contract takes it; nobody else looks at it.
        by_old: 64 bytes, over ``Rotation``.
        by_new: 64 bytes, over the same.
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
            return _CHANGE.pack(self.new_address, self.deadline_unix_s, self.by_old, self.by_new)
        except struct.error as exc:
            raise LocalProtocolError(f"a number of the change is out of range: {exc}") from exc

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Parse 156 bytes; raises DecodingError. Whether it is true, the signatures say."""
        if len(raw) != KEY_CHANGE_BYTES:
            raise DecodingError("a change of key has 156 bytes")
        address, deadline_unix_s, by_old, by_new = _CHANGE.unpack(raw)
        return cls(Address(address), deadline_unix_s, Signature(by_old), Signature(by_new))


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """How a device came to its present key: the extension ``0003`` of M3 (§3.4).

    Attributes:
        changes: 1 to 32, the oldest first.
    """

    oid: ObjectId
    changes: tuple[KeyChange, ...]

    def encode(self) -> bytes:
        """172 to 5,008 bytes. Raises LocalProtocolError."""
        if len(self.oid) != OBJECT_ID_BYTES or not 0 < len(self.changes) <= KEY_HISTORY_MAX:
            raise LocalProtocolError(f"a history has 1 to {KEY_HISTORY_MAX} changes of one device")
        return self.oid + encode_changes(self.changes)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Parse; raises DecodingError."""
        changes = decode_changes(raw[OBJECT_ID_BYTES:])
        if len(raw) < OBJECT_ID_BYTES or not 0 < len(changes) <= KEY_HISTORY_MAX:
            raise DecodingError("the history of keys is empty or too long")
        return cls(ObjectId(raw[:OBJECT_ID_BYTES]), changes)


def encode_changes(changes: Sequence[KeyChange]) -> bytes:
    """N times 156 bytes. Raises LocalProtocolError."""
    return b"".join(change.encode() for change in changes)


def decode_changes(raw: bytes) -> tuple[KeyChange, ...]:
    """Any number of them; raises DecodingError."""
    return tuple(
        KeyChange.decode(raw[start : start + KEY_CHANGE_BYTES]) for start in range(0, len(raw), KEY_CHANGE_BYTES)
    )
