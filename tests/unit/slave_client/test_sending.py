"""A message of the user's waits for the master's word, which has to be about this very message."""

import asyncio
from dataclasses import replace

import pytest

from group_protocol.errors import Reason
from group_protocol.frames import Ack
from group_protocol.identifiers import ObjectId
from slave_client.buffer import Buffer
from slave_client.buffered_record import BufferLimits
from slave_client.control_socket import Sent, Wish
from slave_client.sending import MessageSender
from slave_client.state_directory import StateDirectory
from tests.support.seeded import ManualClock, SeededRandom

ACK = Ack(last_seq=0, evidence_seq=0, epoch=1, credit_bytes=1_000, refused_seq=0, reason=Reason.NONE)


@pytest.fixture
async def buffer(directory: StateDirectory) -> Buffer:
    return await Buffer.open(directory, b"s" * 32, limits=BufferLimits(), clock=ManualClock(), random=SeededRandom(1))


async def begin(sender: MessageSender, buffer: Buffer) -> asyncio.Task[Sent]:
    """A message that is on the disk and waits."""
    sending = asyncio.create_task(sender.send(Wish(ObjectId(b"p" * 16), b"hello", 1, 30.0)))
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
