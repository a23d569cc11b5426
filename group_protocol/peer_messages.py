"""Messages from one slave of a group to another, as the master hands them over (``docs/protocol.md`` §6.1).

The receiver need not believe the master who said what: the frame carries the sender's first address, from which its oid
follows, every change of its key, signed by both keys, and the record with the sender's signature.
"""

import struct
from dataclasses import dataclass
from typing import Final

from group_protocol.crypto.keys import verify_signature
from group_protocol.encoding import Reader
from group_protocol.errors import DecodingError, LocalProtocolError, Reason, VerificationError
from group_protocol.identifiers import (
    ADDRESS_BYTES,
    OBJECT_ID_BYTES,
    Address,
    GroupId,
    ObjectId,
    derive_object_id,
)
from group_protocol.key_changes import KeyChange
from group_protocol.records import SignedRecord, decode_signed_record, encode_items, verify_record
from group_protocol.signed_change import CHANGE_BYTES, encode_changes
from group_protocol.typed_data import TypedDataDomain

KEY_CHANGES_MAX: Final = 255
"""The count is one byte: a device that changed its key more often sends no messages to other slaves (§6.1)."""
_HEAD: Final = struct.Struct(">Q16s20sB")
_RECEIPT: Final = struct.Struct(">QQH")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way to its receiver.

    Attributes:
        number: Counts what the master hands over, strictly rising for one receiver; a Receipt names it.
        sender: Who said it.
        first_address: The sender's address when it associated; its last 16 bytes are ``sender``.
        changes: How that address became the one that signed, the oldest first; at most 255.
        record: What was said, with the sender's signature.
    """

    number: int
    sender: ObjectId
    first_address: Address
    changes: tuple[KeyChange, ...]
    record: SignedRecord

    @property
    def signer(self) -> Address:
        """Whose signature the record has to bear."""
        return self.changes[-1].new_address if self.changes else self.first_address


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the receiver has.

    Attributes:
        through: Every message with a number up to this one is on the receiver's disk, or was refused by it.
        refused: The number of a message that it refused; 0 with reason NONE.
        reason: Why.
    """

    through: int
    refused: int = 0
    reason: Reason = Reason.NONE


def encode_delivery(delivery: Delivery) -> bytes:
    """The body of a DELIVERY frame.

    Raises:
        LocalProtocolError: A field has the wrong length or range.
    """
    _require(delivery.sender, OBJECT_ID_BYTES)
    _require(delivery.first_address, ADDRESS_BYTES)
    if len(delivery.changes) > KEY_CHANGES_MAX:
        raise LocalProtocolError(f"more than {KEY_CHANGES_MAX} changes of key do not fit a delivery")
    try:
        head = _HEAD.pack(delivery.number, delivery.sender, delivery.first_address, len(delivery.changes))
    except struct.error as exc:
        raise LocalProtocolError(f"a number of the delivery is out of range: {exc}") from exc
    return head + encode_changes(delivery.changes) + encode_items([delivery.record])


def _require(raw: bytes, length_bytes: int) -> None:
    # struct pads and cuts byte strings in silence.
    if len(raw) != length_bytes:
        raise LocalProtocolError(f"a field of the delivery has {len(raw)} bytes, not {length_bytes}")


def decode_delivery(body: bytes) -> Delivery:
    """Parse the body of a DELIVERY frame. Whether it is true, :func:`verify_delivery` says.

    Raises:
        DecodingError: Another layout.
    """
    reader = Reader(body)
    number, sender, first_address, count = _HEAD.unpack(reader.take(_HEAD.size))
    changes = KeyChange.decode_all(reader.take(count * CHANGE_BYTES))
    record, end = decode_signed_record(body, _HEAD.size + count * CHANGE_BYTES)
    reader.take(end - _HEAD.size - count * CHANGE_BYTES)
    reader.extensions()
    if not number:
        raise DecodingError("a delivery's number is above zero")
    return Delivery(number, ObjectId(sender), Address(first_address), changes, record)


def encode_receipt(receipt: Receipt) -> bytes:
    """The body of a RECEIPT frame. Raises LocalProtocolError for a number out of range."""
    try:
        return _RECEIPT.pack(receipt.through, receipt.refused, receipt.reason)
    except struct.error as exc:
        raise LocalProtocolError(f"a number of the receipt is out of range: {exc}") from exc


def decode_receipt(body: bytes) -> Receipt:
    """Parse the body of a RECEIPT frame.

    Raises:
        DecodingError: Another layout, an unknown reason, or a reason and a refused number that do not fit together.
    """
    reader = Reader(body)
    through, refused, code = _RECEIPT.unpack(reader.take(_RECEIPT.size))
    reader.extensions()
    try:
        reason = Reason(code)
    except ValueError as exc:
        raise DecodingError(f"{code} is no reason") from exc
    if (reason is Reason.NONE) is not (refused == 0) or refused > through:
        raise DecodingError("the refused number and its reason do not fit together")
    return Receipt(through, refused, reason)


def verify_delivery(delivery: Delivery, domain: TypedDataDomain, gid: GroupId, receiver: ObjectId) -> None:
    """Check, without believing the master, that the sender said this to this receiver.

    Raises:
        VerificationError: It is for somebody else, the address is not the sender's, a change of key is not signed by
            both keys, or the record is not signed by the sender.
    """
    if delivery.record.receiver != receiver or delivery.sender == receiver:
        raise VerificationError("the message is not for this device")
    if derive_object_id(delivery.first_address) != delivery.sender:
        raise VerificationError("the sender's first address does not give its oid")
    address = delivery.first_address
    for change in delivery.changes:
        digest = domain.rotation_digest(gid, delivery.sender, change.new_address, change.deadline_unix_s)
        verify_signature(digest, change.by_old, address)
        verify_signature(digest, change.by_new, change.new_address)
        address = change.new_address
    verify_record(delivery.record, domain, gid, delivery.sender, address)
