"""Sealed units of an established session: keys, generations, replay windows (``docs/protocol.md`` §3.3, §5)."""

import struct
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final, NamedTuple

from group_protocol.crypto.aead import Aead, SealingKey
from group_protocol.crypto.kdf import derive, hkdf_extract, sha256
from group_protocol.errors import BusyError, DecodingError, LocalProtocolError, ReplayError, VerificationError
from group_protocol.identifiers import HASH_BYTES, SESSION_ID_BYTES, SessionId
from group_protocol.limits import GENERATION_BITS, REPLAY_WINDOW, SEQ_LIMIT
from group_protocol.messages import SealedAnswer, SealedRequest

_ASSOCIATED: Final = struct.Struct(">BBI16s")
_SEQ: Final = struct.Struct(">Q")
_SEQ_BYTES: Final = 8


class Role(Enum):
    """Which end of a session this is."""

    SLAVE = "slave"
    MASTER = "master"


class Direction(IntEnum):
    """Who sealed a unit; the value stands in the associated bytes (§5.1)."""

    S2M = 0
    M2S = 1


class Channel(IntEnum):
    """Which path a unit travels; the value stands in the associated bytes (§5.1)."""

    CONTROL = 0
    DATA = 1
    STREAM = 2


_LANE_LABELS: Final = {
    (direction, channel): f"{direction.name.lower()} {channel.name.lower()}"
    for direction in Direction
    for channel in Channel
}
"""Labels of the lanes' keys (§3.3). An enum's name takes as long to find as the key to derive."""


class Lane(NamedTuple):
    """One direction of one channel of one session: what the associated bytes say besides the generation."""

    channel: Channel
    direction: Direction
    sid: SessionId

    def associated(self, generation: int) -> bytes:
        """22 bytes (§5.1)."""
        return _ASSOCIATED.pack(self.channel, self.direction, generation, self.sid)


class KeyRatchet:
    """The key of one lane in its current generation. Keys of older generations are gone."""

    __slots__ = ("_aead", "_associated", "_generation", "_key", "_lane", "_made")

    def __init__(self, aead: Aead, key: bytes, lane: Lane) -> None:
        self._aead = aead
        self._lane = lane
        self._install(key, 0)

    @property
    def next_generation_at(self) -> int:
        """The first seq of the generation after the one whose key is held."""
        return (self._generation + 1) << GENERATION_BITS

    def _install(self, key: bytes, generation: int) -> None:
        self._key = key
        self._generation = generation
        self._made: SealingKey | None = None
        self._associated = self._lane.associated(generation)

    @property
    def _cipher(self) -> SealingKey:
        """Made when it is first used: of a join's twelve lanes eight are not."""
        if self._made is None:
            self._made = SealingKey(self._aead, self._key)
        return self._made

    def seal(self, seq: int, plaintext: bytes) -> bytes:
        """Seal under ``seq``, moving to its generation first.

        Raises:
            LocalProtocolError: ``seq`` belongs to a generation whose key is gone, or is used up.
        """
        generation = seq >> GENERATION_BITS
        if generation != self._generation:
            if generation != self._generation + 1 or seq >= SEQ_LIMIT:
                raise LocalProtocolError(f"seq {seq} is outside the current and the next key generation")
            self._install(derive(self._key, "upd"), generation)
        return self._cipher.seal(seq, self._associated, plaintext)

    def open(self, seq: int, sealed: bytes) -> bytes:
        """Open a unit of this or the next generation; only a unit that opens moves the key on.

        Raises:
            VerificationError: It does not open.
        """
        generation = seq >> GENERATION_BITS
        if generation == self._generation:
            return self._cipher.open(seq, self._associated, sealed)
        if generation != self._generation + 1 or seq >= SEQ_LIMIT:
            raise VerificationError("unit is outside the current and the next key generation")
        key = derive(self._key, "upd")
        plaintext = SealingKey(self._aead, key).open(seq, self._lane.associated(generation), sealed)
        self._install(key, generation)
        return plaintext


@dataclass(frozen=True, slots=True)
class OpenedRequest:
    """A request that is new: process it, then call ``seal_answer`` or ``abandon_request`` with its seq."""

    seq: int
    plaintext: bytes


@dataclass(frozen=True, slots=True)
class RepeatedRequest:
    """A request that was answered before: send the same answer, do nothing else."""

    answer: SealedAnswer


