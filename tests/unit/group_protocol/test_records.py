import hashlib

import pytest

from group_protocol.errors import DecodingError, LocalProtocolError, VerificationError
from group_protocol.identifiers import ObjectId, Signature
from group_protocol.records import (
    CHECKPOINT_BYTES,
    RECORD_OVERHEAD_BYTES,
    Checkpoint,
    CheckpointPeriod,
    Item,
    SignedRecord,
    decode_items,
    encode_items,
    payload_hash,
    verify_checkpoint,
    verify_record,
)
from tests.support.records import (
    DEVICE,
    DEVICE_KEY,
    DOMAIN,
    GID,
    MASTER,
    OTHER_DOMAIN,
    OTHER_GID,
    STRANGER,
    STRANGER_KEY,
    make_checkpoint,
    make_checkpointed,
    make_period,
    make_signed,
    replace,
)

SIGNED = make_signed(5)
UNSIGNED = [make_checkpointed(seq) for seq in (6, 7, 9)]
CHECKPOINT = make_checkpoint(*UNSIGNED)
ALL: list[Item] = [SIGNED, *UNSIGNED, CHECKPOINT]


def test_signed_record_has_its_documented_layout() -> None:
    seq, epoch, length = (5).to_bytes(8, "big"), (1).to_bytes(8, "big"), len(SIGNED.payload).to_bytes(4, "big")
    assert encode_items([SIGNED]) == b"\x01" + MASTER + seq + epoch + length + SIGNED.payload + SIGNED.signature
    assert len(encode_items([SIGNED])) == RECORD_OVERHEAD_BYTES + len(SIGNED.payload)


def test_checkpointed_record_has_its_documented_layout() -> None:
    record = UNSIGNED[0]
    seq, epoch, length = (6).to_bytes(8, "big"), (1).to_bytes(8, "big"), len(record.payload).to_bytes(4, "big")
    assert encode_items([record]) == b"\x02" + MASTER + seq + epoch + length + record.payload


def test_checkpoint_has_its_documented_layout() -> None:
    numbers = b"".join(number.to_bytes(8, "big") for number in (6, 9, 1))
    assert encode_items([CHECKPOINT]) == b"\x03" + numbers + CHECKPOINT.running_hash + CHECKPOINT.signature
    assert len(encode_items([CHECKPOINT])) == CHECKPOINT_BYTES


def test_items_survive_their_layout_in_order() -> None:
    assert decode_items(encode_items(ALL)) == ALL


@pytest.mark.parametrize("item", [SIGNED, UNSIGNED[0], CHECKPOINT], ids=["signed", "checkpointed", "checkpoint"])
def test_item_cut_at_any_byte_raises_decoding_error(item: Item) -> None:
    raw = encode_items([item])
    for end in range(len(raw)):
        with pytest.raises(DecodingError):
            decode_items(raw[:end])


@pytest.mark.parametrize("kind", [0x00, 0x04, 0x12, 0xFF])
def test_unknown_kind_of_item_raises_decoding_error(kind: int) -> None:
    with pytest.raises(DecodingError):
        decode_items(bytes([kind]) + encode_items([SIGNED])[1:])


def test_each_kind_of_item_may_be_the_last() -> None:
    for item in ALL:
        assert decode_items(encode_items([item])) == [item]


def test_byte_after_the_last_item_raises_decoding_error() -> None:
    with pytest.raises(DecodingError):
        decode_items(encode_items(ALL) + b"\x00")


@pytest.mark.parametrize("length", [len(SIGNED.payload) + 1, 0xFFFFFFFF])
def test_payload_length_beyond_the_frame_raises_decoding_error(length: int) -> None:
    raw = encode_items([SIGNED])
    with pytest.raises(DecodingError):
        decode_items(raw[:33] + length.to_bytes(4, "big") + raw[37:])


WRONG_ITEMS: list[Item] = [
    replace(SIGNED, receiver=ObjectId(bytes(15))),
    replace(SIGNED, receiver=ObjectId(bytes(17))),
    replace(SIGNED, signature=Signature(bytes(63))),
    replace(SIGNED, signature=Signature(b"")),
    replace(SIGNED, seq=-1),
    replace(SIGNED, epoch=1 << 64),
    replace(UNSIGNED[0], receiver=ObjectId(b"")),
    replace(CHECKPOINT, running_hash=bytes(31)),
    replace(CHECKPOINT, running_hash=bytes(33)),
    replace(CHECKPOINT, signature=Signature(bytes(65))),
    replace(CHECKPOINT, last_seq=1 << 64),
]


@pytest.mark.parametrize("item", WRONG_ITEMS, ids=range(len(WRONG_ITEMS)))
def test_item_with_a_field_of_wrong_width_is_not_encoded(item: Item) -> None:
    with pytest.raises(LocalProtocolError):
        encode_items([item])


def test_payload_hash_is_sha256() -> None:
    assert payload_hash(b"abc") == hashlib.sha256(b"abc").digest()


def test_signed_record_verifies_against_its_signer() -> None:
    verify_record(SIGNED, DOMAIN, GID, DEVICE, DEVICE_KEY.address)


