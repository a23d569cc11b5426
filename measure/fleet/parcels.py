"""Results as readings: compressed, cut into pieces that fit into records, and put together again.

A piece's sensor name says what it is a piece of: ``vgroup-measure/ID/INDEX/COUNT``, the id being the beginning of the
whole's SHA-256. Who sent it, and that nobody changed it, the record's own signature says. The readings' times are not
used: clocks may disagree.
"""

import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from group_protocol.identifiers import ObjectId
from group_protocol.senml import Reading
from group_protocol.shallow_json import load_shallow_json
from measure.errors import MeasurementError
from measure.results import Results, results_from_json

PIECE_BYTES: Final = 16_384
WHOLE_MAX_BYTES: Final = 32_000_000
"""Larger results are not unpacked: nobody fills the collector's memory."""
_ID_CHARACTERS: Final = 32
_NAME: Final = re.compile(rf"vgroup-measure/([0-9a-f]{{{_ID_CHARACTERS}}})/([0-9]{{1,5}})/([0-9]{{1,5}})")


@dataclass(frozen=True, slots=True)
class Arrived:
    """Complete results of one device; ``seq`` is the number of the record that completed them."""

    oid: ObjectId
    seq: int
    results: Results


@dataclass(slots=True)
class _Pieces:
    count: int
    seq: int = 0
    pieces: dict[int, bytes] = field(default_factory=dict)


def pack(results: Results, now_unix_s: float) -> list[Reading]:
    """The readings that carry results."""
    whole = zlib.compress(json.dumps(results.to_json(), separators=(",", ":")).encode("utf-8"), level=9)
    name = _identify(whole)
    pieces = [whole[start : start + PIECE_BYTES] for start in range(0, len(whole), PIECE_BYTES)]
    return [
        Reading(f"vgroup-measure/{name}/{index}/{len(pieces)}", now_unix_s, piece) for index, piece in enumerate(pieces)
    ]


def unpack(records: Iterable[tuple[ObjectId, int, Iterable[Reading]]]) -> Iterator[Arrived]:
    """Complete results among the readings of all records, in the order in which they were completed.

    Args:
        records: Device, record number and readings, by rising record number within a device.

    Raises:
        MeasurementError: A device sent pieces that are no results.
    """
    waiting: dict[tuple[ObjectId, str], _Pieces] = {}
    for oid, seq, readings in records:
        for reading in readings:
            match = _NAME.fullmatch(reading.name)
            if match is None or not isinstance(reading.value, bytes):
                continue
            name, index, count = match[1], int(match[2]), int(match[3])
            parts = waiting.setdefault((oid, name), _Pieces(count))
            parts.pieces[index] = reading.value
            if parts.pieces.keys() == set(range(parts.count)):
                del waiting[oid, name]
                yield Arrived(oid, seq, _join(oid, name, parts))


def newest_of_each(arrived: Iterable[Arrived], experiment: str) -> list[Arrived]:
    """Each device's last results of one experiment, by its own record numbers."""
    newest: dict[ObjectId, Arrived] = {}
    for one in arrived:
        if one.results.experiment == experiment:
            newest[one.oid] = one
    return list(newest.values())


def _join(oid: ObjectId, name: str, parts: _Pieces) -> Results:
    whole = b"".join(parts.pieces[index] for index in range(parts.count))
    if _identify(whole) != name:
        raise MeasurementError(f"the results {name} of device {oid.hex()} are not whole")
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(whole, WHOLE_MAX_BYTES)
        if unpacker.unconsumed_tail:
            raise MeasurementError(f"the results of device {oid.hex()} are larger than {WHOLE_MAX_BYTES:,} bytes")
        return results_from_json(load_shallow_json(text))
    except (zlib.error, ValueError, KeyError, TypeError) as exc:
        raise MeasurementError(f"device {oid.hex()} sent no results of vgroup measure: {exc}") from exc


def _identify(whole: bytes) -> str:
    return hashlib.sha256(whole).hexdigest()[:_ID_CHARACTERS]
