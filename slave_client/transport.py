"""The way to the master: one kept-alive HTTP connection for every step, and the stream on it (``docs/protocol.md`` §2).

Everything foreign ends here: what the network raises and what a wrong server answers become errors of ours.
"""

import asyncio
import os
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

import aiohttp

from group_protocol.errors import BusyError, DecodingError
from group_protocol.limits import DATA_BODY_MAX_BYTES, HANDSHAKE_BODY_MAX_BYTES, STREAM_MESSAGE_MAX_BYTES
from group_protocol.messages import REFUSAL_BODY
from slave_client.corked_writer import CorkedWriter
from slave_client.errors import MasterRefusalError, MasterUnreachableError, StreamClosedError
from slave_client.finding.places import join_authority
from slave_client.handed_connector import HandedConnector
from slave_client.http_connection import BrokenAnswerError, HttpConnection

HEARTBEAT_S: Final = 20.0
_SILENT_BEATS: Final = 1.5
"""After so many heartbeats a silent master is gone; aiohttp counts a stream's the same way."""
_RETRY_AFTER_MAX_S: Final = 300
_CHECK_ADDRESS: Final = "Check that the master runs (vgroup master run), and the host, port and network between."


class Transport:
    """One master's address. Use as an async context manager.

    Args:
        host: Name or IP address, an IPv6 address without brackets, a link-local one with its scope.
        port: TCP port.
        connect_timeout_s: For name look-up and TCP together.
        answer_timeout_s: For a whole answer, other than to /data; association may take the master 20 s (§7).
        heartbeat_s: Ping interval of the stream; a peer that is silent for half as long again counts as gone, on
            /data too.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        connect_timeout_s: float = 10.0,
        answer_timeout_s: float = 30.0,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._authority = join_authority(host, port)
        self._connection = HttpConnection(host, port, connect_timeout_s=connect_timeout_s)
        self._connect_timeout_s = connect_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._silence_s = _SILENT_BEATS * heartbeat_s
        self._heartbeat_s = heartbeat_s
        self._is_open = False
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_open = False
        self._connection.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, path: str, body: bytes) -> bytes:
        """Send a body and answer the master's.

        Raises:
            MasterRefusalError: The uniform refusal.
            BusyError: Too much load; says when to come back.
            MasterUnreachableError: No connection, no answer in time, or something that is no vgroup master.
        """
        self._require_open()
        is_data = path == "/data"
        max_bytes = DATA_BODY_MAX_BYTES if is_data else HANDSHAKE_BODY_MAX_BYTES
        try:
            async with asyncio.timeout(self._silence_s if is_data else self._answer_timeout_s):
                answer = await self._connection.post(path, body, body_max_bytes=max_bytes)
        except (BrokenAnswerError, OSError) as exc:
            raise self._unreachable(exc) from exc
        return self._judge(answer.status, answer.retry_after, answer.body)

    async def post_twice(self, path: str, body: bytes) -> bytes:
        """Like :meth:`post`, once more if the connection broke.

        For sealed requests alone: a repeated one gets the stored answer (§5.2).
        """
        try:
            return await self.post(path, body)
        except MasterUnreachableError:
            return await self.post(path, body)

    async def open_stream(self) -> "Stream":
        """Open the WebSocket on the connection. Raises MasterUnreachableError, MasterRefusalError or BusyError."""
        self._require_open()
        try:
            socket = await self._stream_session().ws_connect(
                f"ws://{self._authority}/stream",
                max_msg_size=STREAM_MESSAGE_MAX_BYTES,
                compress=0,
                heartbeat=self._heartbeat_s,
                timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
            )
        except aiohttp.WSServerHandshakeError as exc:
            retry_after = exc.headers.get("Retry-After", "") if exc.headers else ""
            self._judge(exc.status, retry_after, REFUSAL_BODY)
            raise self._unreachable(exc) from exc
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise self._unreachable(exc) from exc
        return Stream(socket)

    def _stream_session(self) -> aiohttp.ClientSession:
        """Aiohttp's client, for the stream alone; made when the first is opened."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=HandedConnector(self._connection),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._answer_timeout_s, connect=self._connect_timeout_s),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _require_open(self) -> None:
        if not self._is_open:
            raise MasterUnreachableError("the transport is closed")

    def _judge(self, status: int, retry_after: str, answer: bytes) -> bytes:
        if status == 200:
            return answer
        if status == 400 and answer == REFUSAL_BODY:
            raise MasterRefusalError("the master refused the request")
        if status == 429:
            wait_s = int(retry_after) if retry_after.isdigit() and len(retry_after) < 6 else 1
            raise BusyError("the master is busy", retry_after_s=min(max(wait_s, 1), _RETRY_AFTER_MAX_S))
        raise MasterUnreachableError(f"{self._authority} answered with status {status}", remedy=_CHECK_ADDRESS)

    def _unreachable(self, error: BaseException) -> MasterUnreachableError:
        return MasterUnreachableError(f"no connection to {self._authority}: {_why(error)}", remedy=_CHECK_ADDRESS)


def _why(error: BaseException) -> str:
    """In the system's words, without the call that failed."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


class Stream:
    """An open WebSocket that carries binary messages only."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._corked = CorkedWriter.on(socket)

    async def send(self, message: bytes) -> None:
        """Send one message; waits while the network is slower than we are. Raises StreamClosedError."""
        try:
            await self._socket.send_bytes(message)
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as exc:
            raise StreamClosedError(f"the stream broke: {exc}") from exc

    async def send_many(self, messages: Sequence[bytes]) -> None:
        """Send messages, as one write to the network if there are several. Raises StreamClosedError."""
        try:
            if self._corked is not None and len(messages) > 1:
                await self._corked.send(messages)
                return
            for message in messages:
                await self._socket.send_bytes(message)
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as exc:
            raise StreamClosedError(f"the stream broke: {exc}") from exc

    async def receive(self) -> bytes:
        """The next message. Raises StreamClosedError when the stream has ended, DecodingError for a text message."""
        try:
            message = await self._socket.receive()
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as exc:
            raise StreamClosedError(f"the stream broke: {exc}") from exc
        if message.type is aiohttp.WSMsgType.BINARY:
            received: bytes = message.data
            return received
        if message.type is aiohttp.WSMsgType.TEXT:
            raise DecodingError("the master sent text on the stream")
        raise StreamClosedError(f"the stream was closed (code {self._socket.close_code})")

    async def close(self) -> None:
        """Close it in good order, or let it go after two seconds."""
        await self._socket.close()
