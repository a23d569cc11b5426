"""A TCP relay on loopback that keeps what passes: to count bytes and connections, and to look for clear text."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from measure.paper_baseline.loopback import require_loopback

_CHUNK_BYTES = 65_536
_CLOSING_S = 1.0
"""How long a connection that is closing may take once the relay ends."""


@dataclass(slots=True)
class Conversation:
    """One TCP connection's payload in each direction."""

    sent: bytearray = field(default_factory=bytearray)
    answered: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class Relay:
    """Where it listens (on 127.0.0.1), and the connections so far, in the order in which they were opened."""

    port: int = 0
    conversations: list[Conversation] = field(default_factory=list)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray) -> None:
    while chunk := await reader.read(_CHUNK_BYTES):
        kept += chunk
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: tuple[str, int], kept: Conversation
) -> None:
    onward_reader, onward_writer = await asyncio.open_connection(*upstream)
    try:
        await asyncio.gather(
            _pump(reader, onward_writer, kept.sent),
            _pump(onward_reader, writer, kept.answered),
        )
    finally:
        onward_writer.close()


@asynccontextmanager
async def relay_to(host: str, port: int) -> AsyncIterator[Relay]:
    """Relay every connection to a master on loopback while the context is open.

    Raises:
        NotLoopbackError: `host` is not a loopback address.
    """
    require_loopback(host)
    relay = Relay()
    running: set[asyncio.Task[None]] = set()

    async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = Conversation()
        relay.conversations.append(conversation)
        try:
            await _pass_on(reader, writer, (host, port), conversation)
        except ConnectionError:
            pass  # one end hung up: what was passed until then is kept
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.create_task(serve_connection(reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        relay.port = server.sockets[0].getsockname()[1]
        try:
            yield relay
        finally:
            await _finish(running)


async def _finish(running: set[asyncio.Task[None]]) -> None:
    """Let connections that are closing close, and end the rest."""
    if running:
        _, pending = await asyncio.wait(running, timeout=_CLOSING_S)
        for task in pending:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
