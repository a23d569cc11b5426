"""Carrying the outbox's frames to the master, over /stream or /data (``docs/protocol.md`` §5, §6)."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final, Self

from group_protocol.channels import SlaveSession
from group_protocol.errors import BusyError, DecodingError, Reason
from group_protocol.frames import Ack, Close, Open, Resume, decode_master_frame, encode_frame
from group_protocol.limits import GENERATION_MAX_AGE_S
from group_protocol.messages import SealedAnswer
from group_protocol.peer_messages import Delivery
from group_protocol.ports import Clock
from slave_client.errors import MembershipLostError, StreamClosedError
from slave_client.joining import OpenSession
from slave_client.message_receiver import MessageReceiver, Recipient
from slave_client.outbox import FRAME_TARGET_BYTES, Outbox, Verdict
from slave_client.transport import Stream, Transport

_FIRST_ACK_TIMEOUT_S: Final = 15.0
_ACKS_WAITING_MAX: Final = 1_024
_ALARM_SLACK_S: Final = 0.005
_LIFETIME_SHARE: Final = 0.95
"""Of a session's lifetime after which the slave leaves, before the master has to end it."""


@dataclass(slots=True)
class Signals:
    """How the rest of the daemon speaks with a delivery.

    Attributes:
        more: Set when there is something new to look at: a record was committed, an ACK came, closing began.
        closing: Set when the session should end once everything is delivered.
        note_ack: Called with each ACK.
        begin_epoch: Notes on the disk that a new epoch is in use.
        messages: Takes what other slaves say; without it that stays at the master.
    """

    note_ack: Callable[[Ack], None]
    begin_epoch: Callable[[int], Awaitable[None]]
    messages: MessageReceiver | None = None
    more: asyncio.Event = field(default_factory=asyncio.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)


class _Lifetime:
    """When a session has to be left, and when its stream takes a new key generation."""

    def __init__(self, clock: Clock, session_lifetime_s: int) -> None:
        self._clock = clock
        self._ends_s = clock.monotonic_s() + session_lifetime_s * _LIFETIME_SHARE
        self._generation_ends_s = clock.monotonic_s() + GENERATION_MAX_AGE_S

    @property
    def left_s(self) -> float:
        return self._ends_s - self._clock.monotonic_s()

    def is_generation_old(self) -> bool:
        """Whether the hour is over; asking begins the next one."""
        if self._clock.monotonic_s() < self._generation_ends_s:
            return False
        self._generation_ends_s = self._clock.monotonic_s() + GENERATION_MAX_AGE_S
        return True


async def deliver_by_data(
    transport: Transport, opened: OpenSession, outbox: Outbox, signals: Signals, clock: Clock
) -> bool:
    """POST one frame after the other until closing is asked for and all is delivered, or the lifetime is over.

    Returns:
        Whether all is delivered.

    Raises:
        MembershipLostError, BusyError, MasterUnreachableError, MasterRefusalError: As they say.
        RemoteProtocolError, StoreError: As they say.
    """
    ticket, session = opened.ticket, opened.session
    lifetime = _Lifetime(clock, ticket.terms.session_lifetime_s)
    repetition = await outbox.find_repetition(ticket.last_seq)
    if repetition is None:
        first = Ack(ticket.last_seq, ticket.last_seq, FRAME_TARGET_BYTES, ticket.epoch)
    else:
        ack = await _ask_on_data(transport, session, repetition)
        _require_membership(ack)
        first = replace(ack, refused_seq=0, reason=Reason.NONE)
    await outbox.begin(first)
    signals.note_ack(first)
    with _Alarm(signals.more) as alarm:
        while lifetime.left_s > 0:
            signals.more.clear()
            await _begin_epoch_if_due(outbox, signals)
            frame = await outbox.next_frame(closes_period=signals.closing.is_set())
            if frame is not None:
                if lifetime.is_generation_old():
                    session.data.begin_generation()
                ack = await _ask_on_data(transport, session, frame)
                signals.note_ack(ack)
                _judge(await outbox.take_ack(ack), ack)
            elif signals.closing.is_set() and outbox.is_drained:
                return True
            elif outbox.epoch_to_begin is None:
                await _wait_for_more(signals, outbox, lifetime, alarm)
    return False


async def deliver_by_stream(
    stream: Stream, opened: OpenSession, outbox: Outbox, signals: Signals, clock: Clock
) -> bool:
    """Send frames and take ACKs as they come, until closing is asked for and all is delivered, or the lifetime is over.

    Returns:
        Whether all is delivered.

    Raises:
        StreamClosedError: The stream broke, or the master closed it.
        MembershipLostError, BusyError, RemoteProtocolError, StoreError: As they say.
    """
    session = opened.session
    lifetime = _Lifetime(clock, opened.ticket.terms.session_lifetime_s)
    if signals.messages is not None:
        signals.messages.begin(Recipient(opened.domain, opened.ticket.gid, opened.ticket.oid))
    await stream.send(session.stream_opening(encode_frame(Open())))
    acks: asyncio.Queue[Ack] = asyncio.Queue(_ACKS_WAITING_MAX)
    reader = asyncio.create_task(_read_frames(stream, session, acks, signals))
    try:
        async with asyncio.timeout(_FIRST_ACK_TIMEOUT_S):
            first = await _next_ack(acks, reader)
        await outbox.begin(first)
        signals.note_ack(first)
        await _carry(stream, session, outbox, acks, reader, signals, lifetime)
        await stream.send(session.stream_out.seal(encode_frame(Close(Reason.NONE))))
        return signals.closing.is_set() and outbox.is_drained
    except TimeoutError as exc:
        raise StreamClosedError("the master did not answer OPEN in time") from exc
    finally:
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await reader
        await stream.close()