class RequestSender:
    """The slave's end of control or data: numbers requests, opens their answers (§5.2)."""

    __slots__ = ("_next_seq", "_opener", "_sealer", "_sid")

    def __init__(self, sid: SessionId, sealer: KeyRatchet, opener: KeyRatchet, *, first_seq: int) -> None:
        self._sid = sid
        self._sealer = sealer
        self._opener = opener
        self._next_seq = first_seq

    def seal_request(self, plaintext: bytes) -> SealedRequest:
        """Seal under the next seq. To retry, send the same SealedRequest again, never the plaintext anew."""
        seq = self._next_seq
        sealed = self._sealer.seal(seq, plaintext)
        self._next_seq = seq + 1
        return SealedRequest(self._sid, seq, sealed)

    def open_answer(self, seq: int, answer: SealedAnswer) -> bytes:
        """The plaintext of the answer to request ``seq``. Raises VerificationError."""
        return self._opener.open(seq, answer.sealed)

    def begin_generation(self) -> None:
        """Go on under the next key generation, as at least once an hour (§5.1). Again before a unit: no effect."""
        self._next_seq = self._sealer.next_generation_at


@dataclass(slots=True)
class _Seen:
    digest: bytes
    answer: SealedAnswer | None


class RequestReceiver:
    """The master's end of control or data: each request is taken once, a repeated one gets its answer again (§5.2)."""

    __slots__ = ("_lowest_seq", "_opener", "_sealer", "_seen")

    def __init__(self, sealer: KeyRatchet, opener: KeyRatchet, *, first_seq: int) -> None:
        self._sealer = sealer
        self._opener = opener
        self._lowest_seq = first_seq
        self._seen: dict[int, _Seen] = {}

    def open_request(self, request: SealedRequest) -> OpenedRequest | RepeatedRequest:
        """Open a new request, or find the answer of one seen before.

        Raises:
            ReplayError: Its seq was used for other bytes, or lies behind the window or before the channel's first.
            BusyError: The same request is being processed now.
            VerificationError: It does not open; nothing has changed.
        """
        seen = self._seen.get(request.seq)
        if seen is not None:
            if seen.digest != sha256(request.sealed):
                raise ReplayError("seq was used before for another unit")
            if seen.answer is None:
                raise BusyError("the same request is being processed")
            return RepeatedRequest(seen.answer)
        if request.seq < self._lowest_seq:
            raise ReplayError("seq lies behind the window")
        plaintext = self._opener.open(request.seq, request.sealed)
        self._remember(request)
        return OpenedRequest(request.seq, plaintext)

    def _remember(self, request: SealedRequest) -> None:
        self._seen[request.seq] = _Seen(sha256(request.sealed), None)
        lowest_seq = request.seq - REPLAY_WINDOW + 1
        if lowest_seq > self._lowest_seq:
            self._lowest_seq = lowest_seq
            for seq in [seq for seq in self._seen if seq < lowest_seq]:
                del self._seen[seq]

    def seal_answer(self, seq: int, plaintext: bytes) -> SealedAnswer:
        """Seal the answer to request ``seq`` and keep it for repetitions.

        Raises:
            LocalProtocolError: The request is not open: it was answered or abandoned.
            ReplayError: The slave's later requests took the window or the key generation past it meanwhile (§5.2).
        """
        seen = self._seen.get(seq)
        if seq < self._lowest_seq:
            raise ReplayError("the window has passed the request before it was answered")
        if seen is None or seen.answer is not None:
            raise LocalProtocolError(f"request {seq} waits for no answer")
        try:
            seen.answer = SealedAnswer(self._sealer.seal(seq, plaintext))
        except LocalProtocolError as exc:
            raise ReplayError("the slave left this request's key generation before it was answered") from exc
        return seen.answer

    def abandon_request(self, seq: int) -> None:
        """The request could not be processed and was not answered: the same bytes may come again."""
        seen = self._seen.get(seq)
        if seen is not None and seen.answer is None:
            del self._seen[seq]


class StreamSender:
    """The sending end of one direction of /stream (§5.3)."""

    __slots__ = ("_next_seq", "_sealer")

    def __init__(self, sealer: KeyRatchet) -> None:
        self._sealer = sealer
        self._next_seq = 0

    def seal(self, plaintext: bytes) -> bytes:
        """``u64(seq) ‖ sealed`` under the next seq."""
        seq = self._next_seq
        sealed = self._sealer.seal(seq, plaintext)
        self._next_seq = seq + 1
        return _SEQ.pack(seq) + sealed

    def begin_generation(self) -> None:
        """Go on under the next key generation, as at least once an hour (§5.1). Again before a unit: no effect."""
        self._next_seq = self._sealer.next_generation_at


