"""A TCP proxy on loopback that stands between one slave and its master and remembers what passes.

It is an ear on the wire, for measurements and for the demo: byte counts, times, and the very bytes that attacks send
again. Where no packet sniffer is installed it takes the place of one.
"""

import asyncio
import contextlib
from collections.abc import Callable
from time import perf_counter
from typing import Self

from measure.wire.capture import Exchange, RecordedConnection

_CHUNK_BYTES = 65_536


class RecordingProxy:
    """Listens on a free port and passes every connection on. Use as an async context manager.

    Args:
        host: Where the master listens.
        port: Its port.
        keeps_segments: Keep every byte, for an analysis of the capture. A long stream needs as much memory.
    """

    def __init__(self, host: str, port: int, *, keeps_segments: bool = False) -> None:
        self._target = (host, port)
        self._keeps_segments = keeps_segments
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.connections: list[RecordedConnection] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self._target[0], 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def exchanges(self, path: str) -> list[Exchange]:
        """All kept exchanges with this path, oldest first."""
        return [
            exchange for connection in self.connections for exchange in connection.exchanges if exchange.path == path
        ]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        connection = RecordedConnection(perf_counter(), segments=[] if self._keeps_segments else None)
        self.connections.append(connection)
        try:
            # Cancelled only when the proxy closes, and then nobody is left whom asyncio.streams could tell.
            with contextlib.suppress(asyncio.CancelledError):
                await self._join(reader, writer, connection)
        finally:
            connection.closed_s = perf_counter()
            writer.close()

    async def _join(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: RecordedConnection
    ) -> None:
        try:
            master_reader, master_writer = await asyncio.open_connection(*self._target)
        except OSError:
            return
        pumps = (
            asyncio.create_task(_pump(reader, master_writer, connection.take_from_slave)),
            asyncio.create_task(_pump(master_reader, writer, connection.take_from_master)),
        )
        try:
            # HTTP needs no half-open connections: when one side has ended, so has the other.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            master_writer.close()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[bytes, float], None]
) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK_BYTES):
            note(chunk, perf_counter())
            writer.write(chunk)
            await writer.drain()
