"""Log entries for journald, each with its fields, in the journal's own datagram format.

(systemd's "Native Journal Protocol".) ``journalctl -u vgroup-master VGROUP_PEER=192.0.2.7`` then finds what it should.
"""

import array
import contextlib
import fcntl
import logging
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from group_protocol.errors import VirtualGroupError

JOURNAL_SOCKET: Final = Path("/run/systemd/journal/socket")
FIELD_PREFIX: Final = "VGROUP_"
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Z0-9_]")
_NAME_MAX_CHARACTERS: Final = 64
_DATAGRAM_MAX_BYTES: Final = 128 * 1024
"""Longer entries go as a sealed file in memory, whose descriptor is sent."""
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL

_SEND_TIMEOUT_S: Final = 0.2

_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""syslog(3) severities; what is below INFO is debug, 7."""


def writes_to_journal(environment: Mapping[str, str] | None = None, descriptor: int = 2) -> bool:
    """Whether stderr is a stream of the journal: ``JOURNAL_STREAM`` names its device and inode (systemd.exec(5))."""
    environment = os.environ if environment is None else environment
    device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(descriptor)
        return (status.st_dev, status.st_ino) == (int(device), int(inode))
    except (OSError, ValueError):
        return False


class JournalHandler(logging.Handler):
    """Sends each entry as one datagram: message, severity, logger, place in the code, and the fields of the entry.

    Args:
        identifier: What the journal shows as the program's name.
        address: The journal's socket.
    """

    def __init__(self, identifier: str, address: Path = JOURNAL_SOCKET) -> None:
        super().__init__()
        self._identifier = identifier
        self._address = str(address)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(_SEND_TIMEOUT_S)

    def emit(self, record: logging.LogRecord) -> None:
        """Send it. A journal that is not there loses the entry; it stops nothing."""
        try:
            entry = encode_entry(self._fields(record))
        except Exception:  # noqa: BLE001 - as every handler of logging: a bad entry is reported, not raised
            self.handleError(record)
            return
        with contextlib.suppress(OSError):
            if len(entry) <= _DATAGRAM_MAX_BYTES:
                self._socket.sendto(entry, self._address)
            else:
                self._send_as_file(entry)

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()
        super().close()

    def _fields(self, record: logging.LogRecord) -> dict[str, str]:
        own = fields_of(record)
        # The journal shows the message alone: what matters should stand in it too.
        shown = " ".join(f"{name}={value}" for name, value in own.items())
        fields = {
            "MESSAGE": f"{record.getMessage()} {shown}".rstrip(),
            "PRIORITY": str(next((number for level, number in _PRIORITIES if record.levelno >= level), 7)),
            "SYSLOG_IDENTIFIER": self._identifier,
            "LOGGER": record.name,
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            "CODE_FUNC": record.funcName or "",
            f"{FIELD_PREFIX}EVENT": record.getMessage(),
        }
        if record.exc_info:
            traceback = logging.Formatter().formatException(record.exc_info)
            fields["MESSAGE"] += "\n" + traceback
            fields[f"{FIELD_PREFIX}TRACEBACK"] = traceback
        return fields | {FIELD_PREFIX + str(name).upper(): str(value) for name, value in own.items()}

    def _send_as_file(self, entry: bytes) -> None:
        with os.fdopen(os.memfd_create("entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "wb", buffering=0) as file:
            file.write(entry)
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()]))
            self._socket.sendmsg([], [rights], 0, self._address)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """The entry's own fields; with ``code`` where it speaks of an error of ours, as an argument or with a traceback."""
    given = getattr(record, "fields", None)
    own: dict[str, object] = given if isinstance(given, dict) else {}
    arguments = record.args if isinstance(record.args, tuple) else ()
    raised = record.exc_info[1] if record.exc_info else None
    error = next((one for one in (*arguments, raised) if isinstance(one, VirtualGroupError)), None)
    return own if error is None else {"code": error.code, **own}


def encode_entry(fields: Mapping[str, str]) -> bytes:
    """``NAME=value`` lines; a value with a newline goes as its name, its length in 8 bytes (little endian), itself."""
    parts = []
    for name, value in fields.items():
        safe_name = _NOT_IN_A_NAME.sub("_", name).lstrip("_")[:_NAME_MAX_CHARACTERS].encode("ascii")
        content = value.encode("utf-8", "replace")
        if b"\n" in content:
            parts.append(safe_name + b"\n" + len(content).to_bytes(8, "little") + content + b"\n")
        else:
            parts.append(safe_name + b"=" + content + b"\n")
    return b"".join(parts)
