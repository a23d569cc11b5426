"""The outer messages M1–M6 and /data as JSON bodies (``docs/protocol.md`` §2, §3.2, §5.2)."""

from dataclasses import dataclass
from typing import Final, Self

from group_protocol.crypto.aead import Aead
from group_protocol.encoding import JsonValue, b64decode, b64encode, dump_json_object, lp, lp_list, parse_json_object
from group_protocol.errors import DecodingError
from group_protocol.identifiers import (
    GROUP_ID_BYTES,
    HASH_BYTES,
    SESSION_ID_BYTES,
    SIGNATURE_BYTES,
    SessionId,
    Signature,
)
from group_protocol.limits import (
    HANDSHAKE_BODY_MAX_BYTES,
    OFFER_NAME_MAX_CHARACTERS,
    OFFERS_MAX,
    SEQ_LIMIT,
)
from group_protocol.suites import ALLOWED_OFFERS, Suite

VERSION: Final = 1
REFUSAL_BODY: Final = b'{"error":{"code":"refused","message":"The request was refused."}}'
"""The one answer to everything wrong, with status 400 (§2)."""
BUSY_BODY: Final = b'{"error":{"code":"busy","message":"The master is busy. Try again later."}}'
"""With status 429 and Retry-After (§2)."""


class BodyFields:
    """Takes fields out of a parsed body one by one; ``end`` refuses what is left."""

    def __init__(self, body: bytes, *, max_bytes: int = HANDSHAKE_BODY_MAX_BYTES) -> None:
        """Raises DecodingError, as every method does."""
        self._fields = parse_json_object(body, max_bytes=max_bytes)

    def has(self, name: str) -> bool:
        """Whether it is there."""
        return name in self._fields

    def raw(self, name: str, *lengths_bytes: int) -> bytes:
        """A byte field; with ``lengths_bytes``, of one of those lengths."""
        value = self._fields.pop(name, None)
        if not isinstance(value, str):
            raise DecodingError(f"{name} is missing or no string")
        decoded = b64decode(value)
        if lengths_bytes and len(decoded) not in lengths_bytes:
            raise DecodingError(f"{name} has {len(decoded)} bytes")
        return decoded

    def text(self, name: str) -> str:
        """A field of text."""
        value = self._fields.pop(name, None)
        if not isinstance(value, str):
            raise DecodingError(f"{name} is missing or no string")
        return value

    def integer(self, name: str, limit: int) -> int:
        """A number below ``limit``."""
        value = self._fields.pop(name, None)
        if not isinstance(value, int) or value >= limit:
            raise DecodingError(f"{name} is missing, no integer, or too large")
        return value

    def names(self, name: str) -> list[str]:
        """A list of 1 to 4 short names, none twice."""
        value = self._fields.pop(name, None)
        if not isinstance(value, list) or not 1 <= len(value) <= OFFERS_MAX:
            raise DecodingError(f"{name} is missing or has the wrong number of entries")
        if any(not 1 <= len(item) <= OFFER_NAME_MAX_CHARACTERS for item in value) or len(set(value)) != len(value):
            raise DecodingError(f"{name} holds an entry of the wrong length or one twice")
        return value

    def version(self) -> None:
        """``v`` is ours."""
        if self.integer("v", VERSION + 1) != VERSION:
            raise DecodingError("v is not 1")

    def end(self) -> None:
        """Nothing is left."""
        if self._fields:
            raise DecodingError("a field too many")


@dataclass(frozen=True, slots=True)
class KeysSessionRequest:
    """M1, POST /keysSession.

    Attributes:
        gid: 16 bytes, or empty before the device knows its group.
        sn: 32 random bytes.
        share: The slave's share; in R1 it travels as ``slavePubRSAKey``.
        cookie: 32 bytes from an M1R, or None.
    """

    suites: tuple[Suite, ...]
    aeads: tuple[Aead, ...]
    gid: bytes
    sn: bytes
    share: bytes
    cookie: bytes | None = None

    @property
    def core(self) -> bytes:
        """All fields but the cookie, as the cookie binds them (§3.2)."""
        return lp(lp_list(self.suites), lp_list(self.aeads), self.gid, self.sn, self.share)

    def to_body(self) -> bytes:
        """The JSON body."""
        fields: dict[str, JsonValue] = {
            "v": VERSION,
            "suites": list(self.suites),
            "aeads": list(self.aeads),
            "gid": b64encode(self.gid),
            "sn": b64encode(self.sn),
            _slave_share_name(self.suites): b64encode(self.share),
        }
        if self.cookie is not None:
            fields["cookie"] = b64encode(self.cookie)
        return dump_json_object(fields)

    @classmethod
    def from_body(cls, body: bytes) -> Self:
        """Parse; raises DecodingError."""
        fields = BodyFields(body)
        fields.version()
        suites = _parse_suites(fields.names("suites"))
        request = cls(
            suites=suites,
            aeads=_parse_aeads(fields.names("aeads")),
            gid=fields.raw("gid", 0, GROUP_ID_BYTES),
            sn=fields.raw("sn", HASH_BYTES),
            share=fields.raw(_slave_share_name(suites)),
            cookie=fields.raw("cookie", HASH_BYTES) if fields.has("cookie") else None,
        )
        fields.end()
        return request


