from collections.abc import Callable

import pytest

from group_protocol.errors import DecodingError, LocalProtocolError, Reason, VerificationError
from group_protocol.identifiers import Address
from group_protocol.peer_messages import (
    KEY_CHANGES_MAX,
    Delivery,
    Receipt,
    decode_delivery,
    decode_receipt,
    encode_delivery,
    encode_receipt,
    verify_delivery,
)
from group_protocol.records import encode_items, sign_record
from tests.support.peer_messages import make_change, make_delivery, sender_key
from tests.support.records import (
    DEVICE,
    DEVICE_KEY,
    DOMAIN,
    GID,
    OTHER_DOMAIN,
    OTHER_GID,
    PEER,
    STRANGER,
    STRANGER_KEY,
    make_checkpointed,
    make_payload,
    replace,
)

GOOD = make_delivery(3)
ROTATED = make_delivery(3, changes=2)


@pytest.mark.parametrize("changes", [0, 1, 2])
def test_true_message_is_believed_over_every_change_of_the_senders_key(changes: int) -> None:
    delivery = make_delivery(3, changes=changes)
    assert delivery.signer == sender_key(changes).address
    verify_delivery(delivery, DOMAIN, GID, PEER)


def test_delivery_has_its_documented_bytes() -> None:
    encoded = encode_delivery(ROTATED)
    first = ROTATED.changes[0]
    assert encoded[:45] == (7).to_bytes(8, "big") + DEVICE + DEVICE_KEY.address + b"\x02"
    assert encoded[45:201] == (
        first.new_address + first.deadline_unix_s.to_bytes(8, "big") + first.by_old + first.by_new
    )
    assert encoded[45 + 2 * 156 :] == encode_items([ROTATED.record])


STRANGERS_RECORD = sign_record(STRANGER_KEY, DOMAIN, GID, STRANGER, PEER, 3, 1, make_payload(3))
LIES: dict[str, Callable[[], Delivery]] = {
    "payload altered": lambda: replace(GOOD, record=replace(GOOD.record, payload=make_payload(4))),
    "seq altered": lambda: replace(GOOD, record=replace(GOOD.record, seq=4)),
    "epoch altered": lambda: replace(GOOD, record=replace(GOOD.record, epoch=2)),
    "another sender named": lambda: replace(GOOD, sender=STRANGER),
    "another sender named with its own address": lambda: replace(
        GOOD, sender=STRANGER, first_address=STRANGER_KEY.address
    ),
    "somebody else's record under the sender's name": lambda: replace(GOOD, record=STRANGERS_RECORD),
    "somebody else's record and address under the sender's name": lambda: replace(
        GOOD, record=STRANGERS_RECORD, first_address=STRANGER_KEY.address
    ),
    "change of key left out": lambda: replace(ROTATED, changes=ROTATED.changes[:1]),
    "changes of key reordered": lambda: replace(ROTATED, changes=ROTATED.changes[::-1]),
    "change of key not signed by the old key": lambda: replace(
        ROTATED, changes=(replace(ROTATED.changes[0], by_old=ROTATED.changes[0].by_new), ROTATED.changes[1])
    ),
    "change of key not signed by the new key": lambda: replace(
        ROTATED, changes=(ROTATED.changes[0], replace(ROTATED.changes[1], by_new=ROTATED.changes[1].by_old))
    ),
    "change of key to an invented address": lambda: replace(
        GOOD, changes=(replace(make_change(0), new_address=Address(b"a" * 20)),)
    ),
    "message of the receiver itself": lambda: replace(GOOD, sender=PEER),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_master_that_lies_about_a_message_is_not_believed(lie: Callable[[], Delivery]) -> None:
    with pytest.raises(VerificationError):
        verify_delivery(lie(), DOMAIN, GID, PEER)


def test_message_for_somebody_else_or_of_another_group_or_chain_is_not_believed() -> None:
    for domain, gid, receiver in ((DOMAIN, GID, STRANGER), (DOMAIN, OTHER_GID, PEER), (OTHER_DOMAIN, GID, PEER)):
        with pytest.raises(VerificationError):
            verify_delivery(GOOD, domain, gid, receiver)


@pytest.mark.parametrize("length", range(0, len(encode_delivery(ROTATED)), 7))
def test_delivery_cut_short_is_refused(length: int) -> None:
    with pytest.raises(DecodingError):
        decode_delivery(encode_delivery(ROTATED)[:length])


def test_extensions_of_delivery_and_receipt_follow_the_pages_rule() -> None:
    harmless, critical = bytes.fromhex("0001 0002 abcd"), bytes.fromhex("8000 0000")
    assert decode_delivery(encode_delivery(GOOD) + harmless) == GOOD
    assert decode_receipt(encode_receipt(Receipt(1)) + harmless) == Receipt(1)
    for decode, encoded in ((decode_delivery, encode_delivery(GOOD)), (decode_receipt, encode_receipt(Receipt(1)))):
        with pytest.raises(DecodingError):
            decode(encoded + critical)


def test_delivery_of_a_checkpointed_record_or_without_a_number_is_refused() -> None:
    head = encode_delivery(GOOD)[:45]
    with pytest.raises(DecodingError):
        decode_delivery(head + encode_items([make_checkpointed(3)]))
    with pytest.raises(DecodingError):
        decode_delivery(bytes(8) + encode_delivery(GOOD)[8:])


@pytest.mark.parametrize(
    "receipt",
    [Receipt(3, 0, Reason.BAD_SIGNATURE), Receipt(3, 2, Reason.NONE), Receipt(3, 4, Reason.BAD_SIGNATURE)],
)
def test_receipt_whose_refusal_makes_no_sense_is_refused(receipt: Receipt) -> None:
    with pytest.raises(DecodingError):
        decode_receipt(encode_receipt(receipt))


def test_receipt_with_an_unknown_reason_is_refused() -> None:
    with pytest.raises(DecodingError):
        decode_receipt(encode_receipt(Receipt(3, 2, Reason.BAD_SIGNATURE))[:-1] + b"\xff")


def test_values_that_fit_no_delivery_are_our_own_mistake() -> None:
    change = make_change(0)
    for delivery in (
        replace(GOOD, number=1 << 64),
        replace(GOOD, first_address=Address(b"short")),
        replace(GOOD, changes=(change,) * (KEY_CHANGES_MAX + 1)),
        replace(GOOD, changes=(replace(change, new_address=Address(b"short")),)),
    ):
        with pytest.raises(LocalProtocolError):
            encode_delivery(delivery)
    with pytest.raises(LocalProtocolError):
        encode_receipt(Receipt(1 << 64))


def test_delivery_holds_as_many_changes_of_key_as_its_count_can_say() -> None:
    full = replace(GOOD, changes=(make_change(0),) * KEY_CHANGES_MAX)
    assert decode_delivery(encode_delivery(full)) == full


def test_receipt_may_refuse_the_last_message_that_it_covers() -> None:
    receipt = Receipt(3, 3, Reason.BAD_SIGNATURE)
    assert decode_receipt(encode_receipt(receipt)) == receipt
