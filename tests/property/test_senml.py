import string

import cbor2
from hypothesis import given
from hypothesis import strategies as st

from group_protocol.errors import DecodingError
from group_protocol.limits import READING_TIME_LIMIT_S
from group_protocol.senml import Reading, count_readings, decode_readings, encode_readings

FINITE = st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.one_of(
    st.floats(0, READING_TIME_LIMIT_S, exclude_max=True),
    st.integers(1_700_000_000_000, 1_700_000_010_000).map(lambda milliseconds: milliseconds / 1_000),
)
NAMES = st.builds(
    str.__add__,
    st.sampled_from(string.ascii_letters + string.digits),
    st.text(string.ascii_letters + string.digits + "-:./_", max_size=20),
)
VALUES = st.one_of(FINITE, st.booleans(), st.text(max_size=10), st.binary(max_size=10))
UNITS = st.none() | st.sampled_from(["Cel", "1", "%RH", "beat/min"])
READINGS = st.one_of(
    st.builds(Reading, NAMES, TIMES, VALUES, UNITS, st.none() | FINITE),
    st.builds(Reading, NAMES, TIMES, st.none(), UNITS, FINITE),
)
SCALARS = st.one_of(
    st.integers(-(2**64), 2**64 - 1), st.floats(), st.booleans(), st.none(), st.text(max_size=5), st.binary(max_size=5)
)
ENTRIES = st.dictionaries(st.integers(-7, 9) | SCALARS, SCALARS | st.lists(SCALARS, max_size=2), max_size=6)


@given(st.lists(READINGS, min_size=1, max_size=20))
def test_readings_come_back_equal_whatever_they_share(readings: list[Reading]) -> None:
    decoded = decode_readings(encode_readings(readings))
    assert decoded == readings
    assert [type(reading.value) for reading in decoded] == [type(reading.value) for reading in readings]


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_readings(raw: bytes) -> None:
    assert_refused_or_sound(raw)


@given(st.lists(ENTRIES, min_size=1, max_size=4))
def test_any_maps_are_refused_or_readings(entries: list[dict[object, object]]) -> None:
    assert_refused_or_sound(cbor2.dumps(entries))


@given(st.lists(READINGS, min_size=1, max_size=5), st.data())
def test_payload_with_any_byte_changed_is_refused_or_readings(readings: list[Reading], data: st.DataObject) -> None:
    payload = bytearray(encode_readings(readings))
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    assert_refused_or_sound(bytes(payload))


def assert_refused_or_sound(payload: bytes) -> None:
    try:
        readings = decode_readings(payload)
    except DecodingError:
        return
    assert readings
    # Whatever was taken can be written and read again: names, times and numbers are within their bounds.
    assert decode_readings(encode_readings(readings)) == readings


PAYLOADS = st.one_of(
    st.binary(max_size=60),
    st.lists(ENTRIES, min_size=1, max_size=2).map(cbor2.dumps),
    st.lists(READINGS, min_size=1, max_size=3).map(encode_readings),
)


@given(st.lists(PAYLOADS, max_size=6))
def test_counting_agrees_with_decoding_one_by_one(payloads: list[bytes]) -> None:
    expected: list[int] = []
    for payload in payloads:
        try:
            expected.append(len(decode_readings(payload)))
        except DecodingError:
            expected.append(0)
            break
    assert count_readings(payloads) == expected
