from hypothesis import given
from hypothesis import strategies as st

from group_protocol.errors import DecodingError, Reason
from group_protocol.frames import (
    Ack,
    Close,
    Frame,
    Items,
    Open,
    Resume,
    decode_master_frame,
    decode_slave_frame,
    encode_frame,
)
from group_protocol.identifiers import ObjectId, Signature
from group_protocol.records import (
    Checkpoint,
    CheckpointedRecord,
    Item,
    SignedRecord,
    decode_items,
    encode_items,
)

U64 = st.integers(0, 2**64 - 1)
U32 = st.integers(0, 2**32 - 1)
OIDS = st.binary(min_size=16, max_size=16).map(ObjectId)
SIGNATURES = st.binary(min_size=64, max_size=64).map(Signature)
ITEMS: st.SearchStrategy[Item] = st.one_of(
    st.builds(SignedRecord, OIDS, U64, U64, st.binary(max_size=200), SIGNATURES),
    st.builds(CheckpointedRecord, OIDS, U64, U64, st.binary(max_size=200)),
    st.builds(Checkpoint, U64, U64, U64, st.binary(min_size=32, max_size=32), SIGNATURES),
)
ITEM_LISTS = st.lists(ITEMS, min_size=1, max_size=8)
SLAVE_FRAMES = st.one_of(
    st.just(Open()),
    ITEM_LISTS.map(lambda items: Items(tuple(items))),
    st.builds(Resume, U64),
    st.builds(Close, st.sampled_from(Reason)),
)


@st.composite
def acks(draw: st.DrawFn) -> Ack:
    last_seq, reason = draw(U64), draw(st.sampled_from(Reason))
    refused_seq = draw(U64) if reason else 0
    return Ack(last_seq, draw(st.integers(0, last_seq)), draw(U32), draw(U64), refused_seq, reason)


@given(ITEM_LISTS)
def test_items_survive_their_layout(items: list[Item]) -> None:
    assert decode_items(encode_items(items)) == items


@given(st.binary(max_size=400))
def test_bytes_are_refused_or_the_one_encoding_of_their_items(raw: bytes) -> None:
    try:
        items = decode_items(raw)
    except DecodingError:
        return
    assert encode_items(items) == raw


@given(ITEM_LISTS, st.data())
def test_items_cut_anywhere_are_refused_or_a_shorter_list(items: list[Item], data: st.DataObject) -> None:
    raw = encode_items(items)
    cut = raw[: data.draw(st.integers(0, len(raw) - 1))]
    try:
        assert decode_items(cut) == items[: len(decode_items(cut))]
    except DecodingError:
        assert cut not in [encode_items(items[:count]) for count in range(1, len(items))]


@given(SLAVE_FRAMES)
def test_slave_frame_survives_its_layout(frame: Open | Items | Resume | Close) -> None:
    assert decode_slave_frame(encode_frame(frame)) == frame


@given(acks())
def test_ack_survives_its_layout(ack: Ack) -> None:
    assert decode_master_frame(encode_frame(ack)) == ack


@given(st.sampled_from([0x01, 0x02, 0x03, 0x04, 0x12]), st.binary(max_size=300))
def test_any_bytes_are_refused_or_a_frame(kind: int, rest: bytes) -> None:
    raw = bytes([kind]) + rest
    for decode in (decode_slave_frame, decode_master_frame):
        try:
            frame: Frame = decode(raw)
        except DecodingError:
            continue
        assert isinstance(frame, Open) or encode_frame(frame) == raw
