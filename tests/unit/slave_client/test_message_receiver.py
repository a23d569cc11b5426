"""What the device says to the master about messages, whatever the master hands over."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from group_protocol.errors import Reason, StoreError, VirtualGroupError
from group_protocol.peer_messages import Delivery, Receipt
from slave_client import message_receiver
from slave_client.inbox import Inbox
from slave_client.message_receiver import MessageReceiver, Recipient
from tests.support.peer_messages import make_delivery
from tests.support.records import DOMAIN, GID, PEER
from tests.support.seeded import ManualClock, SeededRandom
from tests.support.waiting import until

RECIPIENT = Recipient(DOMAIN, GID, PEER)


class Receiving:
    """A receiver over a real inbox."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.errors: list[VirtualGroupError] = []
        self.stirred = 0
        self.receiver = MessageReceiver(inbox, stir=self._stir, report=self.errors.append)
        self.receiver.begin(RECIPIENT)

    def _stir(self) -> None:
        self.stirred += 1

    async def receive(self, *deliveries: Delivery) -> list[Receipt]:
        """All at once, as they come when the loop was busy; the receipts for them."""
        for delivery in deliveries:
            await self.receiver.put(delivery)
        before = self.stirred
        running = asyncio.create_task(self.receiver.run())
        await until(lambda: self.stirred > before)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return self.receiver.take_receipts()

    async def seqs(self) -> list[int]:
        return [message.seq for message in await self.inbox.read_unhandled(100)]


@pytest.fixture
async def receiving(tmp_path: Path) -> AsyncIterator[Receiving]:
    inbox = await Inbox.open(
        tmp_path, b"s" * 32, most=100, keeps_unhandled=False, clock=ManualClock(), random=SeededRandom(1)
    )
    yield Receiving(inbox)
    await inbox.close()


async def test_one_receipt_stands_for_all_that_came_together(receiving: Receiving) -> None:
    assert await receiving.receive(*(make_delivery(seq, number=10 + seq) for seq in (1, 2, 3))) == [Receipt(13)]
    assert await receiving.seqs() == [1, 2, 3]


async def test_forged_message_is_refused_by_itself_and_the_others_are_kept(receiving: Receiving) -> None:
    good = [make_delivery(seq, number=seq) for seq in (1, 2, 3)]
    forged = replace(good[1], record=good[1].record._replace(payload=b"other"))
    receipts = await receiving.receive(good[0], forged, good[2])
    assert receipts == [Receipt(2, 2, Reason.BAD_SIGNATURE), Receipt(3)]
    assert await receiving.seqs() == [1, 3]
    assert receiving.receiver.refused == 1
    assert good[1].sender.hex() in str(receiving.errors[0])


async def test_forged_message_cannot_spend_the_seq_of_the_true_one(receiving: Receiving) -> None:
    """Else a master could make a device deaf for a sender with one invented message of a high seq."""
    high = make_delivery(1_000, number=1)
    forged = replace(high, record=high.record._replace(payload=b"other"))
    await receiving.receive(forged)
    assert await receiving.receive(make_delivery(1, number=2)) == [Receipt(2)]
    assert await receiving.seqs() == [1]


async def test_message_that_comes_again_is_receipted_and_not_kept_again(receiving: Receiving) -> None:
    await receiving.receive(make_delivery(1, number=1))
    assert await receiving.receive(make_delivery(1, number=2)) == [Receipt(2)]
    assert await receiving.seqs() == [1]
    assert receiving.receiver.repeated == 1


async def test_messages_that_the_master_reorders_are_noticed_and_never_shown_out_of_order(receiving: Receiving) -> None:
    await receiving.receive(*(make_delivery(seq, number=number) for number, seq in enumerate((1, 3, 2, 4), start=1)))
    assert await receiving.seqs() == [1, 3, 4]
    assert receiving.receiver.repeated == 1


async def test_receipt_of_an_ended_stream_is_not_sent_on_the_next(receiving: Receiving) -> None:
    await receiving.receiver.put(make_delivery(1, number=1))
    receiving.receiver.begin(replace(RECIPIENT))
    assert await receiving.receive(make_delivery(1, number=1)) == [Receipt(1)]


async def test_no_receipt_before_the_message_is_on_the_disk(
    receiving: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_receiver, "_RETRY_S", 0.0)
    take, failures = receiving.inbox.take, 3

    async def failing(deliveries: Sequence[Delivery]) -> int:
        nonlocal failures
        if failures:
            failures -= 1
            assert receiving.receiver.take_receipts() == []
            raise StoreError("disk full")
        return await take(deliveries)

    monkeypatch.setattr(receiving.inbox, "take", failing)
    assert await receiving.receive(make_delivery(1, number=1)) == [Receipt(1)]
    assert [str(error) for error in receiving.errors] == ["disk full"] * 3
    assert await receiving.seqs() == [1]
