"""Carrying the outbox's frames to the master over /data (``docs/protocol.md`` §5.2, §6).

What :mod:`slave_client.stream_delivery` does the same way is here too: signals, lifetime, alarm.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final, Self

from group_protocol.channels import SlaveSession
from group_protocol.errors import BusyError, DecodingError, Reason
from group_protocol.frames import Ack, decode_master_frame
from group_protocol.limits import GENERATION_MAX_AGE_S
from group_protocol.messages import SealedAnswer
from group_protocol.ports import Clock
from slave_client.errors import MembershipLostError
from slave_client.joining import OpenSession
from slave_client.message_receiver import MessageReceiver
from slave_client.outbox import FRAME_TARGET_BYTES, Outbox, Verdict
from slave_client.transport import Transport

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


class Lifetime:
    """When a session has to be left, and when its channel takes a new key generation.

    Attributes:
        ends_s: When to leave, in the clock's steady seconds.
    """

    def __init__(self, clock: Clock, session_lifetime_s: int) -> None:
        self._clock = clock
        self.ends_s = clock.monotonic_s() + session_lifetime_s * _LIFETIME_SHARE
        self._generation_ends_s = clock.monotonic_s() + GENERATION_MAX_AGE_S

    def is_over(self) -> bool:
        """Whether it is time to leave."""
        return self._clock.monotonic_s() >= self.ends_s

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
    lifetime = Lifetime(clock, ticket.terms.session_lifetime_s)
    repetition = await outbox.find_repetition(ticket.last_seq)
    if repetition is None:
        first = Ack(ticket.last_seq, ticket.last_seq, FRAME_TARGET_BYTES, ticket.epoch)
    else:
        ack = await _ask_on_data(transport, session, repetition)
        _require_membership(ack)
        first = replace(ack, refused_seq=0, reason=Reason.NONE)
    await outbox.begin(first)
    signals.note_ack(first)
    with Alarm(signals.more, clock) as alarm:
        while not lifetime.is_over():
            signals.more.clear()
            if (epoch := outbox.epoch_to_begin) is not None:
                await begin_epoch(outbox, signals, epoch)
            frame = await outbox.next_frame(closes_period=signals.closing.is_set())
            if frame is not None:
                if lifetime.is_generation_old():
                    session.data.begin_generation()
                ack = await _ask_on_data(transport, session, frame)
                signals.note_ack(ack)
                judge(await outbox.take_ack(ack), ack)
            elif signals.closing.is_set() and outbox.is_drained:
                return True
            elif outbox.epoch_to_begin is None:
                await wait_for_more(signals, outbox, lifetime, alarm)
    return False


async def _ask_on_data(transport: Transport, session: SlaveSession, frame: bytes) -> Ack:
    request = session.data.seal_request(frame)
    body = await transport.post_twice("/data", request.to_body())
    answer = decode_master_frame(session.data.open_answer(request.seq, SealedAnswer.from_body(body)))
    if not isinstance(answer, Ack):
        raise DecodingError("the answer of /data is no ACK")
    # One request, one answer: that is flow control enough, and no unasked ACK could lift a credit of nothing.
    return replace(answer, credit_bytes=max(answer.credit_bytes, FRAME_TARGET_BYTES))


async def begin_epoch(outbox: Outbox, signals: Signals, epoch: int) -> None:
    """Go on under an epoch that the group has reached, noted on the disk first. Raises what noting it raises."""
    await signals.begin_epoch(epoch)
    outbox.begin_epoch(epoch)


class Alarm:
    """Wakes the delivery when something falls due. One timer serves many waits: new ones took a tenth of the CPU.

    It may ring once too early, where what it was set for is gone meanwhile.
    """

    def __init__(self, more: asyncio.Event, clock: Clock) -> None:
        self._more = more
        self._clock = clock
        self._due_s = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def ring_at(self, due_s: float) -> None:
        """Ring at this steady time of the clock at the latest."""
        if self._timer is not None:
            if self._due_s <= due_s:
                return
            self._timer.cancel()
        self._due_s = due_s
        wait_s = max(0.0, due_s - self._clock.monotonic_s())
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._ring)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        self._timer = None
        self._more.set()


async def wait_for_more(signals: Signals, outbox: Outbox, lifetime: Lifetime, alarm: Alarm) -> None:
    """Rest until something is to be looked at, a checkpoint falls due, or the lifetime is over."""
    checkpoint_s = outbox.due_s
    alarm.ring_at(lifetime.ends_s if checkpoint_s is None else min(checkpoint_s, lifetime.ends_s))
    await signals.more.wait()


def _require_membership(ack: Ack) -> None:
    if ack.reason is Reason.NOT_A_MEMBER:
        raise MembershipLostError("the master no longer counts this device as a member")


def judge(verdict: Verdict, ack: Ack) -> None:
    """Raises MembershipLostError or BusyError if the session is of no use any more."""
    if verdict is Verdict.NOT_A_MEMBER:
        raise MembershipLostError("the master no longer counts this device as a member")
    if verdict is Verdict.BACK_OFF:
        raise BusyError(f"the master cannot take records now: {ack.reason.name}", retry_after_s=2)
