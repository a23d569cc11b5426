"""What a WebSocket has received, many messages at a time.

aiohttp parses a whole TCP segment into messages and queues them; asking for them one by one costs more than opening,
judging and storing what they hold. So its queue is emptied in one go. The queue is not part of aiohttp's public
interface: where it is not what we know, messages come one by one, and all else stays as it is
(``tests/unit/master_api/test_stream_messages.py`` notices).
"""

from typing import Any, Final

from aiohttp import WSMsgType, web

from group_protocol.errors import DecodingError

MESSAGES_MAX: Final = 512
"""Taken at a time: other streams want their turn."""
BYTES_MAX: Final = 65_536
"""The same in bytes; one message more may come on top."""
_ENDS: Final = frozenset({WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR})


class StreamMessages:
    """The receiving end of a prepared socket."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        reader = getattr(socket, "_reader", None)
        self._reader = reader
        self._queued: Any = getattr(reader, "_buffer", ())

    async def receive(self, room_bytes: int) -> list[bytes]:
        """Wait for a message, and take with it what has been received behind it. Empty when the peer has closed.

        Args:
            room_bytes: Begin no other message once so many bytes are taken.

        Raises:
            DecodingError: A text message.
        """
        first = await self._socket.receive()
        if first.type in _ENDS:
            return []
        if first.type is not WSMsgType.BINARY:
            raise DecodingError("a stream has binary messages only")
        messages: list[bytes] = [first.data]
        queued = self._queued
        if not queued or self._reader is None:
            return messages
        taken_bytes, room_bytes = len(first.data), min(room_bytes, BYTES_MAX)
        while queued and len(messages) < MESSAGES_MAX and taken_bytes < room_bytes:
            if queued[0][0].type is not WSMsgType.BINARY:
                break  # pings, the close and errors are the socket's own affair
            message = await self._reader.read()
            messages.append(message.data)
            taken_bytes += len(message.data)
        return messages
