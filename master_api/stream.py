"""``GET /stream``: a device's records over one WebSocket (``docs/protocol.md`` §5.3, §6).

Two tasks a stream, none a record. The reader opens units, judges frames and queues them for the store. A commit
calls each stream that it concerns, which sends a cumulative ACK there and then; the sender has what is left: ACKs to a
peer that takes nothing, messages from other slaves. The reader stops reading while more than the credit waits, so a
device can occupy no more memory than that.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from aiohttp import WSMsgType, web

from group_protocol.channels import parse_stream_opening
from group_protocol.errors import DecodingError, Reason, RemoteProtocolError, UnexpectedMessageError
from group_protocol.frames import Ack, Close, Items, Open, Resume, decode_slave_frame
from group_protocol.intake import StreamGate
from group_protocol.peer_messages import Receipt
from group_protocol.records import Item
from master_api.context import MasterContext
from master_api.record_intake import PendingCommit, RecordIntake
from master_api.sessions import LiveSession
from master_api.store.record_writes import WriteChain
from master_api.stream_messages import StreamMessages
from master_api.stream_writer import StreamWriter

POLICY_VIOLATION = 1008
"""WebSocket close code for anything that the protocol does not allow (RFC 6455 §7.4.1)."""
NORMAL_CLOSURE = 1000
INTERNAL_ERROR = 1011
"""The master failed; the device comes again later."""


class Stream:
    """One open stream of one session."""

    def __init__(self, context: MasterContext, intake: RecordIntake, writer: StreamWriter, live: LiveSession) -> None:
        self._context = context
        self._intake = intake
        self._writer = writer
        self._live = live
        self._gate = StreamGate()
        self._failed_chain: WriteChain | None = None
        self._judged: deque[tuple[PendingCommit, int]] = deque()  # each with the length of its frames, in bytes
        self._has_work = asyncio.Event()
        self._is_announcing = False
        self._is_read_to_end = self._is_over = False
        self._broken: Exception | None = None
        self._waiting_bytes = 0
        self._has_room = asyncio.Event()
        self._ended: asyncio.Future[Reason] = asyncio.get_running_loop().create_future()
        self._box = context.post.open_box(live.oid, self._has_work.set)

    def end(self, reason: Reason) -> None:
        """Send CLOSE and close the socket; nothing more is read."""
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
            self._is_over = True
            self._box.close()
            await _stop(reader, sender)

    async def _fail(self, failed: asyncio.Task[None]) -> None:
        error = failed.exception()
        if isinstance(error, RemoteProtocolError):
            await self._writer.close(Reason.MALFORMED, POLICY_VIOLATION)
        elif not isinstance(error, ConnectionError | TimeoutError):
            await self._writer.close(Reason.INTERNAL, INTERNAL_ERROR)
        failed.result()

    async def _read_frames(self) -> None:
        """Until the peer closes. Raises RemoteProtocolError."""
        messages = StreamMessages(self._writer.socket)
        credit_bytes = self._context.config.stream_credit_bytes
        while received := await messages.receive(credit_bytes - self._waiting_bytes):
            if not await self._take_messages(received):
                return

    async def _take_messages(self, messages: Sequence[bytes]) -> bool:
        """Open messages in their order and judge their items together; a refusal stops at the same item as one by one.

        Answers whether the stream goes on.
        """
        items: list[Item] = []
        length_bytes = 0
        for message in messages:
            try:
                plaintext = self._live.session.stream_in.open(message)
                frame = decode_slave_frame(plaintext)
            except RemoteProtocolError:
                await self._take(items, length_bytes)  # what came before it was good
                raise
            if type(frame) is Items:
                items += frame.items
                length_bytes += len(plaintext)
                continue
            await self._take(items, length_bytes)
            items, length_bytes = [], 0
            match frame:
                case Resume():
                    self._gate = self._gate.resume(frame)
                case Receipt() as frame:
                    self._box.note_receipt(frame)
                case Close():
                    return False
                case _:
                    raise UnexpectedMessageError("a stream is opened once")
        await self._take(items, length_bytes)
        return True

    async def _take(self, items: Sequence[Item], length_bytes: int) -> None:
        if not items or not self._gate.is_open:
            return
        pace, clock = self._intake.pace, self._context.clock
        if wait_s := pace.wait_s(self._live.oid, clock.monotonic_s()):
            await asyncio.sleep(wait_s)  # what it sends meanwhile fills its credit, then its own buffer
        pace.note(self._live.oid, len(items), clock.monotonic_s())
        pending = self._intake.begin_at_once(self._live, items)
        if pending is None:
            pending = await self._intake.begin(self._live, items)
        if pending.intake.refusal is not None:
            self._gate = self._gate.after(pending.intake)
        self._waiting_bytes += length_bytes
        self._judged.append((pending, length_bytes))
        if pending.written is None:
            self._has_work.set()
        else:
            pending.written.on_settled = self._note_settled
        while self._waiting_bytes > self._context.config.stream_credit_bytes:
            self._has_room.clear()
            await self._has_room.wait()

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


async def open_stream(context: MasterContext, socket: web.WebSocketResponse) -> LiveSession:
    """Read the first message: which session's stream this is, proven by its sealed OPEN.

    Raises:
        RemoteProtocolError: It is no opening, or the session has no stream to give. Nothing is claimed.
    """
    try:
        async with asyncio.timeout(context.config.stream_open_timeout_s):
            message = await socket.receive()
    except TimeoutError as exc:
        raise UnexpectedMessageError("the stream was not opened in time") from exc
    if message.type is not WSMsgType.BINARY:
        raise DecodingError("a stream begins with a binary message")
    sid, unit = parse_stream_opening(message.data)
    live = context.live.require(sid, context.clock.monotonic_s())
    if live.has_streamed or live.is_rotated:
        raise UnexpectedMessageError("the session has no stream to give")
    plaintext = live.session.stream_in.open(unit)
    live.has_streamed = True
    if not isinstance(decode_slave_frame(plaintext), Open):
        raise UnexpectedMessageError("a stream begins with OPEN")
    return live


async def serve_stream(
    context: MasterContext, intake: RecordIntake, socket: web.WebSocketResponse, transport: asyncio.Transport
) -> None:
    """Serve a prepared socket, over this transport, to its end.

    Raises:
        RemoteProtocolError: The peer broke the protocol; the socket is closed with 1008.
    """
    try:
        live = await open_stream(context, socket)
    except RemoteProtocolError:
        await socket.close(code=POLICY_VIOLATION)
        raise
    stream = Stream(context, intake, StreamWriter(context, socket, transport, live.session.stream_out), live)
    live.stream = stream
    try:
        await stream.run()
    except (ConnectionError, TimeoutError):
        return  # the peer is gone, or takes nothing any more
    finally:
        live.stream = None
