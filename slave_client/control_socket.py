"""A running slave takes its user's messages on a Unix socket in the state directory, which only its owner can enter.

One line of JSON each way: ``{"to", "payload", "readings", "wait_s"}`` (byte values in hex), answered ``{"seq",
"is_acknowledged"}`` or ``{"error": {"message", "remedy", "reason", "code"}}``.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from group_protocol.error_codes import ErrorCode, find_code
from group_protocol.errors import ConfigurationError, Reason, RefusedError, StoreError, VirtualGroupError
from group_protocol.identifiers import ObjectId, parse_object_id
from group_protocol.limits import PAYLOAD_MAX_BYTES
from system_ports.private_files import PRIVATE_FILE_MODE
from system_ports.unix_sockets import short_socket_path

SOCKET_NAME: Final = "control.sock"
_LINE_MAX_BYTES: Final = 2 * PAYLOAD_MAX_BYTES + 1_024
_ANSWER_TIMEOUT_S: Final = 10.0
"""Beyond what the user is willing to wait."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A message to send.

    Attributes:
        readings: How many readings the payload holds.
        wait_s: How long to wait for the master's ACK.
    """

    to: ObjectId
    payload: bytes
    readings: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a message. ``is_acknowledged``: the master has it, signed, in its store."""

    seq: int
    is_acknowledged: bool


Send = Callable[[Wish], Awaitable[Sent]]


@asynccontextmanager
async def control_socket(folder: Path, send: Send) -> AsyncIterator[None]:
    """Listen as long as the context lasts. The folder's lock is held, so a socket that is there is nobody's.

    Raises:
        ConfigurationError: The file system holds no sockets.
    """
    with short_socket_path(folder / SOCKET_NAME) as path:
        with contextlib.suppress(FileNotFoundError):
            (folder / SOCKET_NAME).unlink()
        try:
            server = await asyncio.start_unix_server(_Answering(send).answer, path, limit=_LINE_MAX_BYTES)
            (folder / SOCKET_NAME).chmod(PRIVATE_FILE_MODE)
        except OSError as exc:
            raise ConfigurationError(
                f"cannot listen on {folder / SOCKET_NAME}: {exc.strerror}", code=ErrorCode.FILE_UNUSABLE
            ) from exc
        try:
            yield
        finally:
            server.close()
            with contextlib.suppress(FileNotFoundError):
                (folder / SOCKET_NAME).unlink()


async def ask_running_slave(folder: Path, wish: Wish) -> Sent | None:
    """Have the running slave send a message; None if none runs.

    Raises:
        RefusedError: The master refused the message.
        VirtualGroupError: What else went wrong there.
    """
    with short_socket_path(folder / SOCKET_NAME) as path:
        try:
            reader, writer = await asyncio.open_unix_connection(path, limit=_LINE_MAX_BYTES)
        except OSError:
            return None
        fields = {"to": wish.to.hex(), "payload": wish.payload.hex(), "readings": wish.readings, "wait_s": wish.wait_s}
        try:
            writer.write(json.dumps(fields).encode() + b"\n")
            async with asyncio.timeout(wish.wait_s + _ANSWER_TIMEOUT_S):
                answer = json.loads(await reader.readline())
        except (OSError, TimeoutError, ValueError) as exc:
            raise StoreError(
                "the running slave did not answer", remedy="See: vgroup slave status", code=ErrorCode.SERVICE_SILENT
            ) from exc
        finally:
            writer.close()
    if "error" in answer:
        raise _error_of(answer["error"])
    return Sent(answer["seq"], answer["is_acknowledged"])


class _Answering:
    def __init__(self, send: Send) -> None:
        self._send = send

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = await self._answer(await reader.readline())
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (OSError, ValueError):
            return  # whoever asked is gone, or sent a line without an end
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, object]:
        try:
            fields = json.loads(line)
            wish = Wish(
                parse_object_id(bytes.fromhex(fields["to"])),
                bytes.fromhex(fields["payload"]),
                int(fields["readings"]),
                float(fields["wait_s"]),
            )
            sent = await self._send(wish)
        except VirtualGroupError as exc:
            reason = exc.reason if isinstance(exc, RefusedError) else None
            return {"error": {"message": str(exc), "remedy": exc.remedy, "reason": reason, "code": exc.code}}
        except (ValueError, KeyError, TypeError):
            return {
                "error": {
                    "message": "this is no message to send",
                    "remedy": "",
                    "reason": None,
                    "code": ErrorCode.VERSIONS_DIFFER,
                }
            }
        return {"seq": sent.seq, "is_acknowledged": sent.is_acknowledged}


def _error_of(fields: dict[str, object]) -> VirtualGroupError:
    message, remedy, reason = str(fields["message"]), str(fields["remedy"]), fields["reason"]
    code = find_code(fields.get("code"))
    if isinstance(reason, int):
        return RefusedError(Reason(reason), message, remedy=remedy, code=code)
    return StoreError(message, remedy=remedy, code=code)
