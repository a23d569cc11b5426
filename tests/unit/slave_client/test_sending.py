"""A message of the user's waits for the master's word, which has to be about this very message."""

import asyncio
from dataclasses import replace

import pytest

from group_protocol.errors import Reason
from group_protocol.frames import Ack
from group_protocol.identifiers import ObjectId
from slave_client.buffer import Buffer
from slave_client.buffered_record import BufferLimits, DropPolicy
from slave_client.control_socket import Sent, Wish
from slave_client.errors import BufferFullError
from slave_client.sending import MessageSender
from slave_client.state_directory import StateDirectory
from tests.support.seeded import ManualClock, SeededRandom

ACK = Ack(last_seq=0, evidence_seq=0, epoch=1, credit_bytes=1_000, refused_seq=0, reason=Reason.NONE)


@pytest.fixture
async def buffer(directory: StateDirectory) -> Buffer:
    return await Buffer.open(directory, b"s" * 32, limits=BufferLimits(), clock=ManualClock(), random=SeededRandom(1))


async def begin(sender: MessageSender, buffer: Buffer, payload: bytes = b"hello") -> asyncio.Task[Sent]:
    """A message that waits, once the buffer was committed with it."""
    sending = asyncio.create_task(sender.send(Wish(ObjectId(b"p" * 16), payload, 1, 30.0)))
    await buffer.wait_for_commit()
    return sending


async def test_message_that_the_master_holds_is_acknowledged(buffer: Buffer) -> None:
    sender = MessageSender(buffer, stir=lambda: None, own_oid=lambda: None)
    sending = await begin(sender, buffer)
    sender.note_ack(replace(ACK, last_seq=1))
    assert (await sending).is_acknowledged
    await buffer.close()


async def test_message_with_a_new_number_is_not_acknowledged_by_what_had_its_old_one(buffer: Buffer) -> None:
    """The device came back from a backup: the master's record 1 is another than the one that waits here."""
    sender = MessageSender(buffer, stir=lambda: None, own_oid=lambda: None)
    sending = await begin(sender, buffer)
    assert await buffer.begin_sending(100) == 1
    sender.forget_numbers()
    sender.note_ack(replace(ACK, last_seq=100))
    assert not (await sending).is_acknowledged
    await buffer.close()


@pytest.mark.parametrize("when_full", list(DropPolicy))
async def test_message_that_the_full_buffer_gave_up_is_not_acknowledged_by_later_records(
    directory: StateDirectory, when_full: DropPolicy
) -> None:
    limits = BufferLimits(max_bytes=2_000, when_full=when_full)
    buffer = await Buffer.open(directory, b"s" * 32, limits=limits, clock=ManualClock(), random=SeededRandom(1))
    sender = MessageSender(buffer, stir=lambda: None, own_oid=lambda: None)
    if when_full is DropPolicy.NEWEST:
        await measure(buffer, 30)
    sending = await begin(sender, buffer)
    if when_full is DropPolicy.OLDEST:
        await measure(buffer, 30)
    sender.note_ack(replace(ACK, last_seq=31))
    with pytest.raises(BufferFullError, match="dropped"):
        await sending
    await buffer.close()


async def test_message_that_memory_had_no_room_for_is_not_acknowledged_by_later_records(
    directory: StateDirectory,
) -> None:
    limits = BufferLimits(when_full=DropPolicy.NEWEST)
    buffer = await Buffer.open(directory, b"s" * 32, limits=limits, clock=ManualClock(), random=SeededRandom(1))
    sender = MessageSender(buffer, stir=lambda: None, own_oid=lambda: None)
    for _ in range(1_100):
        buffer.append(b"x" * 1_000, ObjectId(bytes(16)))
    sending = await begin(sender, buffer, b"x" * 1_000)
    sender.note_ack(replace(ACK, last_seq=2_000))
    with pytest.raises(BufferFullError, match="dropped"):
        await sending
    await buffer.close()


async def measure(buffer: Buffer, count: int) -> None:
    for _ in range(count):
        buffer.append(b"r" * 20, ObjectId(bytes(16)))
    await buffer.commit()
