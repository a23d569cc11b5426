from typing import Any

import cbor2
import pytest

from group_protocol.errors import DecodingError, LocalProtocolError
from group_protocol.limits import PAYLOAD_MAX_BYTES, READINGS_MAX
from group_protocol.senml import Reading, count_readings, decode_readings, encode_readings

T = 1_700_000_000


def dump(*entries: object) -> bytes:
    return bytes(cbor2.dumps(list(entries)))


def test_base_fields_hold_for_the_entries_that_follow() -> None:
    payload = dump(
        {-2: "urn:dev:mac:0024befffe804ff1/", -3: T, -4: "Cel", -5: 20, 0: "a", 2: 1.5},
        {0: "b", 6: 2, 1: "%RH", 2: -1},
        {-2: "other/", -3: T + 10, 0: "c", 6: -1, 2: 3},
    )
    assert decode_readings(payload) == [
        Reading("urn:dev:mac:0024befffe804ff1/a", T, 21.5, "Cel"),
        Reading("urn:dev:mac:0024befffe804ff1/b", T + 2, 19.0, "%RH"),
        Reading("other/c", T + 9, 23.0, "Cel"),
    ]


@pytest.mark.parametrize(("label", "value"), [(3, "on"), (3, ""), (4, True), (4, False), (8, b"\x00"), (8, b"")])
def test_value_may_be_text_truth_or_bytes(label: int, value: str | bool | bytes) -> None:
    assert decode_readings(dump({0: "a", 6: T, label: value})) == [Reading("a", T, value)]


def test_sum_stands_with_or_without_a_value_and_adds_its_base() -> None:
    readings = decode_readings(dump({0: "a", 6: T, 5: 2}, {0: "a", 6: T, -6: 10, 5: 2}, {0: "a", 6: T, 2: 1}))
    assert [reading.sum_value for reading in readings] == [2.0, 12.0, 10.0]
    assert [reading.value for reading in readings] == [None, None, 1.0]


def test_name_may_come_from_the_base_alone() -> None:
    assert decode_readings(dump({-2: "ppg", -3: T, 2: 1}))[0].name == "ppg"


@pytest.mark.parametrize("encoded", ["f93c00", "fa3f800000", "fb3ff0000000000000", "01", "1801", "1b0000000000000001"])
def test_number_in_any_width_is_the_same_float(encoded: str) -> None:
    (reading,) = decode_readings(b"\x81\xa3\x00\x61a\x06\x1a" + T.to_bytes(4, "big") + b"\x02" + bytes.fromhex(encoded))
    assert reading.value == 1.0
    assert type(reading.value) is float


def test_version_ten_and_update_time_are_taken() -> None:
    assert len(decode_readings(dump({-1: 10, 0: "a", 6: T, 7: 60, 2: 1}))) == 1


GOOD: dict[Any, Any] = {0: "a", 6: T, 2: 1}
WRONG_ENTRIES: dict[str, object] = {
    "no map": [1],
    "number": 1,
    "null": None,
    "empty map": {},
    "no name": {6: T, 2: 1},
    "empty name": {0: "", 6: T, 2: 1},
    "name begins with slash": GOOD | {0: "/a"},
    "name with space": GOOD | {0: "a b"},
    "name with newline": GOOD | {0: "a\n"},
    "name not ascii": GOOD | {0: "ä"},
    "name too long": GOOD | {0: "a" * 256},
    "name too long with base": GOOD | {-2: "a" * 255},
    "name of bytes": GOOD | {0: b"a"},
    "unit of number": GOOD | {1: 1},
    "no value": {0: "a", 6: T},
    "two values": GOOD | {4: True},
    "two other values": {0: "a", 6: T, 3: "x", 8: b"x"},
    "value of text": GOOD | {2: "1"},
    "value of truth": GOOD | {2: True},
    "value null": GOOD | {2: None},
    "value undefined": GOOD | {2: cbor2.undefined},
    "value simple": GOOD | {2: cbor2.CBORSimpleValue(99)},
    "value nested": GOOD | {2: [1]},
    "truth of number": {0: "a", 6: T, 4: 1},
    "text of bytes": {0: "a", 6: T, 3: b"x"},
    "bytes of text": {0: "a", 6: T, 8: "x"},
    "sum of text": GOOD | {5: "x"},
    "value nan": GOOD | {2: float("nan")},
    "value infinite": GOOD | {2: float("inf")},
    "value infinite with its base": GOOD | {2: 1.7e308, -5: 1.7e308},
    "sum infinite": GOOD | {5: float("-inf")},
    "time nan": GOOD | {6: float("nan")},
    "time infinite": GOOD | {6: float("inf")},
    "update time nan": GOOD | {7: float("nan")},
    "base value nan": {0: "a", 6: T, 3: "x", -5: float("nan")},
    "base sum infinite": {0: "a", 6: T, 3: "x", -6: float("inf")},
    "base time nan": GOOD | {-3: float("nan")},
    "time before 1970": GOOD | {6: -1},
    "time after 9999": GOOD | {6: 253_402_300_800},
    "version eleven": GOOD | {-1: 11},
    "version of float": GOOD | {-1: 10.0},
    "unknown label": GOOD | {9: 1},
    "unknown base label": GOOD | {-7: 1},
    "label of text": GOOD | {"n": "a"},
    "label of truth": {False: "a", 6: T, 2: 1},
    "label of float": {0.0: "a", 6: T, 2: 1},
    "label that must be understood": GOOD | {"x_": 1},
}


