"""The writer of CBOR against cbor2's canonical mode."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from group_protocol.cbor import array_head, encode_bytes, encode_number, encode_text, encode_truth, map_head

WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
EDGES = [0, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**53 - 1]
FLOATS = [
    0.5,
    65_504.5,
    65_520.5,
    5.960464477539063e-08,
    3.4028234663852886e38,
    3.5e38,
    1e-45,
    5e-324,
    1.1,
    2.0**53,
    2.0**60,
]


@given(WHOLE)
def test_whole_number_is_written_as_the_shortest_integer(number: int) -> None:
    assert encode_number(number) == encode_number(float(number)) == cbor2.dumps(number, canonical=True)


@pytest.mark.parametrize("number", [*EDGES, *(-1 - edge for edge in EDGES[:-1])])
def test_number_at_the_edge_of_a_width_is_written_as_cbor2_does(number: int) -> None:
    assert encode_number(number) == cbor2.dumps(number, canonical=True)


@given(
    st.one_of(
        st.floats(allow_nan=False, allow_infinity=False),
        st.floats(allow_nan=False, allow_infinity=False, width=32),
        st.floats(allow_nan=False, allow_infinity=False, width=16),
    )
)
def test_float_is_written_in_the_shortest_width_that_equals_it(number: float) -> None:
    is_whole = abs(number) < 2**53 and number == int(number)
    assert encode_number(number) == cbor2.dumps(int(number) if is_whole else number, canonical=True)


@pytest.mark.parametrize("number", [*FLOATS, *(-number for number in FLOATS)])
def test_float_at_the_edge_of_a_width_is_written_as_cbor2_does(number: float) -> None:
    assert encode_number(number) == cbor2.dumps(number, canonical=True)


@given(st.text(max_size=300), st.binary(max_size=300), st.booleans())
def test_text_bytes_and_truth_are_written_as_cbor2_does(text: str, raw: bytes, truth: bool) -> None:
    assert encode_text(text) == cbor2.dumps(text)
    assert encode_bytes(raw) == cbor2.dumps(raw)
    assert encode_truth(truth) == cbor2.dumps(truth)


@pytest.mark.parametrize("count", [0, 1, 23, 24, 1_024])
def test_heads_count_what_follows(count: int) -> None:
    items = [0] * count
    assert array_head(count) + bytes(count) == cbor2.dumps(items)
    pairs = dict.fromkeys(range(min(count, 24)), 0)
    assert map_head(len(pairs)) + b"".join(bytes((number, 0)) for number in pairs) == cbor2.dumps(pairs)


def test_lone_surrogate_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        encode_text("\ud800")
