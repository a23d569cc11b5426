"""``GET /stream``: a device's records over one WebSocket (``docs/protocol.md`` §5.3, §6).

What the transport has received is opened, judged and queued for the store there and then, and a commit calls each
stream that it concerns, which sends a cumulative ACK there and then: no task's turn for a record, on either way. Two
tasks a stream have what is left. The reader waits where something has to be waited for: the store or the signature
checks, a device's pace, room. The sender has ACKs to a peer that takes nothing, and messages from other slaves. Nothing
is read while more than the credit waits, so a device can occupy no more memory than that.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from group_protocol.channels import parse_stream_opening
from group_protocol.errors import Reason, RemoteProtocolError, UnexpectedMessageError
from group_protocol.frames import Ack, Close, Items, Open, Resume, SlaveFrame, decode_slave_frame
from group_protocol.intake import StreamGate
from group_protocol.peer_messages import Receipt
from group_protocol.records import Item
from master_api.context import MasterContext
from master_api.record_intake import PendingCommit, RecordIntake
from master_api.sessions import LiveSession
from master_api.store.record_writes import WriteChain
from master_api.stream_socket import StreamSocket
from master_api.stream_writer import StreamWriter

POLICY_VIOLATION = 1008
"""WebSocket close code for anything that the protocol does not allow (RFC 6455 §7.4.1)."""
NORMAL_CLOSURE = 1000
INTERNAL_ERROR = 1011
"""The master failed; the device comes again later."""


class Stream:
    """One open stream of one session."""

    def __init__(self, context: MasterContext, intake: RecordIntake, socket: StreamSocket, live: LiveSession) -> None:
        self._context = context
        self._intake = intake
        self._socket = socket
        self._writer = StreamWriter(context, socket, live.session.stream_out)
        self._live = live
        self._credit_bytes = context.config.stream_credit_bytes
        self._gate = StreamGate()
        self._failed_chain: WriteChain | None = None
        # What was received and opened: items with the length of their frames in bytes, a frame of another kind, or why
        # the next one is none.
        self._opened: deque[tuple[list[Item], int] | SlaveFrame | RemoteProtocolError] = deque()
        self._reader_has_work = asyncio.Event()
        self._is_left_to_reader = False  # or to nobody, once it has ended
        self._judged: deque[tuple[PendingCommit, int]] = deque()  # each with the length of its frames, in bytes
        self._has_work = asyncio.Event()
        self._is_announcing = False
        self._has_heard_close = self._is_read_to_end = self._is_over = False
        self._broken: Exception | None = None
        self._waiting_bytes = 0
        self._has_room = asyncio.Event()
        self._ended: asyncio.Future[Reason] = asyncio.get_running_loop().create_future()
        self._box = context.post.open_box(live.oid, self._has_work.set)

    def end(self, reason: Reason) -> None:
        """Send CLOSE and close the socket; nothing more is read."""
        self._is_left_to_reader = True
        if not self._ended.done():
            self._ended.set_result(reason)

    def announce(self) -> None:
        """Send an ACK unasked."""
        self._is_announcing = True
        self._has_work.set()

    async def run(self) -> None:
        """Serve until either side ends it.

        Raises:
            RemoteProtocolError: The peer sent what the protocol does not allow; the socket is closed.
        """
        self.announce()
        self._socket.on_received = self._note_received
        self._reader_has_work.set()  # something may have come behind OPEN
        reader = asyncio.create_task(self._read_frames())
        sender = asyncio.create_task(self._send_the_rest())
        try:
            tasks: set[asyncio.Future[Any]] = {reader, sender, self._ended}
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self._ended.done():
                await _stop(reader, sender)
                await self._writer.close(self._ended.result(), NORMAL_CLOSURE)
            elif reader.done() and reader.exception() is None:
                self._is_read_to_end = True
                self._has_work.set()
                await asyncio.wait({sender}, timeout=self._context.config.stream_send_timeout_s)
                await self._writer.close(None, NORMAL_CLOSURE)
            else:
                await self._fail(reader if reader.done() else sender)
        finally:
            self._is_over = self._is_left_to_reader = True
            self._box.close()
            await _stop(reader, sender)

    async def _fail(self, failed: asyncio.Task[None]) -> None:
        error = failed.exception()
        if isinstance(error, RemoteProtocolError):
            await self._writer.close(Reason.MALFORMED, POLICY_VIOLATION)
        elif not isinstance(error, ConnectionError | TimeoutError):
            await self._writer.close(Reason.INTERNAL, INTERNAL_ERROR)
        failed.result()

    def _note_received(self) -> None:
        """From the transport: go on here and now, unless that is left to the reader."""
        if self._is_left_to_reader:
            return
        try:
            if self._advance():
                return
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is this stream's alone; the reader raises it
            self._broken = exc
        self._reader_has_work.set()

    async def _read_frames(self) -> None:
        """What cannot be done at once. Ends when the peer closes. Raises RemoteProtocolError."""
        while True:
            await self._reader_has_work.wait()
            self._reader_has_work.clear()
            self._is_left_to_reader = True
            if self._broken is not None:
                raise self._broken
            while not self._advance():
                if self._has_heard_close or (self._socket.is_read_to_end and not self._opened):
                    return
                await self._do_next()
            self._is_left_to_reader = False

    async def _do_next(self) -> None:
        """What :meth:`_advance` stopped at."""
        if self._waiting_bytes > self._credit_bytes:
            self._has_room.clear()
            await self._has_room.wait()
        elif not self._opened:
            await asyncio.sleep(0)  # a turn's worth is taken: the others want theirs
        elif isinstance(step := self._opened.popleft(), tuple):
            await self._take(*step)
        elif isinstance(step, RemoteProtocolError):
            raise step

    def _advance(self) -> bool:
        """Judge a turn's worth of what has come, as far as nothing has to be waited for.

        Answers whether that was all; if not, it is the reader's turn.
        """
        opened = self._opened
        if not opened and self._waiting_bytes <= self._credit_bytes:
            self._open(self._socket.take(self._credit_bytes - self._waiting_bytes))
        while opened:
            step = opened[0]
            if isinstance(step, tuple):
                if self._waiting_bytes > self._credit_bytes or not self._take_at_once(*step):
                    return False
            elif not self._obey(step):
                return False
            opened.popleft()
        return not self._socket.has_more and self._waiting_bytes <= self._credit_bytes

    def _open(self, messages: Sequence[bytes]) -> None:
        """Open messages in their order; items of frames that follow each other are judged together."""
        session, opened = self._live.session, self._opened
        items: list[Item] = []
        length_bytes = 0
        for message in messages:
            try:
                plaintext = session.stream_in.open(message)
                frame = decode_slave_frame(plaintext)
            except RemoteProtocolError as exc:
                opened.append((items, length_bytes))  # what came before it was good
                opened.append(exc)
                return
            if type(frame) is Items:
                items += frame.items
                length_bytes += len(plaintext)
                continue
            opened.append((items, length_bytes))
            opened.append(frame)
            items, length_bytes = [], 0
        opened.append((items, length_bytes))

    def _obey(self, frame: SlaveFrame | RemoteProtocolError) -> bool:
        """Do what a frame without items says. Answers whether the stream goes on behind it."""
        match frame:
            case Resume():
                self._gate = self._gate.resume(frame)
            case Receipt():
                self._box.note_receipt(frame)
            case Close():
                self._has_heard_close = True
                return False
            case RemoteProtocolError():
                return False
            case _:
                raise UnexpectedMessageError("a stream is opened once")
        return True

    def _take_at_once(self, items: Sequence[Item], length_bytes: int) -> bool:
        """Judge items; False, and nothing has happened, where something has to be waited for first."""
        if not items or not self._gate.is_open:
            return True
        pace, now_s = self._intake.pace, self._context.clock.monotonic_s()
        if pace.wait_s(self._live.oid, now_s):
            return False
        pending = self._intake.begin_at_once(self._live, items)
        if pending is None:
            return False
        pace.note(self._live.oid, len(items), now_s)
        self._note_judged(pending, length_bytes)
        return True

    async def _take(self, items: Sequence[Item], length_bytes: int) -> None:
        """The same, and waits."""
        pace, clock = self._intake.pace, self._context.clock
        if wait_s := pace.wait_s(self._live.oid, clock.monotonic_s()):
            await asyncio.sleep(wait_s)  # what it sends meanwhile fills its credit, then its own buffer
        pace.note(self._live.oid, len(items), clock.monotonic_s())
        pending = self._intake.begin_at_once(self._live, items)
        if pending is None:
            pending = await self._intake.begin(self._live, items)
        self._note_judged(pending, length_bytes)

    def _note_judged(self, pending: PendingCommit, length_bytes: int) -> None:
        if pending.intake.refusal is not None:
            self._gate = self._gate.after(pending.intake)
        self._waiting_bytes += length_bytes
        self._judged.append((pending, length_bytes))
        if pending.written is None:
            self._has_work.set()
        else:
            pending.written.on_settled = self._note_settled

    def _note_settled(self) -> None:
        """A write of this stream is done: acknowledge here and now. A turn of a task would take twice as long."""
        try:
            self._acknowledge()
            if self._is_read_to_end:
                self._has_work.set()  # the sender ends with the last of them
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is this stream's alone; the sender raises it
            self._broken = exc
            self._has_work.set()

    def _acknowledge(self) -> None:
        """Send the ACKs of all frames whose fate is known; of those that were taken, the last one's says all.

        Stops where the peer takes nothing: what is not acknowledged still counts against the credit.
        """
        judged, writer = self._judged, self._writer
        owed: Ack | None = None
        while judged and judged[0][0].is_settled and not self._is_over:
            if not writer.is_ready:
                self._has_work.set()
                break
            ack = self._settle(*judged.popleft())
            if ack is None:
                continue
            if ack.reason is Reason.NONE:
                owed = ack
            else:
                writer.write(ack)  # and says what was owed
                owed = None
        if owed is not None:
            writer.write(owed)

    def _settle(self, pending: PendingCommit, length_bytes: int) -> Ack | None:
        ack = self._intake.settle(self._live, pending)
        self._waiting_bytes -= length_bytes
        self._has_room.set()
        if ack.reason is Reason.STORE_UNAVAILABLE:
            # What was judged behind this frame fails with it, and is passed over as if the gate had been closed.
            if pending.chain is self._failed_chain:
                return None
            self._failed_chain = pending.chain
            self._gate = StreamGate(ack.refused_seq)
        return ack

    async def _send_the_rest(self) -> None:
        """Whatever is no ACK of a commit that the peer takes at once. Raises what broke the stream."""
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            await self._writer.wait_until_ready()
            if self._broken is not None:
                raise self._broken
            if self._is_announcing:
                self._is_announcing = False
                self._writer.write(self._intake.acknowledge(self._live))
            self._acknowledge()
            if self._is_read_to_end:
                if not self._judged:
                    return
                continue
            for delivery in await self._box.take():
                await self._writer.wait_until_ready()
                self._writer.write(delivery)


async def _stop(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def open_stream(context: MasterContext, socket: StreamSocket) -> LiveSession:
    """Read the first message: which session's stream this is, proven by its sealed OPEN.

    Raises:
        RemoteProtocolError: It is no opening, or the session has no stream to give. Nothing is claimed.
    """
    opening = await _first_message(socket, context.config.stream_open_timeout_s)
    sid, unit = parse_stream_opening(opening)
    live = context.live.require(sid, context.clock.monotonic_s())
    if live.has_streamed or live.is_rotated:
        raise UnexpectedMessageError("the session has no stream to give")
    plaintext = live.session.stream_in.open(unit)
    live.has_streamed = True
    if not isinstance(decode_slave_frame(plaintext), Open):
        raise UnexpectedMessageError("a stream begins with OPEN")
    return live


async def _first_message(socket: StreamSocket, timeout_s: float) -> bytes:
    has_come = asyncio.Event()
    socket.on_received = has_come.set
    try:
        async with asyncio.timeout(timeout_s):
            while not (messages := socket.take(0)):
                if socket.is_read_to_end:
                    raise UnexpectedMessageError("the stream was closed unopened")
                has_come.clear()
                await has_come.wait()
    except TimeoutError as exc:
        raise UnexpectedMessageError("the stream was not opened in time") from exc
    return messages[0]


async def serve_stream(context: MasterContext, intake: RecordIntake, socket: StreamSocket) -> None:
    """Serve a stream to its end.

    Raises:
        RemoteProtocolError: The peer broke the protocol; the socket is closed with 1008.
    """
    try:
        live = await open_stream(context, socket)
    except RemoteProtocolError:
        await socket.close(POLICY_VIOLATION)
        raise
    stream = Stream(context, intake, socket, live)
    live.stream = stream
    try:
        await stream.run()
    except (ConnectionError, TimeoutError):
        return  # the peer is gone, or takes nothing any more
    finally:
        live.stream = None