@dataclass(frozen=True, slots=True)
class CookieChallenge:
    """M1R: send M1 again with this 32-byte cookie."""

    cookie: bytes

    def to_body(self) -> bytes:
        """The JSON body."""
        return dump_json_object({"v": VERSION, "cookie": b64encode(self.cookie)})


@dataclass(frozen=True, slots=True)
class KeysSessionAnswer:
    """M2.

    Attributes:
        mn: 32 random bytes.
        share: The master's share; in R1 it travels as ``encryptedAESKey``.
        sig: The master's signature over TH1.
        fin: 32 bytes, key confirmation.
    """

    suite: Suite
    aead: Aead
    sid: SessionId
    mn: bytes
    share: bytes
    sig: Signature
    fin: bytes

    def to_body(self) -> bytes:
        """The JSON body."""
        return dump_json_object(
            {
                "v": VERSION,
                "suite": self.suite,
                "aead": self.aead,
                "sid": b64encode(self.sid),
                "mn": b64encode(self.mn),
                _master_share_name(self.suite): b64encode(self.share),
                "sig": b64encode(self.sig),
                "fin": b64encode(self.fin),
            }
        )


def parse_keys_session_answer(body: bytes) -> KeysSessionAnswer | CookieChallenge:
    """Parse what /keysSession answered; raises DecodingError."""
    fields = BodyFields(body)
    fields.version()
    if fields.has("cookie"):
        challenge = CookieChallenge(fields.raw("cookie", HASH_BYTES))
        fields.end()
        return challenge
    suite = _parse_suite(fields.text("suite"))
    answer = KeysSessionAnswer(
        suite=suite,
        aead=_parse_aead(fields.text("aead")),
        sid=SessionId(fields.raw("sid", SESSION_ID_BYTES)),
        mn=fields.raw("mn", HASH_BYTES),
        share=fields.raw(_master_share_name(suite)),
        sig=Signature(fields.raw("sig", SIGNATURE_BYTES)),
        fin=fields.raw("fin", HASH_BYTES),
    )
    fields.end()
    return answer


@dataclass(frozen=True, slots=True)
class SealedRequest:
    """M3, M5 and /data: a sealed unit of a session. Parsing bounds it by ``max_bytes`` of the path."""

    sid: SessionId
    seq: int
    sealed: bytes

    def to_body(self) -> bytes:
        """The JSON body."""
        return dump_json_object({"sid": b64encode(self.sid), "seq": self.seq, "sealed": b64encode(self.sealed)})

    @classmethod
    def from_body(cls, body: bytes, *, max_bytes: int = HANDSHAKE_BODY_MAX_BYTES) -> Self:
        """Parse; raises DecodingError."""
        fields = BodyFields(body, max_bytes=max_bytes)
        request = cls(
            sid=SessionId(fields.raw("sid", SESSION_ID_BYTES)),
            seq=fields.integer("seq", SEQ_LIMIT),
            sealed=fields.raw("sealed"),
        )
        fields.end()
        return request


@dataclass(frozen=True, slots=True)
class SealedAnswer:
    """M4, M6 and the answer of /data."""

    sealed: bytes

    def to_body(self) -> bytes:
        """The JSON body."""
        return dump_json_object({"sealed": b64encode(self.sealed)})

    @classmethod
    def from_body(cls, body: bytes, *, max_bytes: int = HANDSHAKE_BODY_MAX_BYTES) -> Self:
        """Parse; raises DecodingError."""
        fields = BodyFields(body, max_bytes=max_bytes)
        answer = cls(fields.raw("sealed"))
        fields.end()
        return answer


def _slave_share_name(suites: tuple[Suite, ...]) -> str:
    return "slavePubRSAKey" if suites == (Suite.R1,) else "share"


def _master_share_name(suite: Suite) -> str:
    return "encryptedAESKey" if suite is Suite.R1 else "share"


def _parse_suite(name: str) -> Suite:
    try:
        return Suite(name)
    except ValueError as exc:
        raise DecodingError("suite is unknown") from exc


def _parse_aead(name: str) -> Aead:
    try:
        return Aead(name)
    except ValueError as exc:
        raise DecodingError("aead is unknown") from exc


def _parse_suites(names: list[str]) -> tuple[Suite, ...]:
    suites = tuple(_parse_suite(name) for name in names)
    if suites not in ALLOWED_OFFERS:
        raise DecodingError("suites are not offered together in this way")
    return suites


def _parse_aeads(names: list[str]) -> tuple[Aead, ...]:
    return tuple(_parse_aead(name) for name in names)
