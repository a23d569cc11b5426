"""What a master anchors: stored records as leaves of a Merkle tree (``docs/protocol.md`` §10)."""

import struct
from dataclasses import dataclass
from typing import Final

from group_protocol.errors import LocalProtocolError
from group_protocol.identifiers import HASH_BYTES, SIGNATURE_BYTES, GroupId, ObjectId, SessionId, Signature
from group_protocol.merkle import hash_leaf

LEAF_LABEL: Final = b"vgroup/1 record leaf"
_ID_BYTES: Final = 16
_U64_BYTES: Final = 8
_LAYOUT: Final = struct.Struct(f">I{len(LEAF_LABEL)}s I16s IQ I16s I16s IQ IQ I32s I16s IQ I")
"""lp(…) of fields whose widths are fixed: packed in one go, since a master does it for every record."""


@dataclass(frozen=True, slots=True)
class AnchoredRecord:
    """A record as a master has stored it.

    Attributes:
        number: Counts the records of the master's store.
        sender: The device that said it.
        receiver: ``to``.
        payload_hash: SHA-256 of the payload, 32 bytes.
        sid: The session in which it came.
        received_at_unix_ms: When it came, by the master's clock.
        signature: None where a checkpoint is the evidence.
    """

    number: int
    sender: ObjectId
    receiver: ObjectId
    seq: int
    epoch: int
    payload_hash: bytes
    sid: SessionId
    received_at_unix_ms: int
    signature: Signature | None

    def leaf(self, gid: GroupId) -> bytes:
        """The hash of the record's leaf, 32 bytes.

        Raises:
            LocalProtocolError: A field has the wrong length or range.
        """
        signature = self.signature or b""
        widths = (len(gid), len(self.sender), len(self.receiver), len(self.sid))
        if widths != (_ID_BYTES,) * 4 or len(self.payload_hash) != HASH_BYTES:
            raise LocalProtocolError("a field of the leaf has the wrong length")
        if len(signature) not in (0, SIGNATURE_BYTES):
            raise LocalProtocolError(f"a signature has {SIGNATURE_BYTES} bytes")
        try:
            head = _LAYOUT.pack(
                len(LEAF_LABEL),
                LEAF_LABEL,
                _ID_BYTES,
                gid,
                _U64_BYTES,
                self.number,
                _ID_BYTES,
                self.sender,
                _ID_BYTES,
                self.receiver,
                _U64_BYTES,
                self.seq,
                _U64_BYTES,
                self.epoch,
                HASH_BYTES,
                self.payload_hash,
                _ID_BYTES,
                self.sid,
                _U64_BYTES,
                self.received_at_unix_ms,
                len(signature),
            )
        except struct.error as exc:
            raise LocalProtocolError(f"a number of the leaf is out of range: {exc}") from exc
        return hash_leaf(head + signature)