async def _carry(
    stream: Stream,
    session: SlaveSession,
    outbox: Outbox,
    acks: asyncio.Queue[Ack],
    reader: asyncio.Task[None],
    signals: Signals,
    lifetime: _Lifetime,
) -> None:
    """The one place that touches the outbox: ACKs in, frames out, in turns."""
    with _Alarm(signals.more) as alarm:
        while lifetime.left_s > 0:
            signals.more.clear()
            await _take_acks(stream, session, outbox, acks, signals)
            for receipt in signals.messages.take_receipts() if signals.messages else ():
                await stream.send(session.stream_out.seal(encode_frame(receipt)))
            if reader.done() and acks.empty():
                reader.result()
            await _begin_epoch_if_due(outbox, signals)
            messages = await _next_messages(session, outbox, signals, lifetime)
            if messages:
                await stream.send_many(messages)
                await asyncio.sleep(0)  # the ACKs want their turn: nothing above has to have waited
            elif signals.closing.is_set() and outbox.is_drained:
                return
            elif outbox.epoch_to_begin is None:
                await _wait_for_more(signals, outbox, lifetime, alarm)


async def _next_messages(session: SlaveSession, outbox: Outbox, signals: Signals, lifetime: _Lifetime) -> list[bytes]:
    """The frames that may be sent now, sealed, up to some bytes: many small ones are one write to the network."""
    messages: list[bytes] = []
    length_bytes = 0
    while length_bytes < FRAME_TARGET_BYTES:
        frame = await outbox.next_frame(closes_period=signals.closing.is_set())
        if frame is None:
            break
        if lifetime.is_generation_old():
            session.stream_out.begin_generation()
        messages.append(session.stream_out.seal(frame))
        length_bytes += len(frame)
    return messages


async def _read_frames(stream: Stream, session: SlaveSession, acks: asyncio.Queue[Ack], signals: Signals) -> None:
    """Open what the master sends. Ends with an exception only: the stream's end, or a frame that is wrong."""
    try:
        while True:
            frame = decode_master_frame(session.stream_in.open(await stream.receive()))
            if isinstance(frame, Close):
                raise StreamClosedError(f"the master closed the stream: {frame.reason.name}")
            if isinstance(frame, Delivery):
                if signals.messages is not None:
                    await signals.messages.put(frame)
                continue
            await acks.put(frame)
            signals.more.set()
    finally:
        signals.more.set()


async def _next_ack(acks: asyncio.Queue[Ack], reader: asyncio.Task[None]) -> Ack:
    waiting = asyncio.create_task(acks.get())
    try:
        await asyncio.wait({waiting, reader}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            reader.result()
        return await waiting
    finally:
        waiting.cancel()


async def _take_acks(
    stream: Stream, session: SlaveSession, outbox: Outbox, acks: asyncio.Queue[Ack], signals: Signals
) -> None:
    while not acks.empty():
        ack = acks.get_nowait()
        signals.note_ack(ack)
        verdict = await outbox.take_ack(ack)
        _judge(verdict, ack)
        if verdict is Verdict.RESUME:
            await stream.send(session.stream_out.seal(encode_frame(Resume(ack.refused_seq))))


async def _ask_on_data(transport: Transport, session: SlaveSession, frame: bytes) -> Ack:
    request = session.data.seal_request(frame)
    body = await transport.post_twice("/data", request.to_body())
    answer = decode_master_frame(session.data.open_answer(request.seq, SealedAnswer.from_body(body)))
    if not isinstance(answer, Ack):
        raise DecodingError("the answer of /data is no ACK")
    # One request, one answer: that is flow control enough, and no unasked ACK could lift a credit of nothing.
    return replace(answer, credit_bytes=max(answer.credit_bytes, FRAME_TARGET_BYTES))


async def _begin_epoch_if_due(outbox: Outbox, signals: Signals) -> None:
    epoch = outbox.epoch_to_begin
    if epoch is not None:
        await signals.begin_epoch(epoch)
        outbox.begin_epoch(epoch)


class _Alarm:
    """Wakes the delivery when something falls due. One timer serves many waits: new ones took a tenth of the CPU.

    It may ring once too early, where what it was set for is gone meanwhile.
    """

    def __init__(self, more: asyncio.Event) -> None:
        self._more = more
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def ring_within(self, wait_s: float) -> None:
        """Ring in so many seconds at the latest."""
        at_s = self._loop.time() + wait_s
        if self._timer is not None:
            if self._timer.when() <= at_s + _ALARM_SLACK_S:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(at_s, self._ring)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        self._timer = None
        self._more.set()


async def _wait_for_more(signals: Signals, outbox: Outbox, lifetime: _Lifetime, alarm: _Alarm) -> None:
    checkpoint_s = outbox.wait_s()
    wait_s = min(lifetime.left_s, GENERATION_MAX_AGE_S if checkpoint_s is None else checkpoint_s)
    alarm.ring_within(max(0.0, wait_s))
    await signals.more.wait()


def _require_membership(ack: Ack) -> None:
    if ack.reason is Reason.NOT_A_MEMBER:
        raise MembershipLostError("the master no longer counts this device as a member")


def _judge(verdict: Verdict, ack: Ack) -> None:
    if verdict is Verdict.NOT_A_MEMBER:
        raise MembershipLostError("the master no longer counts this device as a member")
    if verdict is Verdict.BACK_OFF:
        raise BusyError(f"the master cannot take records now: {ack.reason.name}", retry_after_s=2)
