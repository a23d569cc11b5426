"""Ways to spoil one field of a JSON body: bits turned, bytes cut off, bytes put behind."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from group_protocol.encoding import b64decode, b64encode
from tests.attacks.edge import flip

Spoil = Callable[[bytes], bytes]

FLIPS: dict[str, Spoil] = {
    "first bit turned": lambda raw: flip(raw, 0),
    "a bit in the middle turned": lambda raw: flip(raw, len(raw) // 2),
    "last bit turned": lambda raw: flip(raw, -1),
}
LENGTHS: dict[str, Spoil] = {
    "last byte cut off": lambda raw: raw[:-1],
    "first byte cut off": lambda raw: raw[1:],
    "half of it cut off": lambda raw: raw[: len(raw) // 2],
    "all of it cut off": lambda _: b"",
    "one byte too many": lambda raw: raw + b"\x00",
    "sixteen bytes too many": lambda raw: raw + bytes(16),
    "five thousand bytes too many": lambda raw: raw + bytes(5_000),
    "twice as long": lambda raw: raw + raw,
}
EVERYTHING = FLIPS | LENGTHS
NUMBERS = (-1, 2**48, 2**53 - 1, 2**53, 2**64, 0.5, True, None, "0", [0])
"""What a seq cannot be, or in these tests never is."""


def spoiled_bodies(body: bytes, spoils: dict[str, Spoil]) -> Iterator[tuple[str, bytes]]:
    """Every body that differs in one byte field, with a name for it."""
    fields: dict[str, Any] = json.loads(body)
    for name, value in fields.items():
        if not isinstance(value, str) or name in {"suite", "aead"}:
            continue
        raw = b64decode(value)
        for how, spoil in spoils.items():
            if (raw or how in LENGTHS) and spoil(raw) != raw:
                yield f"{name}: {how}", json.dumps(fields | {name: b64encode(spoil(raw))}).encode()


def misnumbered_bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    """The same sealed bytes under numbers that they were not sealed for, and under what is no number."""
    fields: dict[str, Any] = json.loads(body)
    for seq in (fields["seq"] + 1, fields["seq"] + 2**16, *NUMBERS):
        yield f"seq: {seq!r}", json.dumps(fields | {"seq": seq}).encode()
