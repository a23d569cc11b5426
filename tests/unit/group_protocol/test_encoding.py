import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from group_protocol.encoding import (
    JsonValue,
    Reader,
    b64decode,
    b64encode,
    dump_json_object,
    lp,
    lp_list,
    parse_json_object,
    u16,
)
from group_protocol.errors import DecodingError


def test_length_prefixes_keep_fields_apart() -> None:
    assert lp(b"ab", b"c") == b"\0\0\0\x02ab\0\0\0\x01c"
    assert lp(b"ab", b"c") != lp(b"a", b"bc")
    assert lp_list(["H1", "E1"]) == lp(b"H1", b"E1")


@pytest.mark.parametrize("raw", [b"", b"a", b"ab", b"abc", bytes(range(256))])
def test_base64url_round_trip(raw: bytes) -> None:
    assert b64decode(b64encode(raw)) == raw


@pytest.mark.parametrize(
    "text",
    [
        "YQ==",
        "YQ=",
        "Y",
        "YR",
        "YWK",
        "YWI\n",
        "YWJj\n\n\n\n",
        "    YWJj",
        "YW!!!!Jj",
        " YWI",
        "YW I",
        "Y+",
        "Y/",
        "ÿÿ",
        "YWJj\0",
        "YWJ=",
        "=",
        "\N{FULLWIDTH LATIN CAPITAL LETTER Y}Q",
    ],
)
def test_base64url_in_any_other_form_is_refused(text: str) -> None:
    with pytest.raises(DecodingError):
        b64decode(text)


def test_flat_object_is_parsed() -> None:
    body = b' {"v": 1, "suites": ["H1"], "aeads": ["A"], "sn": "\\u0041"} '
    assert parse_json_object(body, max_bytes=100) == {"v": 1, "suites": ["H1"], "aeads": ["A"], "sn": "A"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"a":1,"a":1}',
        b'{"a":{}}',
        b'{"a":[[1]]}',
        b'{"a":[1]}',
        b'{"a":["x"],"b":["x"],"c":["x"]}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":-1}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":true}',
        b'{"a":null}',
        b'{"a":1}x',
        b'{"a":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":' + b"9" * 90 + b"}",
        b"[" * 90,
        b'{"a":1' + b" " * 100 + b"}",
    ],
)
def test_body_that_is_no_flat_object_is_refused(body: bytes) -> None:
    with pytest.raises(DecodingError):
        parse_json_object(body, max_bytes=100)


def test_deeply_nested_body_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(DecodingError, match="flat"):
        parse_json_object(b'{"a":' + b"[" * 8_000, max_bytes=8_192)


def test_reader_reads_to_the_end_and_not_beyond() -> None:
    reader = Reader(bytes(range(15)))
    assert (reader.u8(), reader.u16(), reader.u32(), reader.u64()) == (0, 0x0102, 0x03040506, 0x0708090A0B0C0D0E)
    reader.end()
    with pytest.raises(DecodingError):
        reader.u8()


def test_bytes_left_over_are_refused() -> None:
    with pytest.raises(DecodingError, match="too many"):
        Reader(b"x").end()


def test_unknown_extension_is_passed_over_and_a_critical_one_refused() -> None:
    Reader(u16(1) + u16(2) + b"xx" + u16(2) + u16(0)).extensions()
    with pytest.raises(DecodingError, match="critical"):
        Reader(u16(0x8000) + u16(0)).extensions()


@pytest.mark.parametrize("raw", [b"\0", b"\0\1\0", b"\0\1\0\2x", b"\0\2\0\0\0\1\0\0", b"\0\1\0\0\0\1\0\0"])
def test_extensions_cut_short_or_out_of_order_are_refused(raw: bytes) -> None:
    with pytest.raises(DecodingError):
        Reader(raw).extensions()


def test_integer_beyond_what_every_json_library_keeps_exact_is_refused() -> None:
    assert parse_json_object(b'{"a":9007199254740991}', max_bytes=100) == {"a": 2**53 - 1}
    for number in (b"9007199254740992", b"10000000000000000", b"-1"):
        with pytest.raises(DecodingError):
            parse_json_object(b'{"a":' + number + b"}", max_bytes=100)


def test_extension_of_type_zero_is_passed_over() -> None:
    Reader(bytes.fromhex("0000 0001 ff 0001 0000")).extensions()


def test_body_of_exactly_the_largest_size_is_read() -> None:
    assert parse_json_object(b'{"a":1}', max_bytes=7) == {"a": 1}
    with pytest.raises(DecodingError):
        parse_json_object(b'{"a":1}', max_bytes=6)


@pytest.mark.parametrize("text", ["AAAX", "AAXX", "XXXX"])
def test_base64url_may_end_in_any_letter(text: str) -> None:
    assert b64encode(b64decode(text)) == text


FLAT = st.dictionaries(
    st.text(max_size=8), st.text() | st.integers(0, 2**53 - 1) | st.lists(st.text(max_size=6), max_size=3), max_size=6
)


@given(FLAT)
def test_body_is_written_as_the_standard_library_writes_it(fields: dict[str, JsonValue]) -> None:
    assert dump_json_object(fields) == json.dumps(fields, separators=(",", ":")).encode("ascii")
