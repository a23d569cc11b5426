"""Readings as SenML in CBOR (RFC 8428 §6, RFC 8949; ``docs/protocol.md`` §6, payload).

The decoder is strict, since it reads what a device sent: the CBOR library is told to refuse tags, indefinite lengths,
duplicate labels and nesting, and everything else is checked here.
"""

import io
import re
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, Final, NamedTuple, NoReturn

import cbor2

from group_protocol.cbor import array_head, encode_bytes, encode_number, encode_text, encode_truth, map_head
from group_protocol.errors import DecodingError, LocalProtocolError
from group_protocol.limits import PAYLOAD_MAX_BYTES, READING_TIME_LIMIT_S, READINGS_MAX, SENSOR_NAME_MAX_CHARACTERS

_BASE_SUM: Final = -6
_BASE_VALUE: Final = -5
_BASE_UNIT: Final = -4
_BASE_TIME: Final = -3
_BASE_NAME: Final = -2
_BASE_VERSION: Final = -1
_NAME: Final = 0
_UNIT: Final = 1
_VALUE: Final = 2
_STRING_VALUE: Final = 3
_BOOLEAN_VALUE: Final = 4
_SUM: Final = 5
_TIME: Final = 6
_UPDATE_TIME: Final = 7
_OPAQUE_VALUE: Final = 8

_NUMBER: Final = frozenset((int, float))
_TEXT: Final = frozenset((str,))
_ALLOWED_TYPES: Final[Mapping[int, frozenset[type]]] = {
    _BASE_SUM: _NUMBER,
    _BASE_VALUE: _NUMBER,
    _BASE_UNIT: _TEXT,
    _BASE_TIME: _NUMBER,
    _BASE_NAME: _TEXT,
    _BASE_VERSION: frozenset((int,)),
    _NAME: _TEXT,
    _UNIT: _TEXT,
    _VALUE: _NUMBER,
    _STRING_VALUE: _TEXT,
    _BOOLEAN_VALUE: frozenset((bool,)),
    _SUM: _NUMBER,
    _TIME: _NUMBER,
    _UPDATE_TIME: _NUMBER,
    _OPAQUE_VALUE: frozenset((bytes,)),
}
_OTHER_VALUE_LABELS: Final = frozenset((_STRING_VALUE, _BOOLEAN_VALUE, _OPAQUE_VALUE))
_SENML_VERSION: Final = 10
_NAME_PATTERN: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9\-:./_]{{0,{SENSOR_NAME_MAX_CHARACTERS - 1}}}")
_NAME_LABEL, _UNIT_LABEL, _VALUE_LABEL, _STRING_LABEL, _BOOLEAN_LABEL, _SUM_LABEL, _TIME_LABEL, _OPAQUE_LABEL = (
    encode_number(label) for label in (_NAME, _UNIT, _VALUE, _STRING_VALUE, _BOOLEAN_VALUE, _SUM, _TIME, _OPAQUE_VALUE)
)
_BASE_NAME_LABEL, _BASE_TIME_LABEL, _BASE_UNIT_LABEL = (
    encode_number(label) for label in (_BASE_NAME, _BASE_TIME, _BASE_UNIT)
)
_NESTING_MAX: Final = 2

Value = float | bool | str | bytes
_Entry = dict[int, Any]
"""A CBOR map whose labels and types were checked."""


class Reading(NamedTuple):
    """One resolved SenML record: what a sensor said at a time. A tuple, since a payload can hold a thousand.

    Attributes:
        name: 1–255 characters of ``A–Z a–z 0–9 - : . / _``, beginning with a letter or digit.
        time_s: Unix seconds, always absolute, before the year 10000.
        value: A number (answered as float), text, truth value or bytes; None if there is only a sum.
        unit: From the SenML units registry; None if not told.
        sum_value: Integrated value, for a counter.
    """

    name: str
    time_s: float
    value: Value | None
    unit: str | None = None
    sum_value: float | None = None


