"""Reads the HTTP requests and answers of one TCP connection as they pass, without touching them.

Only what a slave and its master say is understood: bodies with a Content-Length (RFC 9112 §6.2), one request after the
other, and at last perhaps a WebSocket (RFC 6455). Anything else is counted and passed over.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

_HEAD_END: Final = b"\r\n\r\n"
_HEAD_MAX_BYTES: Final = 16_384
_EXCHANGES_KEPT: Final = 64
"""Of one connection; a slave that joins makes four, and one that sends over /data as many as it has frames."""
_SHORT_FRAME_MAX_BYTES: Final = 125
"""Length of a WebSocket payload that stands in the second byte itself (RFC 6455 §5.2)."""
_MASK_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Message:
    """One HTTP request or answer.

    Attributes:
        first_line: ``POST /data HTTP/1.1`` or ``HTTP/1.1 200 OK``.
        wire_bytes: Its length with first line and headers.
        began_s: When its first byte passed, and ...
        ended_s: ... its last.
    """

    first_line: str
    body: bytes
    wire_bytes: int
    began_s: float
    ended_s: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with its answer."""

    request: Message
    answer: Message

    @property
    def path(self) -> str:
        """The request's path."""
        return self.request.first_line.split(" ")[1]

    @property
    def status(self) -> int:
        """The answer's status code."""
        return int(self.answer.first_line.split(" ")[1])

    @property
    def wire_bytes(self) -> int:
        """Bytes in both directions, headers included."""
        return self.request.wire_bytes + self.answer.wire_bytes


class MessageReader:
    """Cuts one direction of a connection into messages."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._began_s = 0.0
        self.total_bytes = 0
        self.is_opaque = False
        """Set when what follows is no HTTP any more: a WebSocket, or something unknown."""
        self.opaque_start = b""
        """The first bytes after that, as far as they are worth keeping."""

    def feed(self, chunk: bytes, now_s: float) -> list[Message]:
        """Take bytes that have just passed; answers the messages that are complete now."""
        self.total_bytes += len(chunk)
        if self.is_opaque:
            self._keep_opaque(chunk)
            return []
        if not self._pending:
            self._began_s = now_s
        self._pending += chunk
        messages = []
        while (message := self._next(now_s)) is not None:
            messages.append(message)
            self._began_s = now_s
        return messages

    def become_opaque(self) -> None:
        """From here on there is no HTTP in this direction."""
        self.is_opaque = True
        self._keep_opaque(bytes(self._pending))
        self._pending.clear()

    def _keep_opaque(self, chunk: bytes) -> None:
        self.opaque_start += chunk[: _HEAD_MAX_BYTES - len(self.opaque_start)]

    def _next(self, now_s: float) -> Message | None:
        if self.is_opaque:
            return None
        head_end = self._pending.find(_HEAD_END)
        if head_end < 0:
            if len(self._pending) > _HEAD_MAX_BYTES:
                self.become_opaque()
            return None
        lines = self._pending[:head_end].decode("latin-1").split("\r\n")
        wire_bytes = head_end + len(_HEAD_END) + _content_length(lines[1:])
        if len(self._pending) < wire_bytes:
            return None
        body = bytes(self._pending[head_end + len(_HEAD_END) : wire_bytes])
        del self._pending[:wire_bytes]
        if _is_upgrade(lines):
            self.become_opaque()
        return Message(lines[0], body, wire_bytes, self._began_s, now_s)


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes of one direction as they passed at one moment.

    Attributes:
        at_s: Seconds, on the clock of whoever captured.
        is_from_slave: Towards the master, or back.
    """

    at_s: float
    is_from_slave: bool
    payload: bytes


@dataclass(slots=True)
class RecordedConnection:
    """Both directions of one connection.

    Attributes:
        exchanges: The newest of them, oldest first.
        closed_s: When either side hung up; None while it is open.
        segments: Every byte in both directions, if they are kept.
    """

    opened_s: float
    to_master: MessageReader = field(default_factory=MessageReader)
    to_slave: MessageReader = field(default_factory=MessageReader)
    exchanges: deque[Exchange] = field(default_factory=lambda: deque(maxlen=_EXCHANGES_KEPT))
    closed_s: float | None = None
    segments: list[Segment] | None = None
    _unanswered: deque[Message] = field(default_factory=deque)

    @property
    def total_bytes(self) -> int:
        """Bytes in both directions so far."""
        return self.to_master.total_bytes + self.to_slave.total_bytes

    @property
    def is_stream(self) -> bool:
        """Whether it has become a WebSocket."""
        return self.to_slave.is_opaque

    def take_from_slave(self, chunk: bytes, now_s: float) -> None:
        """Note bytes on their way to the master."""
        self._keep(chunk, now_s, is_from_slave=True)
        self._unanswered.extend(self.to_master.feed(chunk, now_s))

    def take_from_master(self, chunk: bytes, now_s: float) -> None:
        """Note bytes on their way to the slave, and match answers with requests."""
        self._keep(chunk, now_s, is_from_slave=False)
        for answer in self.to_slave.feed(chunk, now_s):
            if self._unanswered:
                self.exchanges.append(Exchange(self._unanswered.popleft(), answer))

    def _keep(self, chunk: bytes, now_s: float, *, is_from_slave: bool) -> None:
        if self.segments is not None:
            self.segments.append(Segment(now_s, is_from_slave, chunk))

    def first_stream_message(self) -> bytes | None:
        """The slave's first WebSocket message (OPEN, docs/protocol.md §5.3), unmasked; None if there was none."""
        frame = self.to_master.opaque_start
        if len(frame) < 2 or not frame[1] & 0x80:
            return None
        length_bytes = frame[1] & 0x7F
        mask, masked = frame[2 : 2 + _MASK_BYTES], frame[2 + _MASK_BYTES : 2 + _MASK_BYTES + length_bytes]
        if length_bytes > _SHORT_FRAME_MAX_BYTES or len(masked) < length_bytes:
            return None
        return bytes(byte ^ mask[at % _MASK_BYTES] for at, byte in enumerate(masked))


def _content_length(headers: list[str]) -> int:
    for header in headers:
        name, _, value = header.partition(":")
        if name.strip().lower() == "content-length" and value.strip().isdigit():
            return int(value)
    return 0


def _is_upgrade(lines: list[str]) -> bool:
    """A request that asks for a WebSocket, or the answer that grants it."""
    return " 101" in lines[0][:13] or any(
        line.partition(":")[0].lower() == "upgrade" and not lines[0].startswith("HTTP/") for line in lines[1:]
    )
