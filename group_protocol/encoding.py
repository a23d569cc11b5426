"""Strict encodings at the edge: length prefixes, base64url, JSON bodies, layouts (``docs/protocol.md`` §0, §2)."""

import binascii
import json
import struct
from collections.abc import Iterable
from typing import Final, NoReturn

from group_protocol.errors import DecodingError, UnknownExtensionError
from group_protocol.limits import JSON_INTEGER_MAX

_U16: Final = struct.Struct(">H")
_U32: Final = struct.Struct(">I")
_U64: Final = struct.Struct(">Q")
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL: Final = bytes.maketrans(b"-_+/=", b"+/!!!")
"""What base64url does not use becomes a character that the decoder refuses."""
_PADDING: Final = (b"", b"===", b"==", b"=")
"""By how many digits the last group has; one digit is impossible, and the decoder refuses what this makes of it."""
_LAST_DIGITS: Final = (b"", b"", b"AQgw", b"AEIMQUYcgkosw048")
"""The last digit of a short group, whose four or two lowest bits are zero. Looking at it is faster than encoding again
what was decoded: by a half for ML-KEM's keys, by a factor for what is short."""
_CRITICAL_EXTENSION: Final = 0x8000

JsonValue = str | int | list[str]
"""What a field of a body can be: nothing in this protocol nests."""


def u8(value: int) -> bytes:
    """One byte."""
    return value.to_bytes(1, "big")


def u16(value: int) -> bytes:
    """Two bytes, big-endian."""
    return _U16.pack(value)


def u64(value: int) -> bytes:
    """Eight bytes, big-endian."""
    return _U64.pack(value)


def lp(*fields: bytes) -> bytes:
    """Each field behind its length as u32: no two lists of fields give the same bytes (§0)."""
    pack = _U32.pack
    return b"".join([part for field in fields for part in (pack(len(field)), field)])


def lp_list(items: Iterable[str]) -> bytes:
    """A list of ASCII names as one field (``list(…)`` in §0)."""
    return lp(*(item.encode("ascii") for item in items))


def b64encode(raw: bytes) -> str:
    """base64url without padding."""
    return binascii.b2a_base64(raw, newline=False).rstrip(b"=").translate(_TO_URL).decode("ascii")


def b64decode(text: str) -> bytes:
    """Decode canonical base64url without padding.

    Raises:
        DecodingError: Padding, white space, another alphabet, an impossible length, or non-zero trailing bits: each
            byte string has exactly one text.
    """
    try:
        digits = text.encode("ascii").translate(_FROM_URL)
        rest = len(digits) % 4
        raw = binascii.a2b_base64(digits + _PADDING[rest], strict_mode=True)
    except (UnicodeEncodeError, binascii.Error) as exc:
        raise DecodingError("not base64url without padding") from exc
    if rest and digits[-1] not in _LAST_DIGITS[rest]:
        raise DecodingError("base64url is not canonical")
    return raw


def parse_json_object(body: bytes, *, max_bytes: int) -> dict[str, JsonValue]:
    """Parse a body: one flat object of strings, integers and short arrays of strings (§2).

    Costs time and memory linear in ``max_bytes`` whatever the bytes are: nesting is refused before the parser sees it.

    Raises:
        DecodingError: Too large, not UTF-8, not JSON, nested, a name twice, or a value of another kind.
    """
    if len(body) > max_bytes:
        raise DecodingError(f"body has more than {max_bytes} bytes")
    # No value of this protocol holds a bracket, and `suites` and `aeads` are the only arrays: counting bounds nesting.
    if body.count(b"{") != 1 or body.count(b"[") > 2:
        raise DecodingError("body is not one flat object")
    try:
        parsed = _DECODER.decode(body.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as exc:
        raise DecodingError("body is not JSON") from exc
    if not isinstance(parsed, dict):
        raise DecodingError("body is not an object")
    for value in parsed.values():
        _require_flat_value(value)
    return parsed


def dump_json_object(fields: dict[str, JsonValue]) -> bytes:
    """Write a body: compact, ASCII, fields in the given order.

    The standard encoder's bytes without its generality, in a quarter of its time: nothing nests but arrays of strings.
    """
    members = [f"{_quote(name)}:{_json_text(value)}" for name, value in fields.items()]
    return f"{{{','.join(members)}}}".encode("ascii")


def _json_text(value: JsonValue) -> str:
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, int):
        return int.__repr__(value)
    return f"[{','.join([_quote(item) for item in value])}]"


def _object_without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise DecodingError("a field stands twice")
    return members


def _refuse_number(_text: str) -> NoReturn:
    raise DecodingError("numbers are integers without fraction or exponent")


def _parse_unsigned(text: str) -> int:
    # 16 digits hold 2^53 - 1; the check comes before int() so that a long number costs nothing.
    if text.startswith("-") or len(text) > 16 or int(text) > JSON_INTEGER_MAX:
        raise DecodingError("integer out of range")
    return int(text)


# Made once: json.loads with options makes a new one for every body, which takes longer than the parsing.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object_without_repetition,
    parse_float=_refuse_number,
    parse_constant=_refuse_number,
    parse_int=_parse_unsigned,
)
_quote: Final = json.encoder.encode_basestring_ascii


def _require_flat_value(value: object) -> None:
    if type(value) is str:  # nearly all of them
        return
    if isinstance(value, bool) or not isinstance(value, str | int | list):
        raise DecodingError("a value is no string, integer or array")
    if isinstance(value, list) and not all(isinstance(item, str) for item in value):
        raise DecodingError("an array holds something other than strings")


class Reader:
    """Reads a fixed layout from the front; every method raises DecodingError when the bytes run out."""

    __slots__ = ("_offset", "_raw")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._offset = 0

    @property
    def remaining_bytes(self) -> int:
        """How many bytes are left."""
        return len(self._raw) - self._offset

    def take(self, length_bytes: int) -> bytes:
        """The next ``length_bytes`` bytes."""
        end = self._offset + length_bytes
        if end > len(self._raw):
            raise DecodingError(f"{length_bytes} bytes expected, {self.remaining_bytes} left")
        taken = self._raw[self._offset : end]
        self._offset = end
        return taken

    def u8(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """Two bytes, big-endian."""
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        """Four bytes, big-endian."""
        return int.from_bytes(self.take(4), "big")

    def u64(self) -> int:
        """Eight bytes, big-endian."""
        return int.from_bytes(self.take(8), "big")

    def extensions(self, known: frozenset[int] = frozenset()) -> dict[int, bytes]:
        """Read extensions to the end (§3.4): types rise strictly; unknown critical ones are refused, others skipped.

        Args:
            known: Types whose values are answered.

        Raises:
            UnknownExtensionError: A critical one that is not known; all others are well-formed.
            DecodingError: They are not.
        """
        last_type = -1
        values: dict[int, bytes] = {}
        refused: int | None = None
        while self.remaining_bytes:
            extension_type = self.u16()
            if extension_type <= last_type:
                raise DecodingError("extension types do not rise")
            last_type = extension_type
            value = self.take(self.u16())
            if extension_type in known:
                values[extension_type] = value
            elif extension_type >= _CRITICAL_EXTENSION and refused is None:
                refused = extension_type
        if refused is not None:
            raise UnknownExtensionError(refused)
        return values

    def end(self) -> None:
        """Nothing may be left."""
        if self.remaining_bytes:
            raise DecodingError(f"{self.remaining_bytes} bytes too many")
