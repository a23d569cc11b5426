"""Looks in a capture for what nobody should see there, in every spelling that a program would use."""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from group_protocol.shallow_json import load_shallow_json
from measure.wire.capture import RecordedConnection

_SUBSTRING_MIN_BYTES: Final = 6
"""Shorter secrets (the paper's two-byte oid) are looked for as whole members: as a substring chance would find them."""
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{2,}={0,2}")
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})+")


class Kind(Enum):
    """What sort of thing a secret is."""

    SECRET = "secret"  # noqa: S105 - the name of a kind
    """Whoever has it can act as the device, or read."""
    READING = "reading"
    """Medical data."""
    IDENTITY = "identity"
    """Not secret, but it tells who talks: docs/protocol.md seals it, the paper's text calls it encrypted."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Something to look for."""

    name: str
    kind: Kind
    raw: bytes


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether one thing was seen, and how it was spelt."""

    name: str
    kind: Kind
    spelling: str

    @property
    def is_seen(self) -> bool:
        """Whether it is in the capture."""
        return bool(self.spelling)


def find_secrets(
    secrets: Sequence[Secret], streams: Sequence[bytes], connections: Sequence[RecordedConnection]
) -> tuple[Finding, ...]:
    """Look for each, in whole streams and inside the decoded members of every body."""
    members = [decoded for body in bodies_of(connections) for decoded in _decoded_members(body)]
    return tuple(Finding(one.name, one.kind, _spelling(one.raw, streams, members)) for one in secrets)


def bodies_of(connections: Sequence[RecordedConnection]) -> Iterator[bytes]:
    """Every body of every request and answer."""
    for connection in connections:
        for exchange in connection.exchanges:
            yield exchange.request.body
            yield exchange.answer.body


def repeated_ciphertexts(connections: Sequence[RecordedConnection], path: str, member: str) -> int:
    """How many of one member's values on one path were there before: above 0, equal readings look equal."""
    bodies = [
        parse_body(exchange.request.body)
        for connection in connections
        for exchange in connection.exchanges
        if exchange.path == path
    ]
    values = [str(body[member]) for body in bodies if member in body]
    return len(values) - len(set(values))


def parse_body(body: bytes) -> Mapping[str, Any]:
    """The members of a JSON object; empty for anything else."""
    try:
        parsed = load_shallow_json(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def spellings(raw: bytes) -> dict[str, bytes]:
    """How bytes may stand in a stream."""
    standard, url_safe = base64.b64encode(raw), base64.urlsafe_b64encode(raw)
    return {
        "raw": raw,
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "base64": standard.rstrip(b"="),
        "base64url": url_safe.rstrip(b"="),
        "decimal array": ",".join(map(str, raw)).encode(),
    }


def _spelling(raw: bytes, streams: Sequence[bytes], members: Sequence[tuple[str, bytes]]) -> str:
    if len(raw) >= _SUBSTRING_MIN_BYTES:
        for name, spelt in spellings(raw).items():
            if any(spelt in stream for stream in streams):
                return name
        return next((f"inside member {name}" for name, value in members if raw in value), "")
    return next((f"member {name}" for name, value in members if value == raw), "")


def _decoded_members(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Every string of a body, decoded in each way that it can be; every array of bytes."""
    for name, value in _walk("", parse_body(body)):
        if isinstance(value, str):
            yield from ((name, decoded) for decoded in _decodings(value))
        elif isinstance(value, list) and all(isinstance(item, int) and 0 <= item <= 255 for item in value):
            yield name, bytes(value)


def _walk(name: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - foreign JSON
    if isinstance(value, dict):
        for inner, item in value.items():
            yield from _walk(f"{name}.{inner}".lstrip("."), item)
    else:
        yield name, value


def _decodings(text: str) -> Iterator[bytes]:
    yield text.encode()
    if _HEX.fullmatch(text):
        yield bytes.fromhex(text)
    if _BASE64.fullmatch(text):
        padded = text.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            yield base64.b64decode(padded + "=" * (-len(padded) % 4))
        except ValueError:
            return