class _NoTags(Mapping[int, cbor2.SemanticDecoderCallback]):
    """Stands where tag decoders are looked up, and refuses every tag (regular expressions and MIME among them)."""

    def __getitem__(self, tag: int) -> NoReturn:
        raise DecodingError(f"CBOR tag {tag} in a payload")

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 1


_NO_TAGS: Final = _NoTags()


def decode_readings(payload: bytes, *, max_bytes: int = PAYLOAD_MAX_BYTES) -> list[Reading]:
    """Parse and resolve a payload; base fields are worked in (RFC 8428 §4.6).

    Raises:
        DecodingError: Longer than ``max_bytes``, not exactly one definite-length CBOR array of 1–1,024 maps, an unknown
            or repeated label, a value of another type, a number that is not finite, no name, a name with other
            characters, no value or more than one, a time before 1970 or after 9999, or another SenML version than 10.
    """
    if len(payload) > max_bytes:
        raise DecodingError(f"payload has more than {max_bytes} bytes")
    readings: list[Reading] = []
    _resolve(_PayloadDecoder([payload]).decode_next(), readings)
    return readings


def count_readings(payloads: Sequence[bytes]) -> list[int]:
    """How many readings each payload holds, by the same rules; ends with 0 at the first that has other ones.

    For a master that takes in many payloads and looks at no reading: one decoder serves all, and no reading is made.
    """
    counts: list[int] = []
    try:
        if len(payloads) == 1:
            return [_resolve(_decode_one(payloads[0]), None)]
        decoder = _PayloadDecoder(payloads)
        counts.extend(_resolve(decoder.decode_next(), None) for _ in payloads)
    except DecodingError:
        counts.append(0)
    return counts


class _Kept(threading.local):
    """A decoder that is good for one more payload; making one takes as long as decoding a reading."""

    decoder: cbor2.CBORDecoder | None = None


_kept: Final = _Kept()


def _decode_one(payload: bytes) -> list[object]:
    """The array of a payload that comes alone. Raises DecodingError."""
    stream = io.BytesIO(payload)
    decoder, _kept.decoder = _kept.decoder, None
    if decoder is None:
        decoder = _strict_decoder(stream, PAYLOAD_MAX_BYTES)
    else:
        decoder.fp = stream
    array = _checked(decoder, stream, len(payload), len(payload))
    _kept.decoder = decoder  # not after an error: then it is in the middle of something
    return array


def _strict_decoder(stream: io.BytesIO, read_size: int) -> cbor2.CBORDecoder:
    return cbor2.CBORDecoder(
        stream,
        semantic_decoders=_NO_TAGS,
        read_size=read_size,
        max_depth=_NESTING_MAX,
        allow_indefinite=False,
        allow_duplicate_keys=False,
    )


def _checked(decoder: cbor2.CBORDecoder, stream: io.BytesIO, length_bytes: int, end: int) -> list[object]:
    """The next payload's array, which has to end just there. Raises DecodingError."""
    try:
        decoded: object = decoder.decode()
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError) as exc:
        raise DecodingError("payload is not strict CBOR") from exc
    if length_bytes > PAYLOAD_MAX_BYTES:
        raise DecodingError(f"payload has more than {PAYLOAD_MAX_BYTES} bytes")
    # The decoder reads ahead, and puts the stream back to the end of what it decoded.
    if stream.tell() != end:
        raise DecodingError("the payload's array does not end where the payload does")
    if type(decoded) is not list or not 0 < len(decoded) <= READINGS_MAX:
        raise DecodingError(f"payload is no array of 1 to {READINGS_MAX} readings")
    return decoded


class _PayloadDecoder:
    """Decodes payloads that lie one behind the other; each has to end just where it ends."""

    __slots__ = ("_decoder", "_end", "_lengths", "_stream")

    def __init__(self, payloads: Sequence[bytes]) -> None:
        self._stream = io.BytesIO(payloads[0] if len(payloads) == 1 else b"".join(payloads))
        lengths = [len(payload) for payload in payloads]
        self._lengths = iter(lengths)
        self._end = 0
        self._decoder = _strict_decoder(self._stream, max(lengths, default=0) or 1)

    def decode_next(self) -> list[object]:
        """The next payload's array. After an error nothing else can be decoded. Raises DecodingError."""
        length_bytes = next(self._lengths)
        self._end += length_bytes
        return _checked(self._decoder, self._stream, length_bytes, self._end)


