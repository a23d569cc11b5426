"""A record that waits in the buffer, and how its row is sealed.

Rows are sealed with AES-256-GCM under a key that is derived from the device's storage secret and from a salt that
is drawn each time the file is opened. The nonce is the record's seq: a seq is used once in an opening, so no nonce
repeats, even when an old copy of the file is put back.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from group_protocol.crypto.aead import Aead, SealingKey
from group_protocol.crypto.kdf import derive
from group_protocol.encoding import u64
from group_protocol.errors import VerificationError
from group_protocol.identifiers import OBJECT_ID_BYTES, ObjectId

ROW_OVERHEAD_BYTES: Final = 64
"""About what SQLite and the seal add to a payload."""


@dataclass(frozen=True, slots=True)
class BufferedRecord:
    """A record that waits: what it says and to whom, not yet signed.

    Attributes:
        readings: How many readings the payload holds.
        held_s: The device's running time in seconds when it was put in; no wall clock.
    """

    seq: int
    receiver: ObjectId
    payload: bytes = field(repr=False)
    readings: int
    held_s: float

    @property
    def stored_bytes(self) -> int:
        """About what the record takes on disk."""
        return len(self.payload) + OBJECT_ID_BYTES + ROW_OVERHEAD_BYTES


@dataclass(slots=True)
class BufferCounts:
    """What the buffer holds and what became of the rest. Counts of lost records are for the life of the file.

    Attributes:
        records: Records that wait for the master's ACK.
        stored_bytes: About what they take.
        kept_records: Records that the master has acknowledged and that stay a while, see :class:`BufferLimits`.
        kept_bytes: About what those take.
        oldest_held_s: When the oldest waiting record was put in.
        dropped_records: Lost to the limits.
        acknowledged_readings: In records up to the last acknowledged one.
    """

    records: int = 0
    stored_bytes: int = 0
    kept_records: int = 0
    kept_bytes: int = 0
    oldest_held_s: float | None = None
    dropped_records: int = 0
    set_aside_records: int = 0
    unreadable_records: int = 0
    acknowledged_readings: int = 0


class DropPolicy(StrEnum):
    """What gives way when the buffer is full."""

    OLDEST = "drop-oldest"
    """The oldest waiting records: the newest state of the patient is never lost."""
    NEWEST = "refuse-newest"
    """New records, until there is room again: what was kept first stays whole."""


@dataclass(frozen=True, slots=True)
class BufferLimits:
    """How much is kept, and what gives way. All times are of the device's running time: one that is off ages nothing.

    Attributes:
        max_bytes: Bound on what the rows take, acknowledged ones included; those give way first.
        max_age_s: Bound on the age of a record in seconds.
        when_full: Which waiting records are lost beyond a bound.
        keep_acknowledged_s: Acknowledged records stay so many seconds where there is room, so that a master that was
            put back to an older state gets them again.
    """

    max_bytes: int = 64 * 1024 * 1024
    max_age_s: float = 7 * 86_400
    when_full: DropPolicy = DropPolicy.OLDEST
    keep_acknowledged_s: float = 0.0


class RowSealer:
    """Seals and opens rows.

    Args:
        storage_secret: The device's, 32 bytes.
    """

    def __init__(self, storage_secret: bytes) -> None:
        self._secret = storage_secret
        self._keys: dict[int, SealingKey] = {}

    def add_opening(self, opening: int, salt: bytes) -> None:
        """Make known the salt of one opening of the file."""
        self._keys[opening] = SealingKey(Aead.A256GCM, derive(self._secret, "slave buffer", salt))

    def seal(self, opening: int, record: BufferedRecord) -> bytes:
        """The row's sealed content: receiver and payload, bound to seq and number of readings."""
        associated = u64(record.seq) + u64(record.readings)
        return self._keys[opening].seal(record.seq, associated, record.receiver + record.payload)

    def open(self, seq: int, opening: int, held_s: object, readings: object, sealed: object) -> BufferedRecord | None:
        """The record of a row; None if it was changed, moved, or sealed by another device.

        A damaged file may hold anything in the columns but the first.
        """
        key = self._keys.get(opening)
        if not (isinstance(readings, int) and isinstance(held_s, float) and isinstance(sealed, bytes)):
            return None
        if key is None or seq < 0 or readings < 0:
            return None
        try:
            content = key.open(seq, u64(seq) + u64(readings), sealed)
        except VerificationError:
            return None
        return BufferedRecord(seq, ObjectId(content[:OBJECT_ID_BYTES]), content[OBJECT_ID_BYTES:], readings, held_s)
