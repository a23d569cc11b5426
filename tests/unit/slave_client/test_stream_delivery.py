"""One stream's two tasks: what wakes the carrier, what does not, and what a strange master can make them do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

import pytest

from group_protocol.channels import MasterSession, SessionKeys, SlaveSession, parse_stream_opening
from group_protocol.crypto.aead import Aead
from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import BusyError, Reason
from group_protocol.frames import Ack, Close, Items, Resume, SlaveFrame, decode_slave_frame, encode_frame
from group_protocol.identifiers import Address, GroupId, ObjectId, SessionId, Token, derive_object_id
from group_protocol.ports import RegistryIdentity
from group_protocol.tickets import EvidencePolicy, MembershipState, SessionTerms, Ticket
from group_protocol.typed_data import TypedDataDomain
from slave_client.buffered_record import BufferedRecord
from slave_client.delivery import Signals
from slave_client.errors import StreamClosedError
from slave_client.joining import OpenSession
from slave_client.outbox import TO_MASTER, Outbox, Sender
from slave_client.stream_delivery import deliver_by_stream
from slave_client.transport import Stream
from system_ports.clock import SystemClock

KEY = PrivateKey.from_secret(b"\x22" * 32)
OID, MASTER_OID, GID = derive_object_id(KEY.address), ObjectId(b"m" * 16), GroupId(b"g" * 16)
TERMS = SessionTerms(EvidencePolicy.CHECKPOINTS, 1_000, 3_600, 65_536, 86_400)
CONTRACT = Address(b"c" * 20)
DOMAIN = TypedDataDomain(RegistryIdentity(1337, CONTRACT))
ACTIVE = MembershipState.ACTIVE
TICKET = Ticket(GID, OID, KEY.address, Token(bytes(64)), MASTER_OID, 1337, CONTRACT, ACTIVE, 1, 0, 0, TERMS)
SID = SessionId(b"i" * 16)
CREDIT_BYTES = 1 << 20


def session_keys() -> SessionKeys:
    return SessionKeys(Aead.A256GCM, SID, bytes(32), bytes(32), bytes(32))


class FewRecords:
    """In the buffer's place: records of one byte, as many as were committed."""

    def __init__(self) -> None:
        self.highest_committed = 0
        self.set_aside_seqs: list[int] = []

    async def read_after(self, seq: int, *, max_records: int, max_bytes: int) -> list[BufferedRecord]:  # noqa: ARG002 - so few are always short enough
        last = min(seq + max_records, self.highest_committed)
        return [BufferedRecord(number, TO_MASTER, b"x", 1, 0.0) for number in range(seq + 1, last + 1)]

    def acknowledge(self, through: int) -> None:
        pass

    async def set_aside(self, seq: int, reason: int) -> None:  # noqa: ARG002 - the buffer's own signature
        self.set_aside_seqs.append(seq)


class WatchedOutbox(Outbox):
    """Counts how often it is asked for a frame."""

    asked = 0

    async def next_frame(self, *, closes_period: bool = False) -> bytes | None:
        self.asked += 1
        return await super().next_frame(closes_period=closes_period)


class MasterEnd:
    """Stands where the stream stands, and is the master behind it."""

    def __init__(self) -> None:
        self._session = MasterSession(SID, session_keys())
        self._to_slave: asyncio.Queue[bytes] = asyncio.Queue()
        self._is_opened = False
        self.frames: list[SlaveFrame] = []
        self.takes = asyncio.Event()
        self.takes.set()

    async def send(self, message: bytes) -> None:
        if not self._is_opened:
            self._is_opened, (_, message) = True, parse_stream_opening(message)
        self.frames.append(decode_slave_frame(self._session.stream_in.open(message)))
        await self.takes.wait()

    async def send_many(self, messages: list[bytes]) -> None:
        for message in messages:
            await self.send(message)

    async def receive(self) -> bytes:
        return await self._to_slave.get()

    async def close(self) -> None:
        pass

    def say(self, frame: Ack | Close) -> None:
        self._to_slave.put_nowait(self._session.stream_out.seal(encode_frame(frame)))

    def items(self) -> list[Items]:
        return [frame for frame in self.frames if isinstance(frame, Items)]


class Delivery:
    """A delivery that runs, with the master's end in the test's hands."""

    def __init__(self) -> None:
        self.master = MasterEnd()
        self.records = FewRecords()
        self.acks: list[Ack] = []
        self.signals = Signals(self.acks.append, begin_epoch=self._begin_epoch)
        sender = Sender(KEY, DOMAIN, GID, OID, MASTER_OID)
        self.outbox = WatchedOutbox(self.records, sender, TERMS, sending_epoch=1, clock=SystemClock())
        opened = OpenSession(TICKET, SlaveSession(SID, session_keys()), KEY, DOMAIN)
        stream = cast("Stream", self.master)
        self.running = asyncio.create_task(deliver_by_stream(stream, opened, self.outbox, self.signals, SystemClock()))

    async def _begin_epoch(self, epoch: int) -> None:
        pass

    def commit(self, count: int = 1) -> None:
        self.records.highest_committed += count
        self.signals.more.set()

    def close(self) -> None:
        self.signals.closing.set()
        self.signals.more.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - the condition has no event
                await asyncio.sleep(0.001)


