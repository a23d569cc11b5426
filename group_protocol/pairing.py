"""Pairing strings and codes: how a device finds its master and proves its invitation (``docs/protocol.md`` §4)."""

import base64
import binascii
import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final

from group_protocol.crypto.kdf import hmac_sha256, sha256
from group_protocol.encoding import lp
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, LocalProtocolError
from group_protocol.identifiers import ADDRESS_BYTES, Address
from group_protocol.limits import PAIRING_CODE_BYTES
from group_protocol.tickets import CODE_ID_BYTES

DEFAULT_PORT: Final = 3000
_CHECK_BYTES: Final = 4
_PREFIX: Final = "vg1-"
_BODY_CHARACTERS: Final = (ADDRESS_BYTES + PAIRING_CODE_BYTES + _CHECK_BYTES) * 8 // 5
_BASE32: Final = re.compile(r"[a-z2-7]*")
_HOST_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_HOST_MAX_CHARACTERS: Final = 253
_PORT_MAX: Final = 65_535
_COPY_AGAIN: Final = "Copy the whole string again as `vgroup device invite` printed it, or scan its QR code."


@dataclass(frozen=True, slots=True)
class PairingString:
    """What a device needs to find, check and convince its master.

    Attributes:
        master: The address that the master's signature in M2 must recover to.
        code: 16 random bytes, good for one device. Never prints.
        host: Name or IP address, lower-case, an IPv6 address without brackets.
        port: 1–65,535.
    """

    master: Address
    code: bytes = field(repr=False)
    host: str
    port: int = DEFAULT_PORT

    def to_text(self) -> str:
        """The string as people see it.

        Raises:
            LocalProtocolError: A field has the wrong length or range.
        """
        if (len(self.master), len(self.code)) != (ADDRESS_BYTES, PAIRING_CODE_BYTES):
            raise LocalProtocolError("master and code have 20 and 16 bytes")
        body = self.master + self.code + _check(self.master, self.code)
        encoded = base64.b32encode(body).decode("ascii").lower()
        host = f"[{self.host}]" if ":" in self.host else self.host
        text = f"{_PREFIX}{encoded}@{host}:{self.port}"
        try:
            _parse_endpoint(f"{host}:{self.port}")
        except ConfigurationError as exc:
            raise LocalProtocolError(str(exc)) from exc
        return text


def parse_pairing_string(text: str) -> PairingString:
    """Take what a user typed or scanned: upper or lower case, white space around it, ``:port`` left out for 3000.

    Raises:
        ConfigurationError: It is no pairing string; the message says what is wrong with it, the remedy what to do.
    """
    compact = text.strip().lower()
    if not compact:
        raise ConfigurationError(
            "The pairing string is empty.", remedy=_COPY_AGAIN, code=ErrorCode.PAIRING_STRING_WRONG
        )
    if not compact.startswith(_PREFIX):
        raise ConfigurationError(
            f"A pairing string begins with {_PREFIX!r}.", remedy=_COPY_AGAIN, code=ErrorCode.PAIRING_STRING_WRONG
        )
    encoded, at, endpoint = compact.removeprefix(_PREFIX).partition("@")
    if not at:
        raise ConfigurationError(
            "The pairing string has no '@' before the master's host.",
            remedy=_COPY_AGAIN,
            code=ErrorCode.PAIRING_STRING_WRONG,
        )
    master, code = _parse_body(encoded)
    host, port = _parse_endpoint(endpoint)
    return PairingString(master, code, host, port)


def derive_code_id(code: bytes) -> bytes:
    """8 bytes that name a code without telling it."""
    return sha256(lp(b"vgroup/1 code id", code))[:CODE_ID_BYTES]


def make_pairing_proof(code: bytes, th2: bytes, address: Address) -> bytes:
    """32 bytes: HMAC under the code over this handshake's TH2 (32 bytes) and the slave's address."""
    return hmac_sha256(code, lp(b"vgroup/1 pairing proof", th2, address))


def _check(master: bytes, code: bytes) -> bytes:
    return sha256(lp(b"vgroup/1 pairing", master, code))[:_CHECK_BYTES]


def _parse_body(encoded: str) -> tuple[Address, bytes]:
    if not _BASE32.fullmatch(encoded):
        raise ConfigurationError(
            "The pairing string holds a character that never occurs in one: it is written in a-z and 2-7.",
            remedy=_COPY_AGAIN,
            code=ErrorCode.PAIRING_STRING_WRONG,
        )
    if len(encoded) != _BODY_CHARACTERS:
        raise ConfigurationError(
            f"The pairing string has {len(encoded)} characters between {_PREFIX!r} and '@', not {_BODY_CHARACTERS}.",
            remedy=_COPY_AGAIN,
            code=ErrorCode.PAIRING_STRING_WRONG,
        )
    try:
        body = base64.b32decode(encoded.upper())
    except binascii.Error as exc:
        raise ConfigurationError(
            "The pairing string is not base32.", remedy=_COPY_AGAIN, code=ErrorCode.PAIRING_STRING_WRONG
        ) from exc
    master, code = body[:ADDRESS_BYTES], body[ADDRESS_BYTES : ADDRESS_BYTES + PAIRING_CODE_BYTES]
    if body[ADDRESS_BYTES + PAIRING_CODE_BYTES :] != _check(master, code):
        raise ConfigurationError(
            "A character of the pairing string was mistyped: its check fails.",
            remedy=_COPY_AGAIN,
            code=ErrorCode.PAIRING_STRING_WRONG,
        )
    return Address(master), code


def _parse_endpoint(endpoint: str) -> tuple[str, int]:
    if endpoint.startswith("["):
        host, bracket, rest = endpoint[1:].partition("]")
        if not bracket or not _is_ipv6(host):
            raise ConfigurationError(
                "The host in brackets is no IPv6 address.",
                remedy="Write it like [2001:db8::1]:3000.",
                code=ErrorCode.PAIRING_STRING_WRONG,
            )
    else:
        host, colon, rest = endpoint.partition(":")
        rest = colon + rest
        if len(host) > _HOST_MAX_CHARACTERS or not _HOST_NAME.fullmatch(host):
            raise ConfigurationError(
                "The host after '@' is no name or IP address.",
                remedy="Write a host name, an IPv4 address, or an IPv6 address in brackets, like [2001:db8::1]:3000.",
                code=ErrorCode.PAIRING_STRING_WRONG,
            )
    return host, _parse_port(rest)


def _parse_port(text: str) -> int:
    if not text:
        return DEFAULT_PORT
    digits = text.removeprefix(":")
    if text[0] != ":" or not _PORT.fullmatch(digits) or not 0 < int(digits) <= _PORT_MAX:
        raise ConfigurationError(
            "The port is no number from 1 to 65535.",
            remedy=f"Write host:{DEFAULT_PORT}; an IPv6 address stands in brackets, like [2001:db8::1]:{DEFAULT_PORT}.",
            code=ErrorCode.PAIRING_STRING_WRONG,
        )
    return int(digits)


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True
