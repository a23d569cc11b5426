"""Records and checkpoints: what a device says, with evidence that anybody can verify (``docs/protocol.md`` §6)."""

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple, Self

from group_protocol.crypto.kdf import sha256
from group_protocol.crypto.keys import PrivateKey, verify_signature
from group_protocol.errors import DecodingError, LocalProtocolError
from group_protocol.identifiers import (
    HASH_BYTES,
    OBJECT_ID_BYTES,
    SIGNATURE_BYTES,
    Address,
    GroupId,
    ObjectId,
    Signature,
)
from group_protocol.typed_data import TypedDataDomain

_SIGNED: Final = 0x01
_CHECKPOINTED: Final = 0x02
_CHECKPOINT: Final = 0x03
_RECORD_HEAD: Final = struct.Struct(">B16sQQI")
_CHECKPOINT_LAYOUT: Final = struct.Struct(">BQQQ32s64s")
_LINK: Final = struct.Struct(">32s16sQ32s")
_ZERO_HASH: Final = bytes(HASH_BYTES)

RECORD_OVERHEAD_BYTES: Final = _RECORD_HEAD.size + SIGNATURE_BYTES
"""A signed record is so much longer than its payload."""
CHECKPOINT_BYTES: Final = _CHECKPOINT_LAYOUT.size
"""A checkpoint's length."""


class SignedRecord(NamedTuple):
    """A record with its own signature over ``Exchange``. A tuple: a frozen dataclass takes three times as long to make.

    Attributes:
        receiver: ``to``: the master's oid or another member's.
        seq: Counts the device's records for its whole life, from 1.
        epoch: The group's epoch under which it was signed.
        payload: SenML in CBOR.
    """

    receiver: ObjectId
    seq: int
    epoch: int
    payload: bytes
    signature: Signature


class CheckpointedRecord(NamedTuple):
    """A record whose evidence is the checkpoint that follows it. Fields as in SignedRecord."""

    receiver: ObjectId
    seq: int
    epoch: int
    payload: bytes


class Checkpoint(NamedTuple):
    """One signature over a period of checkpointed records. ``running_hash`` is 32 bytes."""

    first_seq: int
    last_seq: int
    epoch: int
    running_hash: bytes
    signature: Signature


Record = SignedRecord | CheckpointedRecord
Item = SignedRecord | CheckpointedRecord | Checkpoint


def encode_items(items: Iterable[Item]) -> bytes:
    """Items one after the other: the body of an ITEMS frame.

    Raises:
        LocalProtocolError: A field has the wrong length or range.
    """
    return b"".join([_encode_item(item) for item in items])


def _encode_item(item: Item) -> bytes:
    try:
        if isinstance(item, Checkpoint):
            # struct pads and cuts byte strings in silence.
            _require_length(item.running_hash, HASH_BYTES)
            _require_length(item.signature, SIGNATURE_BYTES)
            return _CHECKPOINT_LAYOUT.pack(
                _CHECKPOINT, item.first_seq, item.last_seq, item.epoch, item.running_hash, item.signature
            )
        _require_length(item.receiver, OBJECT_ID_BYTES)
        kind, signature = _CHECKPOINTED, b""
        if isinstance(item, SignedRecord):
            kind, signature = _SIGNED, item.signature
            _require_length(signature, SIGNATURE_BYTES)
        head = _RECORD_HEAD.pack(kind, item.receiver, item.seq, item.epoch, len(item.payload))
    except struct.error as exc:
        raise LocalProtocolError(f"a number of the item is out of range: {exc}") from exc
    return head + item.payload + signature


def _require_length(raw: bytes, length_bytes: int) -> None:
    if len(raw) != length_bytes:
        raise LocalProtocolError(f"a field of the item has {len(raw)} bytes, not {length_bytes}")


def decode_items(body: bytes) -> list[Item]:
    """Parse the body of an ITEMS frame. Values are judged by :mod:`group_protocol.intake`, not here.

    Raises:
        DecodingError: No item, an unknown kind, or the bytes end within an item.
    """
    items: list[Item] = []
    offset = 0
    while offset < len(body):
        item, offset = _decode_item(body, offset)
        items.append(item)
    if not items:
        raise DecodingError("no item")
    return items


def _decode_item(body: bytes, offset: int) -> tuple[Item, int]:
    kind = body[offset]
    try:
        if kind == _CHECKPOINT:
            _, first_seq, last_seq, epoch, running_hash, signature = _CHECKPOINT_LAYOUT.unpack_from(body, offset)
            return Checkpoint(first_seq, last_seq, epoch, running_hash, signature), offset + CHECKPOINT_BYTES
        if kind not in (_SIGNED, _CHECKPOINTED):
            raise DecodingError(f"{kind:#04x} is no kind of item")
        _, receiver, seq, epoch, length_bytes = _RECORD_HEAD.unpack_from(body, offset)
    except struct.error as exc:
        raise DecodingError("the bytes end within an item") from exc
    payload_at = offset + _RECORD_HEAD.size
    payload_end = payload_at + length_bytes
    end = payload_end + (SIGNATURE_BYTES if kind == _SIGNED else 0)
    if end > len(body):
        raise DecodingError("the bytes end within a record")
    payload = body[payload_at:payload_end]
    if kind == _SIGNED:
        return SignedRecord(receiver, seq, epoch, payload, Signature(body[payload_end:end])), end
    return CheckpointedRecord(receiver, seq, epoch, payload), end