class StreamReceiver:
    """The receiving end of one direction of /stream: strict order (§5.3)."""

    __slots__ = ("_next_seq", "_opener")

    def __init__(self, opener: KeyRatchet) -> None:
        self._opener = opener
        self._next_seq = 0

    def open(self, message: bytes) -> bytes:
        """The plaintext of ``u64(seq) ‖ sealed``.

        Raises:
            DecodingError: Too short for a seq.
            ReplayError: seq is neither the next nor the first of the next generation.
            VerificationError: It does not open; nothing has changed.
        """
        if len(message) < _SEQ_BYTES:
            raise DecodingError("stream message has no seq")
        (seq,) = _SEQ.unpack_from(message)
        if seq not in (self._next_seq, _start_of_next_generation(self._next_seq)):
            raise ReplayError("stream message is out of order")
        plaintext = self._opener.open(seq, message[_SEQ_BYTES:])
        self._next_seq = seq + 1
        return plaintext


def parse_stream_opening(message: bytes) -> tuple[SessionId, bytes]:
    """Split the first message of a stream into the sid and the message proper (§5.3).

    Raises:
        DecodingError: Too short.
    """
    if len(message) < SESSION_ID_BYTES + _SEQ_BYTES:
        raise DecodingError("stream opening is too short")
    return SessionId(message[:SESSION_ID_BYTES]), message[SESSION_ID_BYTES:]


def _start_of_next_generation(seq: int) -> int:
    return ((seq >> GENERATION_BITS) + 1) << GENERATION_BITS


class SessionKeys:
    """Derives the six lane keys from the handshake (§3.3) and forgets the master secret."""

    def __init__(self, aead: Aead, sid: SessionId, handshake_secret: bytes, th2: bytes, th3: bytes) -> None:
        self._aead = aead
        self._sid = sid
        self._th3 = th3
        self._master_secret = hkdf_extract(derive(handshake_secret, "derived", th2), bytes(HASH_BYTES))

    def ratchet(self, direction: Direction, channel: Channel) -> KeyRatchet:
        """The ratchet of one lane, at generation 0."""
        key = derive(self._master_secret, _LANE_LABELS[direction, channel], self._th3)
        return KeyRatchet(self._aead, key, Lane(channel, direction, self._sid))


class SlaveSession:
    """The slave's end of an established session."""

    def __init__(self, sid: SessionId, keys: SessionKeys) -> None:
        self.sid = sid
        self.control = _request_sender(sid, keys, Channel.CONTROL, first_seq=1)
        self.data = _request_sender(sid, keys, Channel.DATA, first_seq=0)
        self.stream_out = StreamSender(keys.ratchet(Direction.S2M, Channel.STREAM))
        self.stream_in = StreamReceiver(keys.ratchet(Direction.M2S, Channel.STREAM))

    def stream_opening(self, frame: bytes) -> bytes:
        """The first stream message: the sid, then the sealed OPEN frame."""
        return self.sid + self.stream_out.seal(frame)


class MasterSession:
    """The master's end of an established session."""

    def __init__(self, sid: SessionId, keys: SessionKeys) -> None:
        self.sid = sid
        self.control = _request_receiver(keys, Channel.CONTROL, first_seq=1)
        self.data = _request_receiver(keys, Channel.DATA, first_seq=0)
        self.stream_in = StreamReceiver(keys.ratchet(Direction.S2M, Channel.STREAM))
        self.stream_out = StreamSender(keys.ratchet(Direction.M2S, Channel.STREAM))


def _request_sender(sid: SessionId, keys: SessionKeys, channel: Channel, *, first_seq: int) -> RequestSender:
    return RequestSender(
        sid, keys.ratchet(Direction.S2M, channel), keys.ratchet(Direction.M2S, channel), first_seq=first_seq
    )


def _request_receiver(keys: SessionKeys, channel: Channel, *, first_seq: int) -> RequestReceiver:
    return RequestReceiver(
        keys.ratchet(Direction.M2S, channel), keys.ratchet(Direction.S2M, channel), first_seq=first_seq
    )
