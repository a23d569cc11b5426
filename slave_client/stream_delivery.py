"""Carrying the outbox's frames to the master over /stream (``docs/protocol.md`` §5.3, §6).

Two tasks share a stream: the reader takes what comes, the carrier sends. A device that says something now and then has
one record and one ACK under way; waking a task costs as much as sealing the record. So the reader settles an ACK by
itself while the carrier rests, and the carrier goes to rest as soon as the outbox has nothing more to give.
"""

import asyncio
import contextlib
from collections import deque
from typing import Final

from group_protocol.channels import SlaveSession
from group_protocol.errors import Reason
from group_protocol.frames import Ack, Close, Open, Resume, decode_master_frame, encode_frame
from group_protocol.ports import Clock
from slave_client.delivery import Alarm, Lifetime, Signals, begin_epoch, judge, wait_for_more
from slave_client.errors import StreamClosedError
from slave_client.joining import OpenSession
from slave_client.message_receiver import Recipient
from slave_client.outbox import FRAME_TARGET_BYTES, Outbox, Verdict
from slave_client.transport import Stream

_FIRST_ACK_TIMEOUT_S: Final = 15.0
_ACKS_WAITING_MAX: Final = 64
"""Refusals, mostly: there is one at a time until RESUME answers it."""


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
    lifetime = Lifetime(clock, opened.ticket.terms.session_lifetime_s)
    if signals.messages is not None:
        signals.messages.begin(Recipient(opened.domain, opened.ticket.gid, opened.ticket.oid))
    await stream.send(session.stream_opening(encode_frame(Open())))
    traffic = _Traffic(stream, session, outbox, signals, lifetime)
    reader = asyncio.create_task(traffic.read())
    try:
        async with asyncio.timeout(_FIRST_ACK_TIMEOUT_S):
            await traffic.begin(reader)
        with Alarm(signals.more, clock) as alarm:
            await traffic.carry(reader, alarm)
        await stream.send(session.stream_out.seal(encode_frame(Close(Reason.NONE))))
        return signals.closing.is_set() and outbox.is_drained
    except TimeoutError as exc:
        raise StreamClosedError("the master did not answer OPEN in time") from exc
    finally:
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await reader
        await stream.close()


class _Traffic:
    """What goes both ways on one stream."""

    def __init__(
        self, stream: Stream, session: SlaveSession, outbox: Outbox, signals: Signals, lifetime: Lifetime
    ) -> None:
        self._stream = stream
        self._session = session
        self._outbox = outbox
        self._signals = signals
        self._lifetime = lifetime
        self._acks: deque[Ack] = deque()
        self._is_carrier_resting = False

    async def read(self) -> None:
        """Open what the master sends. Ends with an exception only: the stream's end, or a frame that is wrong."""
        opener, messages = self._session.stream_in, self._signals.messages
        try:
            while True:
                frame = decode_master_frame(opener.open(await self._stream.receive()))
                if isinstance(frame, Ack):
                    self._note(frame)
                elif isinstance(frame, Close):
                    raise StreamClosedError(f"the master closed the stream: {frame.reason.name}")
                elif messages is not None:
                    await messages.put(frame)
        finally:
            self._signals.more.set()

    async def begin(self, reader: asyncio.Task[None]) -> None:
        """Wait for the first ACK, and set out from it."""
        while not self._acks:
            if reader.done():
                reader.result()
            self._signals.more.clear()
            await self._signals.more.wait()
        first = self._acks.popleft()
        await self._outbox.begin(first)
        self._signals.note_ack(first)

    async def carry(self, reader: asyncio.Task[None], alarm: Alarm) -> None:
        """Refusals in, frames out, in turns; the reader touches the outbox only while this rests."""
        signals, outbox, lifetime = self._signals, self._outbox, self._lifetime
        while not lifetime.is_over():
            signals.more.clear()
            if self._acks:
                await self._take_acks()
            if signals.messages is not None:
                await self._send_receipts()
            if reader.done() and not self._acks:
                reader.result()
            if (epoch := outbox.epoch_to_begin) is not None:
                await begin_epoch(outbox, signals, epoch)
            if await self._send_frames():
                await asyncio.sleep(0)  # the ACKs want their turn: nothing above has to have waited
            elif signals.closing.is_set() and outbox.is_drained:
                return
            elif outbox.epoch_to_begin is None:
                self._is_carrier_resting = True
                await wait_for_more(signals, outbox, lifetime, alarm)
                self._is_carrier_resting = False

    def _note(self, ack: Ack) -> None:
        """Settle an ACK at once where that is all; else leave it to the carrier and wake it."""
        signals, outbox = self._signals, self._outbox
        if self._is_carrier_resting and ack.reason is Reason.NONE and not self._acks:
            signals.note_ack(ack)
            outbox.settle(ack)
            if not signals.closing.is_set() and not outbox.has_work():
                return
        elif self._acks and self._acks[-1].reason is ack.reason is Reason.NONE:
            self._acks[-1] = ack  # it says all that the older one said
        elif len(self._acks) < _ACKS_WAITING_MAX:
            self._acks.append(ack)
        else:
            raise StreamClosedError("the master refuses more than it was sent")
        signals.more.set()

    async def _take_acks(self) -> None:
        while self._acks:
            ack = self._acks.popleft()
            self._signals.note_ack(ack)
            verdict = await self._outbox.take_ack(ack)
            judge(verdict, ack)
            if verdict is Verdict.RESUME:
                await self._seal_and_send(encode_frame(Resume(ack.refused_seq)))

    async def _send_receipts(self) -> None:
        for receipt in self._signals.messages.take_receipts() if self._signals.messages else ():
            await self._seal_and_send(encode_frame(receipt))

    async def _seal_and_send(self, frame: bytes) -> None:
        await self._stream.send(self._session.stream_out.seal(frame))

    async def _send_frames(self) -> bool:
        """Send what may be sent now, many small frames as one write. Answers whether there may be more of it."""
        closes_period = self._signals.closing.is_set()
        messages: list[bytes] = []
        length_bytes = 0
        while length_bytes < FRAME_TARGET_BYTES:
            frame = await self._outbox.next_frame(closes_period=closes_period)
            if frame is None:
                break
            if self._lifetime.is_generation_old():
                self._session.stream_out.begin_generation()
            messages.append(self._session.stream_out.seal(frame))
            length_bytes += len(frame)
        if messages:
            await self._stream.send_many(messages)
        return length_bytes >= FRAME_TARGET_BYTES
