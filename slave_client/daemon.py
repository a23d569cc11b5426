"""The slave at work: sensors into the buffer, the buffer to the master, through lost networks and restarts.

Three things run side by side and know little of each other: the sensors' pumps, the batcher that commits, and the
connection with its states (:mod:`slave_client.states`). The buffer lies between them: a master that is away stops
nothing.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from group_protocol.errors import BusyError, StoreError, VirtualGroupError
from group_protocol.frames import Ack
from group_protocol.identifiers import ObjectId
from group_protocol.ports import Clock, Random
from slave_client.backoff import Backoff
from slave_client.batching import Batcher, BatchRules
from slave_client.buffer import Buffer, BufferFill
from slave_client.control_socket import Sent, Wish
from slave_client.delivery import Signals, deliver_by_data
from slave_client.errors import DeviceRevokedError, SensorError
from slave_client.joining import Joining, OpenSession, Reach
from slave_client.mailbox import Mailbox
from slave_client.outbox import Outbox, Sender
from slave_client.random_share import random_share
from slave_client.sending import MessageSender
from slave_client.sensors.ports import Sensor
from slave_client.states import Event, State
from slave_client.status import SensorStatus, StatusBoard, describe_reached, write_status
from slave_client.stream_delivery import deliver_by_stream

_CLOSING_S = 5.0
"""How long a stopping daemon goes on delivering what it has; the rest waits in the buffer."""
_SENSOR_RETRY_S = 10.0
_FIRST: Final = asyncio.FIRST_COMPLETED
_LONG_SESSION_S = 30.0
"""A session that lasted so long ends a row of failures."""


@dataclass(frozen=True, slots=True)
class DaemonOptions:
    """What the daemon has to be told.

    Attributes:
        via: stream or data.
        ends_with_sensors: Stop once all sensors have ended (recordings do) and everything is acknowledged.
    """

    via: str
    batch: BatchRules
    backoff_longest_s: float
    status_file: Path
    status_s: float
    ready_file: Path | None = None
    ends_with_sensors: bool = True


class Daemon:
    """Runs until it is stopped, its recordings have ended, or the device is revoked.

    Args:
        joining: Opens sessions; holds the device's state.
        reach: Opens each session, wherever the master is then (:class:`~slave_client.finding.finder.MasterFinder`).
        buffer: The store-and-forward buffer, open. The daemon closes it.
        mailbox: Takes messages from other slaves; the daemon closes it. Without one they stay at the master.
        sensors: What to measure.
        options: See there.
        clock: Time.
        random: For the backoff's jitter, and the checkpoints'.
        report: Called with one line at each change of state.
    """

    def __init__(  # noqa: PLR0913 - the composition root hands every part in
        self,
        *,
        joining: Joining,
        reach: Reach,
        buffer: Buffer,
        mailbox: Mailbox | None = None,
        sensors: Sequence[Sensor],
        options: DaemonOptions,
        clock: Clock,
        random: Random,
        report: Callable[[str], None],
    ) -> None:
        self._joining = joining
        self._reach = reach
        self._buffer = buffer
        self._mailbox = mailbox
        self._sensors = sensors
        self._options = options
        self._clock = clock
        self._draw_share = partial(random_share, random)
        self._backoff = Backoff(random, longest_s=options.backoff_longest_s)
        self._is_ready_noted = False
        self._acknowledged: int | None = None
        self.board = StatusBoard(clock, options.via, report)
        more = asyncio.Event()
        messages = mailbox.connect(more.set, self._note_error) if mailbox else None
        self._sender = MessageSender(buffer, stir=more.set, own_oid=self._own_oid)
        self._signals = Signals(self._note_ack, joining.begin_epoch, messages, more)
        self._batcher = Batcher(buffer, options.batch, clock, committed=self._signals.more.set, report=self._note_store)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, the recordings have ended and all is acknowledged, or the device is revoked.

        Raises:
            DeviceRevokedError: For good; the buffer keeps what was not delivered.
        """
        self.board.move(Event.STARTED)
        background = [asyncio.create_task(self._batcher.run()), asyncio.create_task(self._write_status_often())]
        if self._mailbox is not None:
            background.append(asyncio.create_task(self._mailbox.run(self._note_error)))
        measuring = asyncio.create_task(self._measure())
        connection = asyncio.create_task(self._stay_connected())
        stopping = asyncio.create_task(stop.wait())
        try:
            ends: set[asyncio.Task[None] | asyncio.Task[bool]] = {stopping, connection, *background}
            await asyncio.wait(ends | ({measuring} if self._options.ends_with_sensors else set()), return_when=_FIRST)
            if not any(task.done() for task in ends):
                await self._finish_recordings(ends)
            await _cancel(measuring)
            await self._leave(connection)
            for task in background:
                if task.done():
                    task.result()
        finally:
            await _cancel(measuring, stopping, connection, *background)
            if self.board.state is not State.REVOKED:
                self.board.move(Event.STOPPED)
            await self._commit()
            await self._write_status()
            await self._buffer.close()
            if self._mailbox is not None:
                await self._mailbox.close()

    async def send(self, wish: Wish) -> Sent:
        """Send a message of the user's. Raises RefusedError or StoreError."""
        return await self._sender.send(wish)

    def fill(self) -> BufferFill:
        """The buffer's fill level and losses."""
        return self._buffer.fill()

    def _own_oid(self) -> ObjectId | None:
        place = self._joining.state.enrolment
        return place.oid if place else None

    async def prove_progress(self) -> None:
        """Return once the event loop and the buffer's writer have both made a step."""
        await self._buffer.prove_progress()

    async def _finish_recordings(self, ends: set[asyncio.Task[None] | asyncio.Task[bool]]) -> None:
        """The recordings are over: end the session when all is delivered, however long the master is away."""
        self._batcher.end_batch()
        while self._buffer.fill().uncommitted_records and not any(task.done() for task in ends):
            await self._commit()
            await asyncio.sleep(0.1)
        self._begin_closing()
        await asyncio.wait(ends, return_when=_FIRST)

    async def _commit(self) -> None:
        try:
            await self._buffer.commit()
        except StoreError as exc:
            self.board.note_error(exc)

    async def _leave(self, connection: asyncio.Task[None]) -> None:
        """Deliver what there is within a few seconds if a session stands; then raise what ended the connection."""
        self._batcher.end_batch()
        await self._commit()
        self._begin_closing()
        if self.board.state is State.STREAMING:
            await asyncio.wait({connection}, timeout=_CLOSING_S)
        if connection.done():
            connection.result()

    def _begin_closing(self) -> None:
        self._signals.closing.set()
        self._signals.more.set()

    async def _stay_connected(self) -> None:
        """One session after the other; ends only when closing was asked for and all is delivered, or by revocation."""
        while True:
            began_s = self._clock.monotonic_s()
            try:
                if await self._hold_session():
                    return
                self.board.move(Event.SESSION_ENDED)
                self._backoff.succeeded()
            except DeviceRevokedError as exc:
                self.board.note_error(exc)
                self.board.move(Event.WAS_REVOKED)
                raise
            except VirtualGroupError as exc:
                if self._clock.monotonic_s() - began_s > _LONG_SESSION_S:
                    self._backoff.succeeded()
                await self._wait_after(exc)

    async def _wait_after(self, error: VirtualGroupError) -> None:
        self.board.note_error(error)
        self.board.move(Event.FAILED)
        at_least_s = float(error.retry_after_s) if isinstance(error, BusyError) else 0.0
        await asyncio.sleep(self._backoff.next_wait_s(at_least_s=at_least_s))
        self.board.move(Event.WAITED)

    async def _hold_session(self) -> bool:
        """Connect, join if need be, deliver. Answers whether closing was asked for and everything is delivered."""
        async with self._reach(self._joining) as (transport, opened):
            self.board.move(Event.SESSION_OPENED)
            await self._joining.associate(transport, opened)
            self.board.move(Event.ASSOCIATED)
            self.board.sessions += 1
            outbox = await self._make_outbox(opened)
            try:
                if self._options.via == "data":
                    return await deliver_by_data(transport, opened, outbox, self._signals, self._clock)
                stream = await transport.open_stream()
                return await deliver_by_stream(stream, opened, outbox, self._signals, self._clock)
            finally:
                self.board.records_without_evidence += outbox.records_without_evidence

    async def _make_outbox(self, opened: OpenSession) -> Outbox:
        ticket, place = opened.ticket, self._joining.state.enrolment
        renumbered = await self._buffer.begin_sending(ticket.last_seq)
        if renumbered:
            self._sender.forget_numbers()
            self.board.report(f"{renumbered} records got new numbers: the master knows a later state of this device")
        self._batcher.payload_max_bytes = min(self._batcher.payload_max_bytes, ticket.terms.payload_max_bytes)
        sender = Sender(opened.key, opened.domain, ticket.gid, ticket.oid, ticket.master_oid)
        sending_epoch = place.sending_epoch if place else ticket.epoch
        return Outbox(
            self._buffer,
            sender,
            ticket.terms,
            sending_epoch=sending_epoch,
            clock=self._clock,
            draw_share=self._draw_share,
        )

    async def _measure(self) -> None:
        """All sensors until the last has ended. One that fails is tried again later; the others do not notice."""
        async with asyncio.TaskGroup() as tasks:
            for sensor in self._sensors:
                status = SensorStatus(sensor.label)
                self.board.sensors.append(status)
                tasks.create_task(self._pump(sensor, status))

    async def _pump(self, sensor: Sensor, status: SensorStatus) -> None:
        while True:
            try:
                async for reading in sensor.readings():
                    await self._batcher.add(reading)
                    status.readings += 1
                    if status.state != "running":
                        status.state, status.error = "running", ""
                status.state = "ended"
            except Exception as exc:  # noqa: BLE001 - a plug-in is foreign code: its mistakes stop nothing but itself
                error = exc if isinstance(exc, SensorError) else SensorError(f"{sensor.label} failed: {exc!r}")
                status.state, status.error = "failing", str(error)
                self.board.note_error(error)
            if status.state == "ended" or sensor.is_recording:
                return
            await asyncio.sleep(_SENSOR_RETRY_S)

    def _note_ack(self, ack: Ack) -> None:
        if self.board.last_ack is None:
            self.board.changed.set()
        self.board.note_ack(ack)
        self._sender.note_ack(ack)
        self._batcher.acknowledged()

    def _note_error(self, error: VirtualGroupError) -> None:
        self.board.note_error(error)

    def _note_store(self, error: StoreError | None) -> None:
        if error is not None:
            self.board.note_error(error)

    async def _write_status_often(self) -> None:
        while True:
            self.board.changed.clear()
            await self._write_status()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.status_s):
                    await self.board.changed.wait()

    async def _write_status(self) -> None:
        last_seq = self.board.last_ack.last_seq if self.board.last_ack else 0
        with contextlib.suppress(StoreError):
            self._acknowledged = await self._buffer.count_acknowledged(last_seq)
        fields = self.board.to_fields(
            self._joining.state,
            self._buffer,
            readings=self._batcher.readings,
            acknowledged=self._acknowledged,
        )
        fields["reached"] = describe_reached(self._joining.reached)
        if self._mailbox is not None:
            fields["inbox"] = await self._mailbox.to_fields()
        await write_status(self._options.status_file, fields)
        if self.board.last_ack is not None and self._options.ready_file is not None and not self._is_ready_noted:
            self._is_ready_noted = True
            await write_status(self._options.ready_file, fields)


async def _cancel(*tasks: asyncio.Task[None] | asyncio.Task[bool]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