@pytest.mark.parametrize("entry", WRONG_ENTRIES.values(), ids=WRONG_ENTRIES.keys())
@pytest.mark.parametrize("place", [0, 1])
def test_wrong_entry_raises_decoding_error(entry: object, place: int) -> None:
    entries: list[object] = [GOOD]
    entries.insert(place, entry)
    with pytest.raises(DecodingError):
        decode_readings(dump(*entries))


ONE = dump(GOOD)
WRONG_BYTES = {
    "nothing": b"",
    "no array": dump(GOOD)[1:],
    "empty array": b"\x80",
    "second document": ONE + ONE,
    "byte too many": ONE + b"\x00",
    "break too many": ONE + b"\xff",
    "indefinite array": b"\x9f" + ONE[1:] + b"\xff",
    "indefinite map": b"\x81\xbf\x00\x61a\x06\x00\x02\x01\xff",
    "indefinite text": b"\x81\xa3\x00\x7f\x61a\xff\x06\x00\x02\x01",
    "label twice": b"\x81\xa4\x00\x61a\x06\x00\x02\x01\x02\x01",
    "label twice in two widths": b"\x81\xa4\x00\x61a\x06\x00\x02\x01\x18\x02\x01",
    "label twice as truth": b"\x81\xa4\x00\x61a\x06\x00\x02\x01\xf4\x61a",
    "text not utf-8": b"\x81\xa3\x00\x61\xff\x06\x00\x02\x01",
    "surrogate": b"\x81\xa3\x00\x63\xed\xa0\x80\x06\x00\x02\x01",
    "reserved length": b"\x81\xa3\x00\x7c\x06\x00\x02\x01",
    "nested deep": b"\x81" * 60_000,
    "maps nested deep": b"\xa1\x00" * 30_000,
    "array as label": b"\x81\xa1\x80\x01",
    "array of 2^63": b"\x9b\x7f" + b"\xff" * 7,
    "array of 2^32": b"\x9a" + b"\xff" * 4 + ONE[1:],
    "map of 2^63": b"\x81\xbb\x7f" + b"\xff" * 7,
    "text of 2^63": b"\x81\xa1\x00\x7b\x7f" + b"\xff" * 7,
    "bytes of 2^32": b"\x81\xa1\x08\x5a" + b"\xff" * 4,
}


@pytest.mark.parametrize("payload", WRONG_BYTES.values(), ids=WRONG_BYTES.keys())
def test_bytes_that_are_no_strict_cbor_raise_decoding_error(payload: bytes) -> None:
    with pytest.raises(DecodingError):
        decode_readings(payload)


TAGS = [0, 1, 2, 3, 4, 5, 21, 24, 25, 28, 29, 30, 32, 35, 36, 37, 43, 52, 100, 256, 258, 260, 1004, 43_000, 55_799]


@pytest.mark.parametrize("tag", [*TAGS, 2**32 - 1])
@pytest.mark.parametrize("content", [b"\x41\x05", b"\x61a", b"\x01"])
def test_any_tag_anywhere_raises_decoding_error(tag: int, content: bytes) -> None:
    head = b"\xda" + tag.to_bytes(4, "big")
    for payload in (
        head + ONE,
        b"\x81" + head + ONE[1:],
        b"\x81\xa3\x00\x61a\x06\x00\x02" + head + content,
        b"\x81\xa3" + head + b"\x00" + b"\x61a\x06\x00\x02\x01",
    ):
        with pytest.raises(DecodingError):
            decode_readings(payload)


def test_payload_cut_at_any_byte_raises_decoding_error() -> None:
    for end in range(len(ONE)):
        with pytest.raises(DecodingError):
            decode_readings(ONE[:end])


def test_number_of_readings_is_bounded() -> None:
    assert len(decode_readings(dump(*[GOOD] * READINGS_MAX))) == READINGS_MAX
    with pytest.raises(DecodingError):
        decode_readings(dump(*[GOOD] * (READINGS_MAX + 1)))