FLIPPED_SIGNATURES = [
    Signature(SIGNED.signature[:at] + bytes([SIGNED.signature[at] ^ 1]) + SIGNED.signature[at + 1 :])
    for at in (0, 31, 32, 63)
]
TAMPERED_RECORDS: dict[str, SignedRecord] = {
    "receiver": replace(SIGNED, receiver=STRANGER),
    "seq": replace(SIGNED, seq=6),
    "epoch": replace(SIGNED, epoch=2),
    "payload": replace(SIGNED, payload=SIGNED.payload + b"\0"),
    "empty payload": replace(SIGNED, payload=b""),
    "parity": replace(
        SIGNED,
        signature=Signature(SIGNED.signature[:32] + bytes([SIGNED.signature[32] ^ 0x80]) + SIGNED.signature[33:]),
    ),
    "zero signature": replace(SIGNED, signature=Signature(bytes(64))),
} | {f"signature {index}": replace(SIGNED, signature=value) for index, value in enumerate(FLIPPED_SIGNATURES)}


@pytest.mark.parametrize("record", TAMPERED_RECORDS.values(), ids=TAMPERED_RECORDS.keys())
def test_record_with_a_tampered_field_raises_verification_error(record: SignedRecord) -> None:
    with pytest.raises(VerificationError):
        verify_record(record, DOMAIN, GID, DEVICE, DEVICE_KEY.address)


def test_record_in_another_context_raises_verification_error() -> None:
    for domain, gid, sender, signer in (
        (OTHER_DOMAIN, GID, DEVICE, DEVICE_KEY.address),
        (DOMAIN, OTHER_GID, DEVICE, DEVICE_KEY.address),
        (DOMAIN, GID, STRANGER, DEVICE_KEY.address),
        (DOMAIN, GID, DEVICE, STRANGER_KEY.address),
    ):
        with pytest.raises(VerificationError):
            verify_record(SIGNED, domain, gid, sender, signer)


def test_running_hash_links_receiver_seq_and_payload_of_each_record() -> None:
    link = bytes(32)
    for record in UNSIGNED:
        digest = hashlib.sha256(record.payload).digest()
        link = hashlib.sha256(link + record.receiver + record.seq.to_bytes(8, "big") + digest).digest()
    period = make_period(*UNSIGNED)
    assert period == CheckpointPeriod(first_seq=6, last_seq=9, epoch=1, records=3, running_hash=link)


def test_running_hash_changes_with_each_part_and_with_order() -> None:
    first, second = UNSIGNED[:2]
    variants = [
        make_period(first, second),
        make_period(first),
        make_period(first, replace(second, seq=8)),
        make_period(first, replace(second, receiver=STRANGER)),
        make_period(first, replace(second, payload=b"")),
        make_period(replace(first, payload=second.payload), replace(second, payload=first.payload)),
    ]
    assert len({period.running_hash for period in variants}) == len(variants)


@pytest.mark.parametrize("seq", [0, 8, 9])
def test_period_does_not_take_a_record_that_comes_before_its_end(seq: int) -> None:
    with pytest.raises(LocalProtocolError):
        make_period(*UNSIGNED).extend(MASTER, seq, bytes(32))


def test_checkpoint_verifies_and_spans_its_own_records_only() -> None:
    verify_checkpoint(CHECKPOINT, DOMAIN, GID, DEVICE, DEVICE_KEY.address)
    assert make_period(*UNSIGNED).spans(CHECKPOINT)
    assert not make_period(*UNSIGNED[:2]).spans(CHECKPOINT)
    assert not make_period(*UNSIGNED[1:]).spans(CHECKPOINT)
    assert not make_period(*[replace(record, epoch=2) for record in UNSIGNED]).spans(CHECKPOINT)


TAMPERED_CHECKPOINTS: dict[str, Checkpoint] = {
    "first seq": replace(CHECKPOINT, first_seq=5),
    "last seq": replace(CHECKPOINT, last_seq=10),
    "epoch": replace(CHECKPOINT, epoch=2),
    "running hash": replace(CHECKPOINT, running_hash=bytes(32)),
    "signature r": replace(CHECKPOINT, signature=Signature(bytes(32) + CHECKPOINT.signature[32:])),
    "signature s": replace(CHECKPOINT, signature=Signature(CHECKPOINT.signature[:32] + bytes(32))),
}


@pytest.mark.parametrize("checkpoint", TAMPERED_CHECKPOINTS.values(), ids=TAMPERED_CHECKPOINTS.keys())
def test_checkpoint_with_a_tampered_field_raises_verification_error(checkpoint: Checkpoint) -> None:
    with pytest.raises(VerificationError):
        verify_checkpoint(checkpoint, DOMAIN, GID, DEVICE, DEVICE_KEY.address)


def test_checkpoint_in_another_context_raises_verification_error() -> None:
    for domain, gid, sender, signer in (
        (OTHER_DOMAIN, GID, DEVICE, DEVICE_KEY.address),
        (DOMAIN, OTHER_GID, DEVICE, DEVICE_KEY.address),
        (DOMAIN, GID, STRANGER, DEVICE_KEY.address),
        (DOMAIN, GID, DEVICE, STRANGER_KEY.address),
    ):
        with pytest.raises(VerificationError):
            verify_checkpoint(CHECKPOINT, domain, gid, sender, signer)
