"""A kept-alive HTTP connection that costs an attacker little, from any loopback address."""

import asyncio
from types import TracebackType
from typing import Final, Self

HOST: Final = "127.0.0.1"
ANSWER_TIMEOUT_S: Final = 20.0
_HEAD_END: Final = b"\r\n\r\n"


def post_bytes(path: str, body: bytes) -> bytes:
    """A whole request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def loopback_address(number: int) -> str:
    """The number-th attacker's address: Linux answers to all of 127.0.0.0/8."""
    return f"127.7.{number // 250}.{number % 250 + 1}"


class Wire:
    """One connection from ``source`` to a master. It is opened again when the master closed it."""

    def __init__(self, port: int, source: str, *, answer_timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self._port = port
        self._source = source
        self._answer_timeout_s = answer_timeout_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._drop()

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body; status 0 if there was no answer."""
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                return await self._exchange(post_bytes(path, body))
        except (OSError, EOFError, TimeoutError):
            self._drop()
            return 0, b""

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self._port, local_addr=(self._source, 0))
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(_HEAD_END)).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        body = await reader.readexactly(length)
        if b"connection: close" in head:
            self._drop()
        return int(head.split(b" ", 2)[1]), body

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
