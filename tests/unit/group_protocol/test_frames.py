import pytest

from group_protocol.errors import DecodingError, LocalProtocolError, Reason
from group_protocol.frames import (
    Ack,
    Close,
    Frame,
    Items,
    MasterFrame,
    Open,
    Resume,
    SlaveFrame,
    decode_master_frame,
    decode_slave_frame,
    encode_frame,
)
from group_protocol.limits import FRAME_MAX_BYTES
from group_protocol.peer_messages import Receipt
from group_protocol.records import encode_items
from tests.support.peer_messages import make_delivery
from tests.support.records import make_checkpoint, make_checkpointed, make_signed

ITEMS = Items((make_signed(1), make_checkpointed(2), make_checkpoint(make_checkpointed(2))))
ACK = Ack(9, 7, 65_536, 3, 10, Reason.STALE_EPOCH)
SLAVE_FRAMES: dict[str, SlaveFrame] = {
    "open": Open(),
    "items": ITEMS,
    "resume": Resume(10),
    "close": Close(Reason.SHUTTING_DOWN),
    "receipt": Receipt(12),
    "receipt of a refusal": Receipt(12, 11, Reason.BAD_SIGNATURE),
}
MASTER_FRAMES: dict[str, MasterFrame] = {
    "ack": ACK,
    "clean ack": Ack(9, 9, 0, 1),
    "close": Close(Reason.REPLACED),
    "delivery": make_delivery(3),
    "delivery after changes of key": make_delivery(4, changes=2),
}


@pytest.mark.parametrize("frame", SLAVE_FRAMES.values(), ids=SLAVE_FRAMES.keys())
def test_slave_frame_survives_its_layout(frame: SlaveFrame) -> None:
    assert decode_slave_frame(encode_frame(frame)) == frame


@pytest.mark.parametrize("frame", MASTER_FRAMES.values(), ids=MASTER_FRAMES.keys())
def test_master_frame_survives_its_layout(frame: MasterFrame) -> None:
    assert decode_master_frame(encode_frame(frame)) == frame


@pytest.mark.parametrize(
    ("frame", "raw"),
    [
        (Open(), "01"),
        (Resume(10), "03" + "000000000000000a"),
        (Close(Reason.SHUTTING_DOWN), "04" + "0027"),
        (Receipt(12, 11, Reason.BAD_SIGNATURE), "05" + "000000000000000c" + "000000000000000b" + "0002"),
        (
            ACK,
            "1200000000000000090000000000000007000100000000000000000003000000000000000a000c",
        ),
    ],
)
def test_frame_has_its_documented_bytes(frame: Frame, raw: str) -> None:
    assert encode_frame(frame).hex() == raw


def test_items_frame_is_its_type_and_the_items() -> None:
    assert encode_frame(ITEMS) == b"\x02" + encode_items(ITEMS.items)


@pytest.mark.parametrize("name", ["items", "resume", "close"])
def test_slave_frame_cut_at_any_byte_raises_decoding_error(name: str) -> None:
    first_item_bytes = len(encode_items(ITEMS.items[:1]))
    raw = encode_frame(SLAVE_FRAMES[name])
    ends = range(1 + first_item_bytes if name == "items" else len(raw))
    for end in ends:
        with pytest.raises(DecodingError):
            decode_slave_frame(raw[:end])


@pytest.mark.parametrize("frame", MASTER_FRAMES.values(), ids=MASTER_FRAMES.keys())
def test_master_frame_cut_or_lengthened_raises_decoding_error(frame: MasterFrame) -> None:
    raw = encode_frame(frame)
    for wrong in (*(raw[:end] for end in range(len(raw))), raw + b"\0"):
        with pytest.raises(DecodingError):
            decode_master_frame(wrong)


@pytest.mark.parametrize("name", ["items", "resume", "close", "open"])
def test_slave_frame_with_a_byte_too_many_raises_decoding_error(name: str) -> None:
    with pytest.raises(DecodingError):
        decode_slave_frame(encode_frame(SLAVE_FRAMES[name]) + b"\0")


@pytest.mark.parametrize("frame", [Open(), ITEMS, Resume(1)])
def test_frame_of_a_slave_is_refused_from_a_master(frame: SlaveFrame) -> None:
    with pytest.raises(DecodingError):
        decode_master_frame(encode_frame(frame))


def test_ack_is_refused_from_a_slave() -> None:
    with pytest.raises(DecodingError):
        decode_slave_frame(encode_frame(ACK))


@pytest.mark.parametrize("kind", [0x00, 0x05, 0x11, 0x13, 0xFF])
def test_unknown_type_is_refused_from_both(kind: int) -> None:
    for decode in (decode_slave_frame, decode_master_frame):
        with pytest.raises(DecodingError):
            decode(bytes([kind]) + bytes(38))


def test_open_with_unknown_extension_is_taken_and_with_critical_one_refused() -> None:
    assert decode_slave_frame(b"\x01\x00\x07\x00\x01a") == Open()
    with pytest.raises(DecodingError):
        decode_slave_frame(b"\x01\x80\x07\x00\x01a")


def test_items_frame_without_items_is_neither_encoded_nor_decoded() -> None:
    with pytest.raises(LocalProtocolError):
        encode_frame(Items(()))
    with pytest.raises(DecodingError):
        decode_slave_frame(b"\x02")


@pytest.mark.parametrize("decode", [decode_slave_frame, decode_master_frame])
def test_close_with_unknown_reason_raises_decoding_error(decode: type) -> None:
    with pytest.raises(DecodingError):
        decode(b"\x04\x03\xe7")


def test_ack_with_unknown_reason_raises_decoding_error() -> None:
    with pytest.raises(DecodingError):
        decode_master_frame(encode_frame(ACK)[:-2] + b"\x03\xe7")


def test_ack_that_contradicts_itself_raises_decoding_error() -> None:
    for ack in (Ack(last_seq=4, evidence_seq=5, credit_bytes=0, epoch=1), Ack(4, 4, 0, 1, refused_seq=5)):
        with pytest.raises(DecodingError):
            decode_master_frame(encode_frame(ack))


@pytest.mark.parametrize("frame", [Ack(-1, 0, 0, 1), Ack(1, 1, 1 << 32, 1), Resume(1 << 64)])
def test_frame_with_a_number_out_of_range_is_not_encoded(frame: Frame) -> None:
    with pytest.raises(LocalProtocolError):
        encode_frame(frame)


def test_frame_longer_than_the_limit_is_neither_encoded_nor_decoded() -> None:
    record = make_signed(1, payload=bytes(60_000))
    with pytest.raises(LocalProtocolError):
        encode_frame(Items((record,) * 4))
    with pytest.raises(DecodingError):
        decode_slave_frame(b"\x02" + encode_items([record] * 4))


def test_frame_of_exactly_the_largest_size_passes_and_a_longer_one_does_not() -> None:
    room = FRAME_MAX_BYTES - len(encode_frame(Items((make_signed(1, payload=b""),))))
    largest = encode_frame(Items((make_signed(1, payload=bytes(room)),)))
    assert len(largest) == FRAME_MAX_BYTES
    assert isinstance(decode_slave_frame(largest), Items)
    with pytest.raises(DecodingError):
        decode_slave_frame(largest + b"\x00")
    with pytest.raises(LocalProtocolError):
        encode_frame(Items((make_signed(1, payload=bytes(room + 1)),)))