def decode_signed_record(body: bytes, offset: int) -> tuple[SignedRecord, int]:
    """Parse one signed record that begins at ``offset``; also where it ends.

    Raises:
        DecodingError: The bytes end within it, or it is another item.
    """
    if offset >= len(body):
        raise DecodingError("the bytes end before a record")
    item, end = _decode_item(body, offset)
    if not isinstance(item, SignedRecord):
        raise DecodingError("the item is no signed record")
    return item, end


def payload_hash(payload: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return sha256(payload)


def sign_record(
    key: PrivateKey,
    domain: TypedDataDomain,
    gid: GroupId,
    sender: ObjectId,
    receiver: ObjectId,
    seq: int,
    epoch: int,
    payload: bytes,
) -> SignedRecord:
    """Make a record that carries its own evidence."""
    digest = domain.exchange_digest(gid, sender, receiver, payload_hash(payload), seq, epoch)
    return SignedRecord(receiver, seq, epoch, payload, key.sign_digest(digest))


def verify_record(
    record: SignedRecord, domain: TypedDataDomain, gid: GroupId, sender: ObjectId, signer: Address
) -> None:
    """Check that ``signer`` (the sender's address in the record's epoch) said this.

    Raises:
        VerificationError: The signature is another key's or over something else.
    """
    digest = domain.exchange_digest(
        gid, sender, record.receiver, payload_hash(record.payload), record.seq, record.epoch
    )
    verify_signature(digest, record.signature, signer)


class CheckpointPeriod(NamedTuple):
    """Checkpointed records that one checkpoint will cover, as their running hash. Both ends keep the same.

    Attributes:
        first_seq: seq of the first record.
        last_seq: seq of the last record so far.
        epoch: Epoch of all of them.
        records: How many.
        running_hash: c_n of §6, 32 bytes.
    """

    first_seq: int
    last_seq: int
    epoch: int
    records: int
    running_hash: bytes

    @classmethod
    def begin(cls, receiver: ObjectId, seq: int, epoch: int, record_payload_hash: bytes) -> Self:
        """The period that begins with this record."""
        return cls(seq, seq, epoch, 1, _link(_ZERO_HASH, receiver, seq, record_payload_hash))

    def extend(self, receiver: ObjectId, seq: int, record_payload_hash: bytes) -> Self:
        """The period with one record more, of the same epoch.

        Raises:
            LocalProtocolError: ``seq`` does not rise.
        """
        if seq <= self.last_seq:
            raise LocalProtocolError(f"record {seq} does not come after {self.last_seq}")
        running_hash = _link(self.running_hash, receiver, seq, record_payload_hash)
        # Not dataclasses.replace: it takes longer than the two hashes, for every record.
        return type(self)(self.first_seq, seq, self.epoch, self.records + 1, running_hash)

    def spans(self, checkpoint: Checkpoint) -> bool:
        """Whether the checkpoint names just these records; its hash and signature are another matter."""
        return (checkpoint.first_seq, checkpoint.last_seq, checkpoint.epoch) == (
            self.first_seq,
            self.last_seq,
            self.epoch,
        )


class RunningPeriod:
    """A period that grows record by record, in place: for whoever takes in or sends many."""

    __slots__ = ("epoch", "first_seq", "last_seq", "records", "running_hash")

    def __init__(self) -> None:
        self.first_seq = self.last_seq = self.epoch = self.records = 0
        self.running_hash = _ZERO_HASH

    @classmethod
    def resume(cls, period: CheckpointPeriod | None) -> Self:
        """Go on with this period; None: with an empty one."""
        running = cls()
        if period is not None:
            running.first_seq, running.last_seq, running.epoch = period.first_seq, period.last_seq, period.epoch
            running.records, running.running_hash = period.records, period.running_hash
        return running

    def add(self, receiver: ObjectId, seq: int, epoch: int, record_payload_hash: bytes) -> None:
        """Take one record more; one of another epoch begins the period anew."""
        if epoch != self.epoch or not self.records:
            self.first_seq, self.epoch, self.records, self.running_hash = seq, epoch, 0, _ZERO_HASH
        self.running_hash = sha256(_LINK.pack(self.running_hash, receiver, seq, record_payload_hash))
        self.last_seq = seq
        self.records += 1

    def to_period(self) -> CheckpointPeriod | None:
        """As it is now; None if it is empty."""
        if not self.records:
            return None
        return CheckpointPeriod(self.first_seq, self.last_seq, self.epoch, self.records, self.running_hash)


def _link(previous: bytes, receiver: ObjectId, seq: int, record_payload_hash: bytes) -> bytes:
    return sha256(_LINK.pack(previous, receiver, seq, record_payload_hash))


def sign_checkpoint(
    key: PrivateKey, domain: TypedDataDomain, gid: GroupId, sender: ObjectId, period: CheckpointPeriod
) -> Checkpoint:
    """Close a period with a signature."""
    digest = domain.checkpoint_digest(gid, sender, period.first_seq, period.last_seq, period.epoch, period.running_hash)
    return Checkpoint(period.first_seq, period.last_seq, period.epoch, period.running_hash, key.sign_digest(digest))


def verify_checkpoint(
    checkpoint: Checkpoint, domain: TypedDataDomain, gid: GroupId, sender: ObjectId, signer: Address
) -> None:
    """Check that ``signer`` signed this checkpoint; whether it covers certain records, their CheckpointPeriod says.

    Raises:
        VerificationError: The signature is another key's or over something else.
    """
    digest = domain.checkpoint_digest(
        gid, sender, checkpoint.first_seq, checkpoint.last_seq, checkpoint.epoch, checkpoint.running_hash
    )
    verify_signature(digest, checkpoint.signature, signer)
