"""The sending end of a master's ``/stream``: frames are sealed and written at once, while the peer takes any."""

import asyncio
import contextlib
from typing import Final

from group_protocol.channels import StreamSender
from group_protocol.errors import Reason
from group_protocol.frames import Close, MasterFrame, encode_frame
from group_protocol.limits import GENERATION_MAX_AGE_S
from master_api.context import MasterContext
from master_api.stream_socket import StreamSocket

_POLL_S: Final = 0.05


class StreamWriter:
    """Seals frames and writes them.

    Args:
        context: For clock and configuration.
        socket: The stream's.
        sealer: The session's.
    """

    def __init__(self, context: MasterContext, socket: StreamSocket, sealer: StreamSender) -> None:
        self._socket = socket
        self._clock = context.clock
        self._timeout_s = context.config.stream_send_timeout_s
        self._sealer = sealer
        self._generation_began_s = context.clock.monotonic_s()

    @property
    def is_ready(self) -> bool:
        """Whether the peer has taken enough of what was written before."""
        return self._socket.is_ready

    def write(self, frame: MasterFrame) -> None:
        """Seal a frame and write it at once; on a connection that is going down, nothing is written."""
        now_s = self._clock.monotonic_s()
        if now_s - self._generation_began_s >= GENERATION_MAX_AGE_S:
            self._sealer.begin_generation()
            self._generation_began_s = now_s
        self._socket.send(self._sealer.seal(encode_frame(frame)))

    async def wait_until_ready(self) -> None:
        """Raises TimeoutError where the peer takes nothing for the send timeout, ConnectionError where it is gone."""
        if self.is_ready:
            return
        async with asyncio.timeout(self._timeout_s):
            while not self.is_ready:
                if self._socket.is_closing:
                    raise ConnectionResetError("the connection is going down")
                await asyncio.sleep(_POLL_S)

    async def close(self, reason: Reason | None, code: int) -> None:
        """Send CLOSE, if there is a reason to tell, and close the socket."""
        if reason is not None:
            with contextlib.suppress(ConnectionError, TimeoutError):
                await self.wait_until_ready()
                self.write(Close(reason))
        await self._socket.close(code)