def _resolve(entries: list[object], readings: list[Reading] | None) -> int:  # noqa: C901, PLR0912 - see below
    """Check every entry and work its base fields in (RFC 8428 §4.6); add to ``readings`` if there is such a list.

    One long function: a master runs it for every record it takes in, and calls would take longer than the checks.
    Answers how many entries there are. Raises DecodingError.
    """
    base_name, base_unit, base_sum = "", None, None
    base_time_s: float = 0
    base_value: float = 0
    good_names: set[str] = set()
    for entry in entries:
        if type(entry) is not dict:
            raise DecodingError("a reading is no map")
        fields: _Entry = entry
        has_base = False
        for label, field in fields.items():
            # Not isinstance: False and 0.0 equal the label 0, and True is an int.
            if type(label) is not int or type(field) not in _ALLOWED_TYPES.get(label, ()):
                raise DecodingError("a reading has an unknown label or a value of the wrong type")
            if label < 0:
                has_base = True
        if has_base:
            base_name = fields.get(_BASE_NAME, base_name)
            base_time_s = fields.get(_BASE_TIME, base_time_s)
            base_unit = fields.get(_BASE_UNIT, base_unit)
            base_value = fields.get(_BASE_VALUE, base_value)
            base_sum = fields.get(_BASE_SUM, base_sum)
            if fields.get(_BASE_VERSION, _SENML_VERSION) != _SENML_VERSION:
                raise DecodingError("another version of SenML than 10")
            if not (isfinite(base_time_s) and isfinite(base_value) and isfinite(base_sum or 0)):
                raise DecodingError("a number is not finite")
        time_s = float(base_time_s + fields.get(_TIME, 0))
        if not 0 <= time_s < READING_TIME_LIMIT_S:  # NaN too
            raise DecodingError("a reading's time is not between 1970 and 9999")
        value = _resolve_value(fields, base_value)
        sum_value = base_sum
        if _SUM in fields or base_sum is not None:
            sum_value = float((base_sum or 0) + fields.get(_SUM, 0))
            _require_finite(sum_value)
        if _UPDATE_TIME in fields:
            _require_finite(fields[_UPDATE_TIME])
        name = base_name + fields.get(_NAME, "")
        if name not in good_names:
            _check_name(name)
            good_names.add(name)
        if readings is not None:
            readings.append(Reading(name, time_s, value, fields.get(_UNIT, base_unit), sum_value))
    return len(entries)


def _resolve_value(fields: _Entry, base_value: float) -> Value | None:
    if _VALUE in fields and _OTHER_VALUE_LABELS.isdisjoint(fields):
        value = float(base_value + fields[_VALUE])
        if not isfinite(value):
            raise DecodingError("a number is not finite")
        return value
    return _other_value(fields)


def _other_value(fields: _Entry) -> Value | None:
    labels = _OTHER_VALUE_LABELS & fields.keys()
    if _VALUE in fields or len(labels) > 1:
        raise DecodingError("a reading has more than one value")
    for label in labels:
        value: Value = fields[label]
        return value
    if _SUM not in fields:
        raise DecodingError("a reading has neither value nor sum")
    return None


def _require_finite(number: float) -> None:
    if not isfinite(number):
        raise DecodingError("a number is not finite")


def _check_name(name: str) -> None:
    if not _NAME_PATTERN.fullmatch(name):
        raise DecodingError(f"a sensor name is no 1 to {SENSOR_NAME_MAX_CHARACTERS} characters of RFC 8428's alphabet")