def test_payload_longer_than_asked_for_raises_decoding_error() -> None:
    assert decode_readings(ONE, max_bytes=len(ONE))
    with pytest.raises(DecodingError):
        decode_readings(ONE, max_bytes=len(ONE) - 1)
    with pytest.raises(DecodingError):
        decode_readings(dump(GOOD | {3: "x" * PAYLOAD_MAX_BYTES}))


# The encoder


def test_shared_name_time_and_unit_are_written_once() -> None:
    readings = [Reading(f"ward/{name}", T + at, 60.0 + at, "1/min") for at, name in enumerate(["hr", "hr2", "spo"])]
    assert cbor2.loads(encode_readings(readings)) == [
        {-2: "ward/", -3: T, -4: "1/min", 0: "hr", 2: 60},
        {0: "hr2", 6: 1, 2: 61},
        {0: "spo", 6: 2, 2: 62},
    ]


def test_one_sensor_has_its_name_in_the_base_alone() -> None:
    assert cbor2.loads(encode_readings([Reading("ppg", T, 0.5), Reading("ppg", T + 0.25, 1.0)])) == [
        {-2: "ppg", -3: T, 2: 0.5},
        {6: 0.25, 2: 1},
    ]


def test_unit_is_written_each_time_if_one_reading_has_none() -> None:
    readings = [Reading("a", T, 1.0, "Cel"), Reading("b", T, 2.0)]
    assert decode_readings(encode_readings(readings)) == readings
    assert -4 not in cbor2.loads(encode_readings(readings))[0]


def test_hundred_samples_of_one_sensor_stay_small() -> None:
    readings = [Reading("ppg", 1_700_000_000.01 + at / 100, float(500 + at), "1") for at in range(100)]
    assert len(encode_readings(readings)) < 1_200


def test_time_that_an_offset_cannot_give_exactly_gets_a_base_of_its_own() -> None:
    readings = [Reading("a", 0.1, 1.0), Reading("a", 1_700_000_000.3, 2.0), Reading("a", 0.3, 3.0)]
    assert decode_readings(encode_readings(readings)) == readings


def test_encoding_is_the_same_for_the_same_readings() -> None:
    readings = [
        Reading("a", T + 0.1, 1.5, "V", 2.0),
        Reading("b", T, "x"),
        Reading("c", T, b"y"),
        Reading("d", T, True),
    ]
    assert encode_readings(readings) == encode_readings(list(readings))
    assert decode_readings(encode_readings(readings)) == readings


UNWRITABLE = {
    "none": [],
    "too many": [Reading("a", T, 1.0)] * (READINGS_MAX + 1),
    "no name": [Reading("", T, 1.0)],
    "bad name": [Reading("a b", T, 1.0)],
    "nan": [Reading("a", T, float("nan"))],
    "infinite": [Reading("a", T, float("inf"))],
    "time nan": [Reading("a", float("nan"), 1.0)],
    "second time nan": [Reading("a", T, 1.0), Reading("a", float("nan"), 1.0)],
    "time negative": [Reading("a", -1, 1.0)],
    "nothing": [Reading("a", T, None)],
    "integer that no float holds": [Reading("a", T, 2**53 + 1)],
    "too large": [Reading("a", T, "x" * PAYLOAD_MAX_BYTES)],
}


@pytest.mark.parametrize("readings", UNWRITABLE.values(), ids=UNWRITABLE.keys())
def test_readings_that_could_not_be_read_again_are_not_written(readings: list[Reading]) -> None:
    with pytest.raises(LocalProtocolError):
        encode_readings(readings)


def test_counting_many_payloads_stops_at_the_first_that_is_refused() -> None:
    one, three = (encode_readings([Reading("a", float(at), 1.0) for at in range(count)]) for count in (1, 3))
    assert count_readings([]) == []
    assert count_readings([one, three, one]) == [1, 3, 1]
    assert count_readings([one, b"\x80", three]) == [1, 0]


def test_payload_that_borrows_from_the_one_behind_it_is_refused() -> None:
    payload = encode_readings([Reading("a", 1.0, 1.0)])
    for cut in range(len(payload)):
        assert count_readings([payload[:cut], payload[cut:], payload]) == [0]
    assert count_readings([payload + payload[:1], payload[1:]]) == [0]


def test_payload_that_comes_alone_is_counted_right_after_any_bad_one() -> None:
    good = encode_readings([Reading("ppg", 1_700_000_000.0, 1.0), Reading("ppg", 1_700_000_001.0, 2.0)])
    assert count_readings([good]) == [2]
    for bad in (b"", good[:-1], good + b"\0", good + good, b"\x81\xc0\xa0", b"\x9f\xff", b"\x80", bytes(70_000)):
        assert count_readings([bad]) == [0], bad
        assert count_readings([good]) == [2], bad
