"""Who may ask the gateway's service, and that each signed request counts once (``docs/adr/0020-gateway-callers.md``).

A session is a number that only this process can have made: its place in the order of sessions, and a MAC. Handing one
out keeps nothing; memory is spent only on sessions under which a listed key has signed, and on few of those for each.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chain_gateway.remote.signing import SESSION_BYTES, RequestProof
from group_protocol.encoding import u64
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, DecodingError, ReplayError, VerificationError
from group_protocol.identifiers import Address, parse_address
from group_protocol.ports import Random
from system_ports.private_files import replace_private_file

WINDOW: Final = 4_096
"""Numbers behind a session's highest that are still taken, once: requests of one caller overtake each other."""
SESSIONS_PER_CALLER_MAX: Final = 16
_MAC_BYTES: Final = SESSION_BYTES - 8
_LABEL: Final = b"vgroup/1 gateway session"
_FILE_HEAD: Final = "# Addresses of the keys that may ask this gateway, one a line; a name may follow.\n"


@dataclass(slots=True)
class _Window:
    """The numbers of one session that were used: a bit for each, the highest at the right."""

    highest: int = -1
    used: int = 0

    def use(self, number: int) -> None:
        """Use a number. Raises ReplayError if it was used, or is too far behind to know."""
        if number > self.highest:
            self.used = ((self.used << min(number - self.highest, WINDOW)) | 1) & ((1 << WINDOW) - 1)
            self.highest = number
            return
        behind = self.highest - number
        if behind >= WINDOW or self.used >> behind & 1:
            raise ReplayError("the request's number was used")
        self.used |= 1 << behind


@dataclass(slots=True)
class _CallersSessions:
    """Sessions of one caller by their order; all below ``forgotten`` are refused for good."""

    windows: dict[int, _Window] = field(default_factory=dict)
    forgotten: int = -1


class Sessions:
    """Opens sessions and counts what is signed under them. Nothing of it outlives the process.

    Args:
        random: For the key of the MAC.
    """

    def __init__(self, random: Random) -> None:
        self._key = random.token_bytes(32)
        self._next = 0
        self._of: dict[Address, _CallersSessions] = {}

    def open(self) -> bytes:
        """A new session, 32 bytes. It is nobody's yet."""
        order, self._next = self._next, self._next + 1
        return u64(order) + self._mac(order)

    def count(self, caller: Address, proof: RequestProof) -> None:
        """Take note of a request whose signature is the caller's.

        Raises:
            VerificationError: Its session was not opened by this process.
            ReplayError: The number was used, or the session is forgotten for newer ones of the same caller.
        """
        order = int.from_bytes(proof.session[:8], "big")
        if not hmac.compare_digest(self._mac(order), proof.session[8:]):
            raise VerificationError("the session is not of this process")
        sessions = self._of.setdefault(caller, _CallersSessions())
        if order <= sessions.forgotten:
            raise ReplayError("the session is forgotten")
        sessions.windows.setdefault(order, _Window()).use(proof.number)
        if len(sessions.windows) > SESSIONS_PER_CALLER_MAX:
            sessions.forgotten = min(sessions.windows)
            del sessions.windows[sessions.forgotten]

    def _mac(self, order: int) -> bytes:
        return hmac.digest(self._key, _LABEL + u64(order), hashlib.sha256)[:_MAC_BYTES]


class CallerList:
    """The file of addresses; read again when it changes, so that a new caller needs no restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._names: dict[Address, str] = {}

    def name_of(self, caller: Address) -> str | None:
        """The caller's name, or its address; None for a stranger. Raises ConfigurationError for a damaged file."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        stamp = (status.st_mtime_ns, status.st_size)
        if stamp != self._stamp:
            self._names, self._stamp = read_callers(self._path), stamp
        return self._names.get(caller)


def read_callers(path: Path) -> dict[Address, str]:
    """The listed callers. Raises ConfigurationError: no such form, or others than the owner may write the file."""
    callers: dict[Address, str] = {}
    try:
        if path.stat().st_mode & 0o022:
            raise ConfigurationError(
                f"{path} may be written by others", remedy=f"chmod 600 {path}", code=ErrorCode.FILE_OPEN_TO_OTHERS
            )
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(
            f"{path} cannot be read: {exc}", remedy="Mend the file or its mode.", code=ErrorCode.FILE_UNUSABLE
        ) from exc
    for place, line in enumerate(lines, start=1):
        address, _, name = line.split("#", 1)[0].strip().partition(" ")
        if address:
            callers[_address(address, f"{path}:{place}")] = name.strip() or address
    return callers


def add_caller(path: Path, text: str, name: str) -> Address:
    """List a caller. Raises ConfigurationError: no address, a name that is none, or listed already."""
    address = _address(text, "the caller")
    if not name.isprintable() or "#" in name:
        raise ConfigurationError("a caller's name is plain text without '#'", code=ErrorCode.ARGUMENT_WRONG)
    if address in read_callers(path):
        raise ConfigurationError(f"0x{address.hex()} may ask already", code=ErrorCode.ARGUMENT_WRONG)
    before = path.read_text("utf-8") if path.exists() else _FILE_HEAD
    _write(path, f"{before.rstrip()}\n0x{address.hex()} {name}".rstrip() + "\n")
    return address


def remove_caller(path: Path, text: str) -> Address:
    """Take a caller off the list. Raises ConfigurationError if it is not there."""
    address = _address(text, "the caller")
    if address not in read_callers(path):
        raise ConfigurationError(f"0x{address.hex()} is not on the list", code=ErrorCode.ARGUMENT_WRONG)
    kept = [line for line in path.read_text("utf-8").splitlines() if not _names(line, address)]
    _write(path, "\n".join(kept) + "\n")
    return address


def _names(line: str, address: Address) -> bool:
    text = line.split("#", 1)[0].strip().partition(" ")[0]
    return bool(text) and _address(text, "the caller") == address


def _write(path: Path, text: str) -> None:
    replace_private_file(path, text.encode())


def _address(text: str, where: str) -> Address:
    try:
        return parse_address(bytes.fromhex(text.removeprefix("0x")))
    except (ValueError, DecodingError) as exc:
        raise ConfigurationError(
            f"{where}: {text[:60]!r} is no address",
            remedy="An address is 0x and 40 hex digits; `vgroup master init` shows it.",
            code=ErrorCode.ARGUMENT_WRONG,
        ) from exc
