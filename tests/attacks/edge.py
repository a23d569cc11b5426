"""What somebody on the network can do to a master: send bytes to its port and look at all that comes back."""

from dataclasses import dataclass
from typing import Final

import aiohttp

from group_protocol.crypto.keys import PrivateKey
from group_protocol.handshake import SlaveHandshake
from group_protocol.messages import REFUSAL_BODY, KeysSessionRequest, SealedRequest, parse_keys_session_answer
from group_protocol.suites import Suite
from tests.attacks.master_process import MasterProcess
from tests.support.running_master import Device, device_key

POLICY_VIOLATION: Final = 1008
"""How a master closes a stream that breaks the order (RFC 6455 §7.4.1)."""
ANSWER_TIMEOUT_S: Final = 30
PASSING: Final = frozenset({"Date", "Connection"})
"""Headers that say nothing of what was asked but when, and whether all of it was read."""


@dataclass(frozen=True)
class Answer:
    """Everything in an answer but its date, and whether the connection ends with it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


REFUSED: Final = Answer(
    400,
    (
        ("Cache-Control", "no-store"),
        ("Content-Length", str(len(REFUSAL_BODY))),
        ("Content-Type", "application/json"),
        ("Server", "vgroup"),
    ),
    REFUSAL_BODY,
)
"""The one refusal: the same status, headers and bytes whatever was wrong (docs/protocol.md §2)."""


class Edge:
    """One client's connection to a running master, and devices that use it."""

    def __init__(self, master: MasterProcess, http: aiohttp.ClientSession) -> None:
        self.master = master
        self.http = http

    @property
    def url(self) -> str:
        return self.master.url

    async def ask(self, path: str, body: bytes, **headers: str) -> Answer:
        named = {"Content-Type": "application/json"} | headers
        timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
        async with self.http.post(self.url + path, data=body, headers=named, timeout=timeout) as answer:
            seen = sorted((name, value) for name, value in answer.headers.items() if name not in PASSING)
            return Answer(answer.status, tuple(seen), await answer.read())

    async def exchange(self, path: str, body: bytes) -> bytes:
        answer = await self.ask(path, body)
        assert answer.status == 200, (path, answer)
        return answer.body

    def new_key(self) -> PrivateKey:
        return device_key(next(self.master.numbers))

    def stranger(self, suite: Suite = Suite.E1, *, code: bytes | None = None) -> Device:
        """A device with a key of its own that nobody knows yet."""
        return Device(self, self.new_key(), code, suite)

    async def invited(self, suite: Suite = Suite.E1) -> Device:
        """A device that holds an unused pairing code."""
        return self.stranger(suite, code=await self.master.make_code())

    async def enrolled(self, suite: Suite = Suite.E1) -> Device:
        """A device with a session and a token, not associated."""
        device = await self.invited(suite)
        await device.open_session()
        return device

    async def member(self, suite: Suite = Suite.E1) -> Device:
        """A device that is a member of the group and has a session."""
        device = await self.enrolled(suite)
        await device.associate()
        return device

    async def begin(self, handshake: SlaveHandshake) -> SealedRequest:
        """M1 and M2 of any handshake: its M3, not sent."""
        body = await self.exchange("/keysSession", handshake.start().to_body())
        m3 = handshake.receive_keys_session(parse_keys_session_answer(body))
        assert not isinstance(m3, KeysSessionRequest)
        return m3

    async def close_code_after(self, *messages: bytes) -> int | None:
        """Send messages on a fresh WebSocket; the code with which the master closes it."""
        async with self.http.ws_connect(f"{self.url}/stream") as socket:
            for message in messages:
                await socket.send_bytes(message)
            while True:
                received = await socket.receive(timeout=ANSWER_TIMEOUT_S)
                if received.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING):
                    return socket.close_code


def flip(raw: bytes, at: int) -> bytes:
    """The same bytes with the lowest bit of one byte turned."""
    at %= len(raw)
    return raw[:at] + bytes([raw[at] ^ 0x01]) + raw[at + 1 :]
