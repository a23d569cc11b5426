"""One device of the load: the slave's own joining, session, outbox, delivery and transport, with no disk under them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Final

from benchmarks.fixtures import RANDOM
from benchmarks.joins import new_key
from benchmarks.streaming.load_records import LoadRecords
from group_protocol.crypto.aead import Aead
from group_protocol.frames import Ack
from group_protocol.identifiers import Address
from group_protocol.suites import Suite
from slave_client.delivery import Signals
from slave_client.device_state import DeviceState, JoinStep
from slave_client.joining import Joining, Offer, OpenSession
from slave_client.keystore import DeviceKeys, KeyStore
from slave_client.outbox import Outbox, Sender
from slave_client.random_share import random_share
from slave_client.stream_delivery import deliver_by_stream
from slave_client.transport import Transport
from system_ports.clock import SystemClock

HOST: Final = "127.0.0.1"


class NoDiskKeyStore(KeyStore):
    """Makes keys and keeps nothing: these devices live as long as the benchmark."""

    def __init__(self) -> None:
        """Without a folder."""

    def load_candidate(self) -> None:
        """No rotation is under way."""

    def store_state(self, state: DeviceState) -> None:
        """Forget it."""


@dataclass
class LoadDevice:
    """Joins once, then carries records over one stream until :meth:`stop`."""

    port: int
    keys: DeviceKeys
    joining: Joining
    frame_items_max: int
    records: LoadRecords | None = None
    is_stopped: bool = False
    signals: Signals = field(init=False)

    @classmethod
    def make(cls, port: int, master: Address, code: bytes, frame_items_max: int) -> "LoadDevice":
        """A new device with a fresh key."""
        keys = DeviceKeys(new_key(), bytes(32))
        state = DeviceState(JoinStep.PAIRED, master, HOST, port, code)
        offer = Offer((Suite.E1,), (Aead.A256GCM,))
        joining = Joining(NoDiskKeyStore(), keys, state, offer=offer, random=RANDOM, report=lambda _line: None)
        return cls(port, keys, joining, frame_items_max)

    async def join(self) -> None:
        """M1 to M6."""
        async with Transport(HOST, self.port) as transport:
            await self.joining.associate(transport, await self.joining.open_session(transport))

    async def stream(self, make_records: Callable[[int], LoadRecords], gate: asyncio.Semaphore) -> None:
        """A fresh session, opened behind the gate, and its stream, to the end."""
        async with Transport(HOST, self.port) as transport:
            async with gate:
                opened = await self.joining.open_session(transport)
            self.records = records = make_records(opened.ticket.last_seq + 1)

            def note_ack(ack: Ack) -> None:
                records.note_last_seq(ack.last_seq, monotonic())

            self.signals = Signals(note_ack, begin_epoch=self.joining.begin_epoch)
            outbox = self._outbox(opened, records)
            if self.is_stopped:
                self.stop()
            await deliver_by_stream(await transport.open_stream(), opened, outbox, self.signals, SystemClock())

    def look_again(self) -> None:
        """There is more that may be sent."""
        self.signals.more.set()

    def stop(self) -> None:
        """Send no more than was sent, close the period, and end; a stream that opens later ends at once."""
        self.is_stopped = True
        if self.records is not None:
            self.records.end()
            self.signals.closing.set()
            self.signals.more.set()

    def _outbox(self, opened: OpenSession, records: LoadRecords) -> Outbox:
        ticket = opened.ticket
        sender = Sender(opened.key, opened.domain, ticket.gid, ticket.oid, ticket.master_oid)
        return Outbox(
            records,
            sender,
            ticket.terms,
            sending_epoch=ticket.epoch,
            clock=SystemClock(),
            frame_items_max=self.frame_items_max,
            draw_share=partial(random_share, RANDOM),
        )
