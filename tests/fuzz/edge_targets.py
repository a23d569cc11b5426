"""Bytes at the door of a master or a gateway: whatever comes, in whatever pieces."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import httptools

from group_protocol.errors import DecodingError
from system_ports.edge_connection import EdgeConnection
from system_ports.edge_messages import EdgeAnswer, EdgeRequest, refusal

CUT = b"\xff"
"""Ends a piece. No byte of HTTP's heads or of our bodies is it."""
BODY_MAX_BYTES = 4_096
_ROUNDS = 3
"""Of the event loop, for a request's task to begin, to be woken and to end."""


class _Wire(asyncio.Transport):
    """Keeps what is written. Closing it changes nothing else: what comes afterwards must not matter."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1)})
        self.written = b""
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self._is_closing = True

    def abort(self) -> None:
        self._is_closing = True

    def is_closing(self) -> bool:
        return self._is_closing

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


@dataclass
class _Door:
    """The server's part."""

    idle_timeout_s: float = 60.0
    lingering_s: float = 1.0
    asked: list[tuple[object, ...]] = field(default_factory=list)
    handed_over: bytes | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def handle(self, request: EdgeRequest) -> EdgeAnswer:
        head = (request.method, request.target, tuple(request.headers.items()))
        try:
            body = await request.read_body(BODY_MAX_BYTES, 60.0)
        except DecodingError:
            self.asked.append((*head, None))
            return refusal()
        assert len(body) <= BODY_MAX_BYTES
        self.asked.append((*head, body))
        return EdgeAnswer(b"{}")

    def admit(self, _connection: EdgeConnection, _site: str) -> bool:
        return True

    def release(self, _connection: EdgeConnection, _site: str) -> None:
        pass

    def keep(self, task: asyncio.Task[None]) -> None:
        self.tasks.append(task)

    def is_upgrade(self, path: str) -> bool:
        return path == "/stream"

    def hand_over(self, _connection: EdgeConnection, _transport: asyncio.Transport, head: bytes, _site: str) -> None:
        self.handed_over = head

    def now_unix_s(self) -> float:
        return 0.0


def fuzz_edge(raw: bytes) -> None:
    """Requests in pieces: the first is the same in one piece, and all that is written are whole answers."""
    pieces = raw.split(CUT)
    whole = b"".join(pieces)
    door, written = _loop().run_until_complete(_feed(pieces))
    at_once, _ = _loop().run_until_complete(_feed([whole]))
    assert door.asked[:1] == at_once.asked[:1]
    assert (door.handed_over is None) == (at_once.handed_over is None) or len(door.asked) > 0
    if door.handed_over is not None:
        assert whole.startswith(door.handed_over) or door.asked
    _read_answers(written)


async def _feed(pieces: Sequence[bytes]) -> tuple[_Door, bytes]:
    door, wire = _Door(), _Wire()
    connection = EdgeConnection(door, asyncio.get_running_loop())
    connection.connection_made(wire)
    for piece in pieces:
        if door.handed_over is None and piece:
            connection.data_received(piece)
            for _ in range(_ROUNDS):
                await asyncio.sleep(0)
    connection.connection_lost(None)
    await asyncio.gather(*door.tasks)
    return door, wire.written


class _Answers:
    """Takes apart what was written."""

    def __init__(self) -> None:
        self.begun = self.ended = 0

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_message_complete(self) -> None:
        self.ended += 1


def _read_answers(written: bytes) -> None:
    """Every HEAD's answer has a length and no body; there is one at most behind each other, so it is cut off first."""
    answers = _Answers()
    parser = httptools.HttpResponseParser(answers)
    for part in written.split(b"HTTP/1.1 ")[1:]:
        if part.endswith(b"\r\n\r\n") and not part.startswith(b"100 "):
            continue  # to a HEAD
        parser.feed_data(b"HTTP/1.1 " + part)
    assert answers.begun == answers.ended


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()