@asynccontextmanager
async def delivering(first: Ack | None = None) -> AsyncIterator[Delivery]:
    delivery = Delivery()
    delivery.master.say(first or Ack(0, 0, CREDIT_BYTES, 1))
    try:
        await delivery.until(lambda: bool(delivery.acks))
        await asyncio.sleep(0.01)  # the carrier has gone to rest
        yield delivery
    finally:
        delivery.running.cancel()
        await asyncio.gather(delivery.running, return_exceptions=True)


async def test_record_is_sent_at_once_and_its_ack_wakes_nobody() -> None:
    async with delivering() as delivery:
        delivery.commit()
        await delivery.until(lambda: len(delivery.master.items()) == 1)
        await asyncio.sleep(0.01)
        asked = delivery.outbox.asked
        delivery.master.say(Ack(1, 0, CREDIT_BYTES, 1))
        await delivery.until(lambda: len(delivery.acks) == 2)
        await asyncio.sleep(0.01)
        assert delivery.outbox.asked == asked
        assert delivery.outbox.last_ack == delivery.acks[-1]


async def test_ack_that_brings_credit_lets_waiting_records_go() -> None:
    async with delivering(Ack(0, 0, 0, 1)) as delivery:
        delivery.commit(3)
        await asyncio.sleep(0.01)
        assert delivery.master.items() == []
        delivery.master.say(Ack(0, 0, CREDIT_BYTES, 1))
        await delivery.until(lambda: len(delivery.master.items()) == 1)


async def test_ack_that_tells_a_new_epoch_closes_the_period() -> None:
    async with delivering() as delivery:
        delivery.commit()
        await delivery.until(lambda: len(delivery.master.items()) == 1)
        await asyncio.sleep(0.01)
        delivery.master.say(Ack(1, 0, CREDIT_BYTES, 2))
        await delivery.until(lambda: len(delivery.master.items()) == 2)
        delivery.master.say(Ack(1, 1, CREDIT_BYTES, 2))
        await delivery.until(lambda: delivery.outbox.sending_epoch == 2)


async def test_ack_of_the_last_record_ends_a_delivery_that_closes() -> None:
    async with delivering() as delivery:
        delivery.commit()
        delivery.close()
        await delivery.until(lambda: len(delivery.master.items()) == 1)
        assert not delivery.running.done()
        delivery.master.say(Ack(1, 1, CREDIT_BYTES, 1))
        async with asyncio.timeout(10):
            assert await delivery.running
        assert isinstance(delivery.master.frames[-1], Close)


async def test_refusal_is_answered_with_resume_and_the_record_set_aside() -> None:
    async with delivering() as delivery:
        delivery.commit(2)
        await delivery.until(lambda: len(delivery.master.items()) == 1)
        await asyncio.sleep(0.01)
        delivery.master.say(Ack(0, 0, CREDIT_BYTES, 1, 1, Reason.MALFORMED))
        await delivery.until(lambda: Resume(1) in delivery.master.frames)
        assert delivery.records.set_aside_seqs == [1]


async def test_master_that_cannot_take_records_ends_the_delivery() -> None:
    async with delivering() as delivery:
        delivery.master.say(Ack(0, 0, CREDIT_BYTES, 1, 0, Reason.SHUTTING_DOWN))
        with pytest.raises(BusyError):
            await asyncio.wait_for(delivery.running, 10)


async def test_acks_that_come_while_the_network_is_stuck_are_one_in_the_end() -> None:
    async with delivering() as delivery:
        delivery.master.takes.clear()
        delivery.commit(2_000)
        await delivery.until(lambda: len(delivery.master.items()) == 1)
        for _ in range(5_000):
            delivery.master.say(Ack(0, 0, CREDIT_BYTES, 1))
        delivery.master.say(Ack(256, 0, CREDIT_BYTES, 1))
        await asyncio.sleep(0.05)
        delivery.master.takes.set()
        await delivery.until(lambda: delivery.acks[-1].last_seq == 256)
        assert len(delivery.acks) < 10


async def test_refusals_without_end_close_the_stream() -> None:
    async with delivering() as delivery:
        delivery.master.takes.clear()
        delivery.commit()
        await delivery.until(lambda: len(delivery.master.items()) == 1)
        refusal = Ack(0, 0, CREDIT_BYTES, 1, 1, Reason.MALFORMED)
        for number in range(1_000):
            delivery.master.say(replace(refusal, refused_seq=1 + number))
        await asyncio.sleep(0.05)
        delivery.master.takes.set()
        with pytest.raises((StreamClosedError, BusyError)):
            await asyncio.wait_for(delivery.running, 10)


async def test_checkpoint_that_is_due_without_credit_waits_for_an_ack_and_does_not_turn_in_circles() -> None:
    async with delivering() as delivery:
        delivery.commit()
        await delivery.until(lambda: len(delivery.master.items()) == 1)
        await asyncio.sleep(0.01)
        delivery.master.say(Ack(0, 0, 0, 1))
        await delivery.until(lambda: len(delivery.acks) == 2)
        delivery.outbox._period._longest_s = 0.0
        delivery.signals.more.set()
        await asyncio.sleep(0.01)
        asked = delivery.outbox.asked
        await asyncio.sleep(0.05)
        assert delivery.outbox.asked == asked
        delivery.master.say(Ack(1, 0, CREDIT_BYTES, 1))
        await delivery.until(lambda: len(delivery.master.items()) == 2)
