"""The master's end of a stream's WebSocket, once the handshake is done (RFC 6455).

aiohttp makes the handshake and, in compiled code, messages of bytes. What it has between its parser and whoever reads
is left out: with one message at a time from each of a thousand devices, its queue, its future, a task's turn and a
heartbeat set anew for each chunk took a fifth of the loop's time; and as it rounds heartbeats up to the second, a
thousand sockets had theirs at once. Here messages are told of by a call, and one timer serves all sockets (ADR 0032).
"""

import asyncio
import contextlib
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from aiohttp import web
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http_websocket import WebSocketError, WebSocketReader, WSCloseCode, WSMsgType

from group_protocol.errors import DecodingError
from group_protocol.limits import STREAM_MESSAGE_MAX_BYTES

MESSAGES_MAX: Final = 512
"""Taken at a time: other streams want their turn."""
BYTES_MAX: Final = 65_536
"""The same in bytes; one message more may come on top."""
RECEIVED_MAX_BYTES: Final = 131_072
"""With more than that not taken, the transport is not read any further; what it reads in one go may come on top."""
_MESSAGE_OVERHEAD_BYTES: Final = 128
"""Counted with each message: many tiny ones take memory too."""
UNSENT_MAX_BYTES: Final = 65_536
"""More that the peer has not taken, and nothing more is written: some thousand ACKs, or a few messages."""
_CLOSE_S: Final = 2.0
"""Time for the peer's half of the closing handshake, and for what is not yet sent."""

_FINAL_BINARY: Final = 0x82
_FINAL_CLOSE: Final = 0x88
_FINAL_PONG: Final = 0x8A
_PING: Final = b"\x89\x00"
_SHORT_MAX_BYTES: Final = 125
_MIDDLE_MAX_BYTES: Final = 0xFFFF
_SHORT: Final = struct.Struct(">BB")
_MIDDLE: Final = struct.Struct(">BBH")
_LONG: Final = struct.Struct(">BBQ")
_CODE: Final = struct.Struct(">H")
_BINARY: Final = WSMsgType.BINARY


def binary_message(payload: bytes) -> bytes:
    """A whole binary message, as a server sends it: without a mask (RFC 6455 §5.2)."""
    length_bytes = len(payload)
    if length_bytes <= _SHORT_MAX_BYTES:
        return _SHORT.pack(_FINAL_BINARY, length_bytes) + payload
    if length_bytes <= _MIDDLE_MAX_BYTES:
        return _MIDDLE.pack(_FINAL_BINARY, 126, length_bytes) + payload
    return _LONG.pack(_FINAL_BINARY, 127, length_bytes) + payload


def _do_nothing() -> None:
    """Nobody wants to hear of it."""


