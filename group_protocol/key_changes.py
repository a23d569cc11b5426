"""Changes of a device's key, each signed by the key before it and by its own (``docs/protocol.md`` §7.1, §8).

They are shown to who has to be convinced without believing the register: the receiver of a message between slaves
(§6.1), and a master that was put back from a backup which is older than the change (§7.2).
"""

from dataclasses import dataclass
from typing import Final, Self

from group_protocol.errors import DecodingError, LocalProtocolError
from group_protocol.identifiers import OBJECT_ID_BYTES, ObjectId
from group_protocol.signed_change import SignedChange, encode_changes

KEY_HISTORY_MAX: Final = 32
"""Changes that an M3 carries at most: it then stays below the 8,192 bytes of a body."""


class KeyChange(SignedChange):
    """One change of a device's key; ``by_old`` and ``by_new`` are over ``Rotation``."""

    __slots__ = ()


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
        changes = KeyChange.decode_all(raw[OBJECT_ID_BYTES:])
        if len(raw) < OBJECT_ID_BYTES or not 0 < len(changes) <= KEY_HISTORY_MAX:
            raise DecodingError("the history of keys is empty or too long")
        return cls(ObjectId(raw[:OBJECT_ID_BYTES]), changes)
