"""Somebody on the network who speaks the protocol and bends it: the pure core and plain HTTP, no part of the slave."""

from dataclasses import dataclass
from typing import Final

import aiohttp

from group_protocol.channels import SlaveSession
from group_protocol.crypto.aead import Aead
from group_protocol.crypto.keys import PrivateKey
from group_protocol.frames import MasterFrame, decode_master_frame
from group_protocol.handshake import SlaveHandshake
from group_protocol.identifiers import Address, GroupId
from group_protocol.limits import DATA_BODY_MAX_BYTES
from group_protocol.messages import (
    REFUSAL_BODY,
    CookieChallenge,
    KeysSessionRequest,
    SealedAnswer,
    SealedRequest,
    parse_keys_session_answer,
)
from group_protocol.ports import Random
from group_protocol.suites import DEFAULT_SUITES
from group_protocol.tickets import AssociationCall, RegistryResult, Ticket
from vgroup.demo.errors import DemoFailed

_HEADERS: Final = {"Content-Type": "application/json"}
_WAIT_S: Final = 25.0
POLICY_VIOLATION: Final = 1008
"""The code with which a master closes a stream that breaks the order (docs/protocol.md §5.3, RFC 6455 §7.4.1)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the master answered."""

    status: int
    body: bytes

    @property
    def is_refusal(self) -> bool:
        """Whether it is the uniform refusal, byte for byte (docs/protocol.md §2)."""
        return self.status == 400 and self.body == REFUSAL_BODY

    def __str__(self) -> str:
        """For people."""
        return "400, the uniform refusal" if self.is_refusal else f"{self.status}, {len(self.body)} bytes"


@dataclass(frozen=True, slots=True)
class Foothold:
    """A session that the attacker holds under a key of its own, or under a stolen one."""

    key: PrivateKey
    ticket: Ticket
    session: SlaveSession


class Attacker:
    """Sends what it likes to the master.

    Args:
        http: Its connection, its own.
        url: ``http://host:port`` of the master itself, not of a proxy.
        master: The master's address, which is public.
        random: For keys and nonces.
    """

    def __init__(self, http: aiohttp.ClientSession, url: str, master: Address, random: Random) -> None:
        self._http = http
        self._url = url
        self._master = master
        self._random = random

    def make_key(self) -> PrivateKey:
        """A key that nobody knows."""
        return PrivateKey.from_secret(self._random.token_bytes(32))

    async def post(self, path: str, body: bytes) -> Reply:
        """Send a body and take whatever comes back."""
        timeout = aiohttp.ClientTimeout(total=_WAIT_S)
        async with self._http.post(self._url + path, data=body, headers=_HEADERS, timeout=timeout) as answer:
            return Reply(answer.status, await answer.read())

    async def begin(self, key: PrivateKey, *, code: bytes | None, gid: GroupId | None = None) -> "Approach":
        """M1 and M2: everybody gets so far."""
        handshake = SlaveHandshake(
            key=key,
            master=self._master,
            gid=gid,
            suites=DEFAULT_SUITES,
            aeads=(Aead.A256GCM,),
            pairing_code=code,
            random=self._random,
        )
        m1 = handshake.start()
        reply = await self.post("/keysSession", m1.to_body())
        if reply.status == 200 and isinstance(challenge := parse_keys_session_answer(reply.body), CookieChallenge):
            m1 = _as_m1(handshake.receive_keys_session(challenge))
            reply = await self.post("/keysSession", m1.to_body())
        return Approach(key, handshake, reply)

    async def finish(self, approach: "Approach", m3: SealedRequest) -> Foothold | Reply:
        """M3 and M4; the master's reply to M3 if it let nobody in."""
        reply = await self.post("/getTicket", m3.to_body())
        if reply.status != 200:
            return reply
        ticket = approach.handshake.receive_ticket(SealedAnswer.from_body(reply.body))
        return Foothold(approach.key, ticket, approach.handshake.session)

    async def open_session(self, key: PrivateKey, *, code: bytes | None) -> Foothold | Reply:
        """M1 to M4; the master's reply to M3 if it let nobody in."""
        approach = await self.begin(key, code=code)
        return await self.finish(approach, approach.make_m3())

    async def associate(self, foothold: Foothold, call: AssociationCall) -> RegistryResult:
        """M5 to M6."""
        request = foothold.session.control.seal_request(call.encode())
        reply = await self.post("/assoc", request.to_body())
        if reply.status != 200:
            raise DemoFailed(f"M5 got no sealed answer but {reply}")
        answer = SealedAnswer.from_body(reply.body)
        return RegistryResult.decode(foothold.session.control.open_answer(request.seq, answer))

    async def send_sealed(self, foothold: Foothold, request: SealedRequest) -> MasterFrame | Reply:
        """A sealed unit to /data; the frame in the answer, or the reply if there is none."""
        reply = await self.post("/data", request.to_body())
        if reply.status != 200:
            return reply
        answer = SealedAnswer.from_body(reply.body, max_bytes=DATA_BODY_MAX_BYTES)
        return decode_master_frame(foothold.session.data.open_answer(request.seq, answer))

    async def open_stream_with(self, message: bytes) -> int:
        """Open a WebSocket, send one binary message, and answer the code it is closed with (0: it stays open)."""
        async with self._http.ws_connect(f"{self._url}/stream") as socket:
            await socket.send_bytes(message)
            received = await socket.receive(timeout=_WAIT_S)
            if received.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
                return 0
            return socket.close_code or 0


@dataclass(frozen=True, slots=True)
class Approach:
    """An exchange after M1; ``reply`` is what came in the place of M2."""

    key: PrivateKey
    handshake: SlaveHandshake
    reply: Reply

    def make_m3(self) -> SealedRequest:
        """M3. Raises DemoFailed if the master did not answer M1 with M2."""
        if self.reply.status != 200:
            raise DemoFailed(f"an honest M1 was answered with {self.reply}")
        m3 = self.handshake.receive_keys_session(parse_keys_session_answer(self.reply.body))
        if not isinstance(m3, SealedRequest):
            raise DemoFailed("a second cookie was asked for")
        return m3


def _as_m1(message: SealedRequest | KeysSessionRequest) -> KeysSessionRequest:
    if not isinstance(message, KeysSessionRequest):
        raise DemoFailed("a cookie was answered with M3")
    return message


def flip_bit(raw: bytes, *, at: int) -> bytes:
    """The same bytes with the lowest bit of byte ``at`` turned."""
    return raw[:at] + bytes([raw[at] ^ 0x01]) + raw[at + 1 :]