class StreamSocket(asyncio.Protocol):
    """One peer's messages in, and ours out.

    Attributes:
        on_received: Called when messages have come, or none will come any more; raises nothing.
        silent_beats: How many beats ago the peer was last heard; see :class:`Pulse`.
    """

    def __init__(self, transport: asyncio.Transport, before: asyncio.BaseProtocol) -> None:
        """Take the transport over from the protocol that made the handshake, which still hears of its end."""
        self.on_received: Callable[[], None] = _do_nothing
        self.silent_beats = 0
        self._transport = transport
        self._before = before
        self._received: deque[bytes] = deque()
        self._received_bytes = 0
        self._is_paused = False
        self._is_over = False  # nothing more is taken in
        self._fault: DecodingError | None = None
        self._close_code = 0  # the peer's, or what its fault is closed with
        self._has_said_close = False
        self._has_heard_close = asyncio.Event()  # or that it is gone
        queue = _Arrivals(self._arrive, self._fail)
        self._parser = WebSocketReader(queue, STREAM_MESSAGE_MAX_BYTES, compress=False, decode_text=False)
        transport.set_protocol(self)

    @property
    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self._has_said_close or self._transport.is_closing()

    @property
    def is_ready(self) -> bool:
        """Whether the peer has taken enough of what was written before."""
        return self._transport.get_write_buffer_size() <= UNSENT_MAX_BYTES

    @property
    def is_read_to_end(self) -> bool:
        """Whether all was taken, and nothing more will come, nor an error be raised."""
        return self._is_over and not self._received and self._fault is None

    @property
    def has_more(self) -> bool:
        """Whether there is something to take, or to learn that there will be nothing."""
        return self._is_over or bool(self._received)

    def take(self, room_bytes: int) -> list[bytes]:
        """Messages that have come, in their order, up to the bounds of a turn.

        Args:
            room_bytes: Begin no other message once so many bytes are taken; the first is taken in any case.

        Raises:
            DecodingError: All before was taken, and what came then is no binary message.
        """
        received = self._received
        if not received:
            if self._fault is not None:
                raise self._fault
            return []
        messages = [received.popleft()]
        taken_bytes, room_bytes = len(messages[0]), min(room_bytes, BYTES_MAX)
        while received and taken_bytes < room_bytes and len(messages) < MESSAGES_MAX:
            message = received.popleft()
            messages.append(message)
            taken_bytes += len(message)
        self._received_bytes -= taken_bytes + len(messages) * _MESSAGE_OVERHEAD_BYTES
        if self._is_paused and self._received_bytes < BYTES_MAX:
            self._resume()
        return messages

    def send(self, payload: bytes) -> None:
        """Write a binary message at once; on a connection that is going down, nothing happens."""
        if not self.is_closing:
            self._transport.write(binary_message(payload))

    async def close(self, code: int) -> None:
        """Say that it ends, and why (RFC 6455 §7.4); wait a moment for the peer to say so too, and let go.

        A peer that broke the WebSocket protocol, or closed first, is answered with its own code.
        """
        self._is_over = True
        self._received.clear()
        self.on_received = _do_nothing
        if not self.is_closing:
            self._resume()  # its own close is to be heard
            self._transport.write(_close_message(self._close_code or code))
            self._has_said_close = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await self._has_heard_close.wait()
        self.let_go()

    def let_go(self) -> None:
        """Close the connection; what the peer does not take within a moment is dropped with it."""
        if not self._transport.is_closing():
            self._transport.close()
            if self._transport.get_write_buffer_size():
                asyncio.get_running_loop().call_later(_CLOSE_S, self._transport.abort)

    def ping(self) -> None:
        """Ask the peer for a sign of life."""
        if not self.is_closing:
            self._transport.write(_PING)

    def abort(self) -> None:
        """The peer is gone: drop the connection."""
        self._transport.abort()

    @property
    def is_listening(self) -> bool:
        """Whether silence would be the peer's: the transport is being read."""
        return not self._is_paused

    def data_received(self, data: bytes) -> None:
        """From the transport."""
        self.silent_beats = 0
        self._parser.feed_data(data)
        if self._received_bytes > RECEIVED_MAX_BYTES and not self._is_paused and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()
        self.on_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """From the transport: for the protocol before us, the connection is over too."""
        self._is_over = True
        self._has_heard_close.set()
        self._before.connection_lost(exc)
        self.on_received()

    def _resume(self) -> None:
        if self._is_paused and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()

    def _arrive(self, message: Any) -> None:  # noqa: ANN401 - one of aiohttp's named tuples
        """A whole message, or a control frame between messages."""
        kind, content = message[0], message[1]
        if kind is WSMsgType.CLOSE:
            self._close_code = self._close_code or content
            self._is_over = True
            self._has_heard_close.set()
        elif self._is_over:
            return
        elif kind is _BINARY:
            self._received.append(content)
            self._received_bytes += len(content) + _MESSAGE_OVERHEAD_BYTES
        elif kind is WSMsgType.PING:
            if not self.is_closing and self.is_ready:  # a newer ping than one unanswered is answer enough (§5.5.3)
                self._transport.write(_SHORT.pack(_FINAL_PONG, len(content)) + content)
        elif kind is WSMsgType.TEXT:
            self._fault = DecodingError("a stream has binary messages only")
            self._is_over = True

    def _fail(self, error: BaseException) -> None:
        """What came is no WebSocket message, or too large a one."""
        self._close_code = error.code if isinstance(error, WebSocketError) else WSCloseCode.PROTOCOL_ERROR
        self._is_over = True


class _Arrivals(WebSocketDataQueue):
    """Where aiohttp's parser puts what it finds. Its own queue wakes a task; this one calls."""

    def __init__(self, arrive: Callable[[Any], None], fail: Callable[[BaseException], None]) -> None:
        super().__init__(cast("Any", None), 0, loop=asyncio.get_running_loop())
        self._arrive = arrive
        self._fail = fail

    def feed_data(self, data: Any, size: int) -> None:  # noqa: ANN401, ARG002 - aiohttp's signature
        self._arrive(data)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:  # noqa: ARG002
        self._fail(exc)


def _close_message(code: int) -> bytes:
    return _SHORT.pack(_FINAL_CLOSE, _CODE.size) + _CODE.pack(code)


async def accept_stream(request: web.BaseRequest, socket: web.WebSocketResponse) -> StreamSocket | None:
    """Make the handshake and take the connection over; None if it is gone already.

    What a peer sends before it has our half of the handshake is not looked at (RFC 6455 §4.1 forbids it).
    """
    transport = request.transport
    if transport is not None:
        transport.pause_reading()
    await socket.prepare(request)
    if transport is None or transport.is_closing():
        return None
    made = StreamSocket(transport, request.protocol)
    transport.resume_reading()
    return made


class Pulse:
    """One timer that finds the peers that have gone without a word: half-open connections.

    Args:
        heartbeat_s: A peer that was silent for so long is asked for a sign; one that stays silent for half as long
            again is gone.
    """

    ASKED_AFTER_BEATS: Final = 8
    GONE_AFTER_BEATS: Final = 12

    def __init__(self, heartbeat_s: float) -> None:
        self._beat_s = heartbeat_s / self.ASKED_AFTER_BEATS
        self._sockets: set[StreamSocket] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, socket: StreamSocket) -> None:
        """Watch it from now on."""
        self._sockets.add(socket)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._beat_s, self._beat)

    def discard(self, socket: StreamSocket) -> None:
        """Watch it no longer."""
        self._sockets.discard(socket)
        if not self._sockets and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._beat_s, self._beat)
        for socket in self._sockets:
            if not socket.is_listening:
                continue
            socket.silent_beats += 1
            if socket.silent_beats == self.ASKED_AFTER_BEATS:
                socket.ping()
            elif socket.silent_beats >= self.GONE_AFTER_BEATS:
                socket.abort()
