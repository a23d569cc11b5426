"""Many WebSocket messages in one write to the network.

aiohttp's writer makes one system call for each message, which costs more than sealing it. Here the same writer fills a
list instead, and the list is written at once. What this needs of aiohttp is not all public: where something is not what
we know, there is no corked writer and messages go out one by one (``tests/unit/slave_client/test_corked_writer.py``
notices).
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Self, cast

import aiohttp
from aiohttp.http_websocket import WebSocketWriter


class _Cork:
    """Stands where the writer's transport stands."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.pieces: list[bytes] = []

    def is_closing(self) -> bool:
        """As the transport says."""
        return self._transport.is_closing()

    def write(self, piece: bytes) -> None:
        """Keep it."""
        self.pieces.append(piece)

    def flush(self) -> None:
        """Write all that was kept."""
        pieces, self.pieces = self.pieces, []
        self._transport.write(b"".join(pieces))


class CorkedWriter:
    """Writes to an open client WebSocket beside its own writer."""

    def __init__(self, protocol: Any, transport: asyncio.Transport) -> None:  # noqa: ANN401 - aiohttp's own protocol
        self._protocol = protocol
        self._cork = _Cork(transport)
        self._writer = WebSocketWriter(protocol, cast("asyncio.Transport", self._cork), use_mask=True)

    @classmethod
    def on(cls, socket: aiohttp.ClientWebSocketResponse) -> Self | None:
        """For this socket, if aiohttp is as we know it."""
        writer = getattr(socket, "_writer", None)
        protocol, transport = getattr(writer, "protocol", None), getattr(writer, "transport", None)
        if transport is None or not hasattr(protocol, "_drain_helper") or getattr(writer, "compress", None):
            return None
        return cls(protocol, transport)

    async def send(self, messages: Sequence[bytes]) -> None:
        """Send binary messages; waits while the network is slower than we are.

        Raises:
            ConnectionError: The connection is closing.
        """
        for message in messages:
            await self._writer.send_frame(message, aiohttp.WSMsgType.BINARY)
        self._cork.flush()
        await self._protocol._drain_helper()  # noqa: SLF001 - returns at once unless the transport's buffer is full