def encode_readings(readings: Sequence[Reading]) -> bytes:
    """Write a payload, compact and always the same for the same readings: names, times and units share what they can.

    Decoding gives back equal readings: no float changes. What the decoder would refuse is refused here by checks of its
    own: reading every payload back to see took a third of the time.

    Raises:
        LocalProtocolError: They could not be decoded again: none or too many, a bad name, no value, no finite number,
            a number that no float holds, or more than 65,536 bytes.
    """
    if not 0 < len(readings) <= READINGS_MAX:
        raise LocalProtocolError(f"a payload has 1 to {READINGS_MAX} readings")
    try:
        payload = array_head(len(readings)) + b"".join(_encode_entries(readings))
    except (DecodingError, UnicodeEncodeError, OverflowError) as exc:
        raise LocalProtocolError(f"readings are no SenML: {exc}") from exc
    if len(payload) > PAYLOAD_MAX_BYTES:
        raise LocalProtocolError(f"payload has more than {PAYLOAD_MAX_BYTES} bytes")
    return payload


def _encode_entries(readings: Sequence[Reading]) -> list[bytes]:
    names = {reading.name for reading in readings}
    for name in names:
        _check_name(name)
    base_name = _common_prefix(names)
    base_unit = readings[0].unit if all(reading.unit is not None for reading in readings) else None
    base_time_s = _require_time(readings[0].time_s)
    # Sorted by their bytes, the labels of base fields (-2, -3, -4) follow those of the others.
    bases = [_BASE_NAME_LABEL + encode_text(base_name), _BASE_TIME_LABEL + encode_number(base_time_s)]
    if base_unit is not None:
        bases.append(_BASE_UNIT_LABEL + encode_text(base_unit))
    entries = []
    for reading in readings:
        time_s = _require_time(reading.time_s)
        offset_s = time_s - base_time_s
        if base_time_s + offset_s != time_s:
            base_time_s, offset_s = time_s, 0.0
            bases = [_BASE_TIME_LABEL + encode_number(base_time_s)]
        members = _encode_members(reading, base_name, base_unit, offset_s)
        members += bases
        entries.append(map_head(len(members)) + b"".join(members))
        bases = []
    return entries


def _common_prefix(names: Collection[str]) -> str:
    first, last = min(names), max(names)
    if first == last:
        return first
    length = next((at for at, (left, right) in enumerate(zip(first, last, strict=False)) if left != right), len(first))
    return first[:length]


def _encode_members(reading: Reading, base_name: str, base_unit: str | None, offset_s: float) -> list[bytes]:
    """Label and value of each field but the base's, by rising label."""
    name, _, value, unit, sum_value = reading
    members = []
    if name != base_name:
        members.append(_NAME_LABEL + encode_text(name[len(base_name) :]))
    if unit is not None and unit != base_unit:
        members.append(_UNIT_LABEL + encode_text(unit))
    if type(value) is float:
        members.append(_VALUE_LABEL + encode_number(_require_float(value)))
    elif value is not None and type(value) is not bytes:
        members.append(_encode_other(value))
    if sum_value is not None:
        members.append(_SUM_LABEL + encode_number(_require_float(sum_value)))
    elif value is None:
        raise DecodingError("a reading has neither value nor sum")
    if offset_s:
        members.append(_TIME_LABEL + encode_number(offset_s))
    if type(value) is bytes:
        members.append(_OPAQUE_LABEL + encode_bytes(value))
    return members


def _encode_other(value: Value) -> bytes:
    match value:
        case bool():
            return _BOOLEAN_LABEL + encode_truth(value)
        case str():
            return _STRING_LABEL + encode_text(value)
        case _:
            return _VALUE_LABEL + encode_number(_require_float(value))


def _require_time(time_s: float) -> float:
    if not 0 <= time_s < READING_TIME_LIMIT_S:  # NaN too
        raise DecodingError("a reading's time is not between 1970 and 9999")
    return _require_float(time_s)


def _require_float(number: object) -> float:
    """The number as the float that the other side will have."""
    if type(number) is float and isfinite(number):
        return number
    if not isinstance(number, int) or float(number) != number:
        raise DecodingError("a value is of no kind that SenML has, not finite, or no float holds it")
    return float(number)
