"""Frames: the plaintexts of sealed units on the data and stream channels (``docs/protocol.md`` §6)."""

import struct
from dataclasses import dataclass
from typing import Final

from group_protocol.encoding import Reader
from group_protocol.errors import DecodingError, LocalProtocolError, Reason
from group_protocol.limits import FRAME_MAX_BYTES
from group_protocol.peer_messages import (
    Delivery,
    Receipt,
    decode_delivery,
    decode_receipt,
    encode_delivery,
    encode_receipt,
)
from group_protocol.records import Item, decode_items, encode_items

_OPEN: Final = 0x01
_ITEMS: Final = 0x02
_RESUME: Final = 0x03
_CLOSE: Final = 0x04
_RECEIPT: Final = 0x05
_ACK: Final = 0x12
_DELIVERY: Final = 0x13
_RESUME_LAYOUT: Final = struct.Struct(">BQ")
_CLOSE_LAYOUT: Final = struct.Struct(">BH")
_ACK_LAYOUT: Final = struct.Struct(">BQQIQQH")


@dataclass(frozen=True, slots=True)
class Open:
    """First frame of a stream; the master answers with an Ack."""


@dataclass(frozen=True, slots=True)
class Items:
    """One or more records and checkpoints."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Resume:
    """The slave has seen that this seq was refused and goes on."""

    refused_seq: int


@dataclass(frozen=True, slots=True)
class Close:
    """The end of a stream, with its reason."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Ack:
    """What the master holds.

    Attributes:
        last_seq: The device's highest record that is committed to the store; 0 if none.
        evidence_seq: Every record up to here is covered by a committed signature.
        credit_bytes: How many bytes of ITEMS frames the slave may have sent and not yet seen acknowledged.
        epoch: The group's epoch now.
        refused_seq: seq of the refused record, or last seq of the refused checkpoint; 0 with reason NONE.
        reason: Why it was refused; NONE if nothing was.
    """

    last_seq: int
    evidence_seq: int
    credit_bytes: int
    epoch: int
    refused_seq: int = 0
    reason: Reason = Reason.NONE


SlaveFrame = Open | Items | Resume | Close | Receipt
"""What a slave may send."""
MasterFrame = Ack | Close | Delivery
"""What a master may send."""
Frame = Open | Items | Resume | Close | Receipt | Ack | Delivery


def encode_frame(frame: Frame) -> bytes:
    """The frame's bytes, with its type byte.

    Raises:
        LocalProtocolError: A number is out of range, there is no item, or the frame is longer than 196,000 bytes.
    """
    try:
        encoded = _encode(frame)
    except struct.error as exc:
        raise LocalProtocolError(f"frame does not fit its layout: {exc}") from exc
    if len(encoded) > FRAME_MAX_BYTES:
        raise LocalProtocolError(f"frame has {len(encoded)} bytes, more than {FRAME_MAX_BYTES}")
    return encoded


def _encode(frame: Frame) -> bytes:
    match frame:
        case Items():
            if not frame.items:
                raise LocalProtocolError("a frame of items needs at least one")
            return bytes([_ITEMS]) + encode_items(frame.items)
        case Ack():
            return _ACK_LAYOUT.pack(
                _ACK,
                frame.last_seq,
                frame.evidence_seq,
                frame.credit_bytes,
                frame.epoch,
                frame.refused_seq,
                frame.reason,
            )
        case Delivery() | Receipt():
            return _encode_peer_frame(frame)
        case Resume():
            return _RESUME_LAYOUT.pack(_RESUME, frame.refused_seq)
        case Close():
            return _CLOSE_LAYOUT.pack(_CLOSE, frame.reason)
        case Open():
            return bytes([_OPEN])


def _encode_peer_frame(frame: Delivery | Receipt) -> bytes:
    if isinstance(frame, Delivery):
        return bytes([_DELIVERY]) + encode_delivery(frame)
    return bytes([_RECEIPT]) + encode_receipt(frame)


def decode_slave_frame(plaintext: bytes) -> SlaveFrame:
    """Parse what a slave sent.

    Raises:
        DecodingError: Empty, too long, a type that a slave does not send, or another layout.
    """
    kind = _kind(plaintext)
    if kind == _ITEMS:
        return Items(tuple(decode_items(plaintext[1:])))
    if kind == _OPEN:
        reader = Reader(plaintext)
        reader.u8()
        reader.extensions()
        return Open()
    if kind == _RESUME:
        return Resume(_unpack(_RESUME_LAYOUT, plaintext)[1])
    if kind == _CLOSE:
        return _decode_close(plaintext)
    if kind == _RECEIPT:
        return decode_receipt(plaintext[1:])
    raise DecodingError(f"{kind:#04x} is no frame of a slave")


def decode_master_frame(plaintext: bytes) -> MasterFrame:
    """Parse what a master sent.

    Raises:
        DecodingError: Empty, too long, a type that a master does not send, another layout, or an unknown reason.
    """
    kind = _kind(plaintext)
    if kind == _ACK:
        _, last_seq, evidence_seq, credit_bytes, epoch, refused_seq, reason = _unpack(_ACK_LAYOUT, plaintext)
        if evidence_seq > last_seq:
            raise DecodingError("evidence for records that are not there")
        if reason == Reason.NONE and refused_seq:
            raise DecodingError("a refused seq without a reason")
        return Ack(last_seq, evidence_seq, credit_bytes, epoch, refused_seq, _parse_reason(reason))
    if kind == _CLOSE:
        return _decode_close(plaintext)
    if kind == _DELIVERY:
        return decode_delivery(plaintext[1:])
    raise DecodingError(f"{kind:#04x} is no frame of a master")


def _kind(plaintext: bytes) -> int:
    if not 0 < len(plaintext) <= FRAME_MAX_BYTES:
        raise DecodingError(f"a frame has 1 to {FRAME_MAX_BYTES} bytes, not {len(plaintext)}")
    return plaintext[0]


def _unpack(layout: struct.Struct, plaintext: bytes) -> tuple[int, ...]:
    if len(plaintext) != layout.size:
        raise DecodingError(f"frame has {len(plaintext)} bytes, not {layout.size}")
    return layout.unpack(plaintext)


def _decode_close(plaintext: bytes) -> Close:
    return Close(_parse_reason(_unpack(_CLOSE_LAYOUT, plaintext)[1]))


def _parse_reason(code: int) -> Reason:
    try:
        return Reason(code)
    except ValueError as exc:
        raise DecodingError(f"{code} is no reason") from exc
