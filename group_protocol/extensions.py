"""The extensions that version 1 knows in M3 and M4 (``docs/protocol.md`` §3.4, §3.6)."""

import re
from enum import IntEnum
from typing import Final

from group_protocol.encoding import u16
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import DecodingError, LocalProtocolError, VirtualGroupError
from group_protocol.key_changes import KeyHistory

SOFTWARE: Final = 0x0001
"""In M3 and M4: the version of the program that speaks, for people."""
STANDING: Final = 0x0002
"""In M4: why the device is not let in."""
KEY_HISTORY: Final = 0x0003
"""In M3: how the device came to its present key, for a master that does not know it."""
SOFTWARE_MAX_CHARACTERS: Final = 32
_SOFTWARE: Final = re.compile(rb"[0-9A-Za-z.+!_-]{1,32}")


class Standing(IntEnum):
    """How a device stands with its master, where that is not what the contract says (§9)."""

    GOOD = 0
    """Nothing is in its way. Never sent: it is the absence of the extension."""
    BANNED = 1
    """The operator has shut it out, and may let it in again."""
    EXPIRED = 2
    """Its invitation was good, and came too late."""
    UNSUPPORTED = 3
    """Its M3 asks for something that this master does not know."""
    DISPUTED = 4
    """The register says of it what nobody here ordered or proved: that it is revoked, or has another key."""


_TOLD: Final = {
    Standing.BANNED: (
        "the master's operator has banned this device",
        "It goes on by itself when the ban is lifted, on the master: vgroup device unban NAME. Its readings wait here.",
        ErrorCode.DEVICE_BANNED,
    ),
    Standing.EXPIRED: (
        "the invitation has expired",
        "On the master: vgroup device invite NAME. Here: vgroup slave join STRING, with the new string.",
        ErrorCode.INVITATION_EXPIRED,
    ),
    Standing.UNSUPPORTED: (
        "the master does not know something that this device asks for",
        "Bring both to the same version (docs/operations.md, Upgrade); the master first.",
        ErrorCode.VERSIONS_DIFFER,
    ),
    Standing.DISPUTED: (
        "the register says of this device what its master's operator did not order",
        "It goes on by itself if the register takes it back; on the master: vgroup device list. Its readings wait.",
        ErrorCode.MEMBERSHIP_DISPUTED,
    ),
}


class TurnedAwayError(VirtualGroupError):
    """The proven master knows this device and does not let it in: said in M4, under the session's keys.

    Attributes:
        standing: Why.
    """

    def __init__(self, standing: Standing, software: str = "") -> None:
        message, remedy, code = _TOLD[standing]
        version = f" (it runs version {software})" if software and standing is Standing.UNSUPPORTED else ""
        super().__init__(message + version, remedy=remedy, code=code)
        self.standing = standing


def encode_extensions(
    software: str, standing: Standing = Standing.GOOD, key_history: KeyHistory | None = None
) -> bytes:
    """The extensions of an M3 or M4; none for what is empty or good. Raises LocalProtocolError for a bad value."""
    encoded = b""
    if software:
        text = software.encode("ascii", "replace")
        if not _SOFTWARE.fullmatch(text):
            raise LocalProtocolError(f"{software!r} is no version")
        encoded += u16(SOFTWARE) + u16(len(text)) + text
    if standing is not Standing.GOOD:
        encoded += u16(STANDING) + u16(1) + bytes([standing])
    if key_history is not None:
        history = key_history.encode()
        encoded += u16(KEY_HISTORY) + u16(len(history)) + history
    return encoded


def parse_software(value: bytes | None) -> str:
    """The version, or nothing where there is none. Raises DecodingError: it is no version; it may go into a log."""
    if value is None:
        return ""
    if not _SOFTWARE.fullmatch(value):
        raise DecodingError("the software extension is no version")
    return value.decode("ascii")


def parse_standing(value: bytes | None) -> Standing:
    """The standing. Raises DecodingError: it is not one that is ever sent."""
    if value is None:
        return Standing.GOOD
    if len(value) != 1 or value[0] not in {standing.value for standing in Standing if standing is not Standing.GOOD}:
        raise DecodingError("the standing is unknown")
    return Standing(value[0])


def parse_key_history(value: bytes | None) -> KeyHistory | None:
    """The changes of key; None where there are none. Raises DecodingError: they are malformed."""
    return None if value is None else KeyHistory.decode(value)
