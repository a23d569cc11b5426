"""Writes the few kinds of CBOR that payloads hold, shortest form first (RFC 8949 §4.2.1).

cbor2 in its canonical mode gives the same bytes, but took 237 µs for a hundred readings, three times its plain mode and
nearly half of the time of a payload (``docs/benchmarks.md``). Its decoder is fast, and strict, and stays in use.
"""

import struct
from typing import Final

_UNSIGNED: Final = 0x00
_NEGATIVE: Final = 0x20
_BYTES: Final = 0x40
_TEXT: Final = 0x60
_ARRAY: Final = 0x80
_MAP: Final = 0xA0
_DIRECT_MAX: Final = 23
_HEAD_LIMIT: Final = 1 << 64
_WIDTHS: Final = tuple(
    (1 << (8 * size), code, struct.Struct(layout))
    for size, code, layout in ((1, 24, ">BB"), (2, 25, ">BH"), (4, 26, ">BI"), (8, 27, ">BQ"))
)
_HALF: Final = struct.Struct(">Be")
_SINGLE: Final = struct.Struct(">Bf")
_DOUBLE: Final = struct.Struct(">Bd")
_SINGLE_ALONE: Final = struct.Struct(">f")
_HALF_ALONE: Final = struct.Struct(">e")
_HALF_MAX: Final = 65_504.0
_SINGLE_MAX: Final = 3.4028234663852886e38
_TRUE: Final = b"\xf5"
_FALSE: Final = b"\xf4"
_INTEGER_LIMIT: Final = 1 << 53


def _head(major: int, argument: int) -> bytes:
    if argument <= _DIRECT_MAX:
        return bytes((major | argument,))
    for limit, code, layout in _WIDTHS:
        if argument < limit:
            return layout.pack(major | code, argument)
    raise OverflowError(f"{argument} needs more than 64 bits")


def encode_number(number: float) -> bytes:
    """A finite number: as an integer where that says the same (below 2^53), else the shortest float that equals it."""
    if -_INTEGER_LIMIT < number < _INTEGER_LIMIT and (whole := int(number)) == number:
        return _head(_UNSIGNED, whole) if whole >= 0 else _head(_NEGATIVE, -1 - whole)
    if -_SINGLE_MAX <= number <= _SINGLE_MAX and _SINGLE_ALONE.unpack(_SINGLE_ALONE.pack(number))[0] == number:
        if -_HALF_MAX <= number <= _HALF_MAX and _HALF_ALONE.unpack(_HALF_ALONE.pack(number))[0] == number:
            return _HALF.pack(0xF9, number)
        return _SINGLE.pack(0xFA, number)
    return _DOUBLE.pack(0xFB, number)


def encode_text(text: str) -> bytes:
    """A text string. Raises UnicodeEncodeError for a lone surrogate."""
    raw = text.encode("utf-8")
    return _head(_TEXT, len(raw)) + raw


def encode_bytes(raw: bytes) -> bytes:
    """A byte string."""
    return _head(_BYTES, len(raw)) + raw


def encode_truth(value: bool) -> bytes:  # noqa: FBT001 - the value is what is encoded
    """True or false."""
    return _TRUE if value else _FALSE


def map_head(pairs: int) -> bytes:
    """The beginning of a map of so many pairs, which follow, sorted by their labels' bytes."""
    return _head(_MAP, pairs)


def array_head(items: int) -> bytes:
    """The beginning of an array of so many items, which follow."""
    return _head(_ARRAY, items)
