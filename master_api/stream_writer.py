"""The sending end of a master's ``/stream``: sealed frames as binary WebSocket messages (RFC 6455 §5.2).

aiohttp's own ``send_bytes`` is a coroutine and needs a task's turn, a timer and some calls for each message: more than
making the ACK and sealing it. A server's messages carry no mask, so that one is a head of a few bytes and the sealed
frame; it is written to the transport at once, and nothing waits unless the peer takes nothing.
"""

import asyncio
import contextlib
import struct
from typing import Final

from aiohttp import web

from group_protocol.channels import StreamSender
from group_protocol.errors import Reason
from group_protocol.frames import Close, MasterFrame, encode_frame
from group_protocol.limits import GENERATION_MAX_AGE_S
from master_api.context import MasterContext

UNSENT_MAX_BYTES: Final = 65_536
"""More that the peer has not taken, and nothing more is written: some thousand ACKs, or a few messages."""
_POLL_S: Final = 0.05
_FINAL_BINARY: Final = 0x82
_SHORT_MAX_BYTES: Final = 125
_MIDDLE_MAX_BYTES: Final = 0xFFFF
_SHORT: Final = struct.Struct(">BB")
_MIDDLE: Final = struct.Struct(">BBH")
_LONG: Final = struct.Struct(">BBQ")


def binary_message(payload: bytes) -> bytes:
    """A whole binary message, as a server sends it."""
    length_bytes = len(payload)
    if length_bytes <= _SHORT_MAX_BYTES:
        return _SHORT.pack(_FINAL_BINARY, length_bytes) + payload
    if length_bytes <= _MIDDLE_MAX_BYTES:
        return _MIDDLE.pack(_FINAL_BINARY, 126, length_bytes) + payload
    return _LONG.pack(_FINAL_BINARY, 127, length_bytes) + payload


class StreamWriter:
    """Seals frames and writes them.

    Args:
        context: For clock and configuration.
        socket: A prepared one, without compression.
        transport: The socket's.
        sealer: The session's.
    """

    def __init__(
        self,
        context: MasterContext,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        sealer: StreamSender,
    ) -> None:
        self.socket = socket
        self._transport = transport
        self._clock = context.clock
        self._timeout_s = context.config.stream_send_timeout_s
        self._sealer = sealer
        self._generation_began_s = context.clock.monotonic_s()

    @property
    def is_ready(self) -> bool:
        """Whether the peer has taken enough of what was written before."""
        return self._transport.get_write_buffer_size() <= UNSENT_MAX_BYTES

    def write(self, frame: MasterFrame) -> None:
        """Seal a frame and write it at once; on a connection that is going down, nothing happens."""
        if self.socket.closed or self._transport.is_closing():
            return  # the reader hears of it
        now_s = self._clock.monotonic_s()
        if now_s - self._generation_began_s >= GENERATION_MAX_AGE_S:
            self._sealer.begin_generation()
            self._generation_began_s = now_s
        self._transport.write(binary_message(self._sealer.seal(encode_frame(frame))))

    async def wait_until_ready(self) -> None:
        """Raises TimeoutError where the peer takes nothing for the send timeout, ConnectionError where it is gone."""
        if self.is_ready:
            return
        async with asyncio.timeout(self._timeout_s):
            while not self.is_ready:
                if self._transport.is_closing():
                    raise ConnectionResetError("the connection is going down")
                await asyncio.sleep(_POLL_S)

    async def close(self, reason: Reason | None, code: int) -> None:
        """Send CLOSE, if there is a reason to tell, and close the socket."""
        if reason is not None:
            with contextlib.suppress(ConnectionError, TimeoutError):
                await self.wait_until_ready()
                self.write(Close(reason))
        await self.socket.close(code=code)
