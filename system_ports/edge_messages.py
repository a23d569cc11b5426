"""What goes through an edge: a request whose body may still be on its way, and the answer to it."""

import asyncio
from email.utils import formatdate
from typing import Final
from urllib.parse import parse_qsl

from group_protocol.errors import BusyError, DecodingError
from group_protocol.messages import BUSY_BODY, REFUSAL_BODY

UNREAD_MAX_BYTES: Final = 65_536
"""Of a body that nobody has asked for yet; then nothing more is taken from the network."""
COMMON_HEADERS: Final = {"Cache-Control": "no-store", "Server": "vgroup"}
"""On every answer."""
_JSON: Final = "application/json"
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    409: "Conflict",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


class EdgeAnswer:
    """Status, body and nothing that a handler could get wrong: the rest of the head is the same for all (RFC 9110)."""

    __slots__ = ("body", "retry_after_s", "status")

    def __init__(self, body: bytes, *, status: int = 200, retry_after_s: int | None = None) -> None:
        """An answer with a JSON body.

        Args:
            body: One JSON object.
            status: One of those that an edge gives.
            retry_after_s: For a peer that is to come again.
        """
        self.body = body
        self.status = status
        self.retry_after_s = retry_after_s

    def encode(self, now_unix_s: float, *, closes: bool = False, head_only: bool = False) -> bytes:
        """The bytes of HTTP/1.1. ``closes`` says that the connection ends with it, ``head_only`` answers HEAD."""
        head = _start(self.status, int(now_unix_s))
        retry = "" if self.retry_after_s is None else f"Retry-After: {self.retry_after_s}\r\n"
        close = "Connection: close\r\n" if closes else ""
        encoded = f"{head}{retry}{close}Content-Length: {len(self.body)}\r\n\r\n".encode("ascii")
        return encoded if head_only else encoded + self.body


_starts: dict[int, str] = {}
_starts_of_s = 0


def _start(status: int, now_s: int) -> str:
    """The part of a head that is the same for all answers of one status in one second."""
    global _starts_of_s  # noqa: PLW0603 - a second's worth of text, made once
    if now_s != _starts_of_s:
        _starts.clear()
        _starts_of_s = now_s
    start = _starts.get(status)
    if start is None:
        common = "".join(f"{name}: {value}\r\n" for name, value in COMMON_HEADERS.items())
        date = formatdate(now_s, usegmt=True)
        start = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {_JSON}\r\n{common}Date: {date}\r\n"
        _starts[status] = start
    return start


def refusal() -> EdgeAnswer:
    """The one answer to everything wrong."""
    return EdgeAnswer(REFUSAL_BODY, status=400)


def busy(retry_after_s: int) -> EdgeAnswer:
    """The answer under load."""
    return EdgeAnswer(BUSY_BODY, status=429, retry_after_s=retry_after_s)


class EdgeRequest:
    """A request: its head is whole, its body may still come.

    Attributes:
        method: As it was sent, in capitals.
        target: Path and query, as they were sent: nothing is unquoted.
        path: The target without its query.
        headers: By their names in small letters; of one that came twice, both values with a comma (RFC 9110 §5.3).
        remote: The peer's address.
        is_complete: The whole body is here.
    """

    __slots__ = (
        "_body",
        "_failure",
        "_is_paused",
        "_room_bytes",
        "_transport",
        "_waiter",
        "headers",
        "is_complete",
        "method",
        "path",
        "remote",
        "target",
    )

    def __init__(
        self, method: str, target: str, headers: dict[str, str], remote: str, transport: asyncio.Transport
    ) -> None:
        self.method = method
        self.target = target
        self.path = target.partition("?")[0]
        self.headers = headers
        self.remote = remote
        self.is_complete = False
        self._transport = transport
        self._body = bytearray()
        self._room_bytes = UNREAD_MAX_BYTES
        self._is_paused = False
        self._failure: str | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def query(self) -> dict[str, str]:
        """The query's fields; of one that is there twice, the last."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    async def read_body(self, max_bytes: int, timeout_s: float) -> bytes:
        """The body, never more of it in memory than allowed and one read from the network.

        Raises:
            BusyError: It did not come in time.
            DecodingError: It is too large, of another kind, or broken off.
        """
        headers = self.headers
        if "content-encoding" in headers or not _is_json(headers.get("content-type")):
            raise DecodingError("the body is no plain JSON")
        announced = headers.get("content-length", "0")
        if len(announced) > 15 or int(announced) > max_bytes:  # the parser has seen to it that these are digits
            raise DecodingError("the body is announced too large")
        if not self.is_complete:
            await self._wait_until_complete(max_bytes, timeout_s)
        if len(self._body) > max_bytes:
            raise DecodingError("the body is too large")
        return bytes(self._body)

    async def _wait_until_complete(self, max_bytes: int, timeout_s: float) -> None:
        self._room_bytes = max_bytes
        try:
            async with asyncio.timeout(timeout_s):
                while not self.is_complete and len(self._body) <= max_bytes:
                    if self._failure is not None:
                        raise DecodingError(self._failure)
                    self._waiter = asyncio.get_running_loop().create_future()
                    self._resume()
                    await self._waiter
        except TimeoutError as exc:
            # Load, not a refusal: over a bad link an honest body comes late, and its sender may try again.
            raise BusyError("the body did not come in time") from exc

    def take(self, piece: bytes) -> None:
        """A piece of the body has come."""
        self._body += piece
        if len(self._body) > self._room_bytes and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def complete(self) -> None:
        """That was all of it."""
        self.is_complete = True
        self._resume()
        self._wake()

    def fail(self, why: str) -> None:
        """No more of it will come."""
        self._failure = why
        self._wake()

    def drop_rest(self) -> None:
        """The request is answered: what still comes of it interests nobody."""
        self._body.clear()
        self._resume()

    def _resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


def _is_json(content_type: str | None) -> bool:
    """Whether a body is JSON by its header. Who names no type is believed to know what the path takes."""
    if content_type is None or content_type == _JSON:
        return True
    return content_type.partition(";")[0].strip().lower() in {_JSON, "application/octet-stream"}
