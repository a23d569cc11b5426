"""Messages from slave to slave: lies of a member, of the master, and floods.

The lying master is ours with its hand-over changed; the slaves are the daemons that ship.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from group_protocol.errors import Reason
from group_protocol.identifiers import ObjectId
from group_protocol.peer_messages import Delivery
from group_protocol.records import sign_record
from master_api.audit import fetch_newest
from master_api.peer_box import PeerBox
from master_api.store.peer_queue import fetch_counts
from tests.support.running_master import Bench, payload, running_master
from tests.support.talking_slaves import inbox_of, oid_of, running, texts, ward, wish
from tests.support.waiting import until

pytestmark = pytest.mark.network

Lie = Callable[[list[Delivery]], list[Delivery]]


def make_master_lie(monkeypatch: pytest.MonkeyPatch, lie: Lie) -> None:
    """From here on the master hands over what the lie makes of the messages."""
    honest = PeerBox.take

    async def take(box: PeerBox) -> list[Delivery]:
        told = lie(await honest(box))
        for delivery in told:  # a lying master takes every receipt
            if all(number != delivery.number for number, _, _ in box._under_way):
                box._under_way.append((delivery.number, delivery.sender, 0))
        return told

    monkeypatch.setattr(PeerBox, "take", take)


def audited(bench: Bench, kind: str) -> int:
    return sum(entry.kind == kind for entry in bench.store.read_now(lambda connection: fetch_newest(connection, 1_000)))


async def test_message_in_another_members_name_is_refused_and_never_handed_over(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        liar, victim, receiver = [await bench.joined_device(number) for number in (1, 2, 3)]
        by_liar = sign_record(liar.key, liar.domain, liar.gid, victim.oid, receiver.oid, 1, 1, payload(1.0))
        by_victim = sign_record(victim.key, victim.domain, victim.gid, victim.oid, receiver.oid, 1, 1, payload(1.0))
        for forged in (by_liar, by_victim):  # the second was overheard: it is good, but not the liar's to send
            ack = await liar.send(forged)
            assert (ack.last_seq, ack.reason) == (0, Reason.BAD_SIGNATURE)
        assert bench.store.read_now(fetch_counts) == []


async def test_message_that_the_master_alters_is_refused_by_its_receiver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def alter(deliveries: list[Delivery]) -> list[Delivery]:
        return [replace(it, record=it.record._replace(payload=payload(66.0))) for it in deliveries]

    make_master_lie(monkeypatch, alter)
    async with ward(tmp_path) as (bench, alice, bob):
        speaking, hearing = await alice.daemon(ends_with_sensors=False), await bob.daemon(ends_with_sensors=False)
        async with running(hearing), running(speaking):
            await speaking.send(wish(oid_of(bob), "take the red one"))
            await until(lambda: audited(bench, "message.refused") == 1)
        assert inbox_of(bob) == []
        assert oid_of(alice).hex() in hearing.board.last_error


async def test_message_that_the_master_puts_into_another_members_mouth_is_refused_by_its_receiver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mouth = ObjectId(b"m" * 16)

    def swap(deliveries: list[Delivery]) -> list[Delivery]:
        return [replace(it, sender=mouth, first_address=type(it.first_address)(b"adr!" + mouth)) for it in deliveries]

    make_master_lie(monkeypatch, swap)
    async with ward(tmp_path) as (bench, alice, bob):
        speaking, hearing = await alice.daemon(ends_with_sensors=False), await bob.daemon(ends_with_sensors=False)
        async with running(hearing), running(speaking):
            await speaking.send(wish(oid_of(bob), "hello"))
            await until(lambda: audited(bench, "message.refused") == 1)
        assert inbox_of(bob) == []


async def test_message_that_the_master_replays_is_shown_once_also_under_new_numbers_and_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[Delivery] = []

    def repeat(deliveries: list[Delivery]) -> list[Delivery]:
        recorded.extend(deliveries)
        again = [replace(it, number=1_000 + at) for at, it in enumerate(recorded)]
        return [*deliveries, *again] if deliveries else []

    make_master_lie(monkeypatch, repeat)
    async with ward(tmp_path) as (_bench, alice, bob):
        speaking = await alice.daemon(ends_with_sensors=False)
        async with running(speaking):
            for text in ("one", "two"):
                async with running(await bob.daemon(ends_with_sensors=False)) as hearing:
                    await speaking.send(wish(oid_of(bob), text))
                    await until(lambda text=text: text in texts(bob))  # type: ignore[misc]
                    messages = hearing._mailbox
                    assert messages is not None
                    await until(lambda messages=messages: (messages._receiver or 0).repeated > 0)  # type: ignore[misc,union-attr]
        assert texts(bob) == ["one", "two"]


async def test_messages_that_the_master_reorders_are_never_shown_out_of_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_master_lie(monkeypatch, lambda deliveries: deliveries[::-1])
    async with ward(tmp_path) as (_bench, alice, bob):
        speaking = await alice.daemon(ends_with_sensors=False)
        async with running(speaking):
            for number in range(4):
                await speaking.send(wish(oid_of(bob), str(number)))
        hearing = await bob.daemon(ends_with_sensors=False)
        async with running(hearing):
            await until(lambda: bool(inbox_of(bob)))
        assert hearing._mailbox is not None
        assert hearing._mailbox._receiver is not None
        assert hearing._mailbox._receiver.repeated == 3, "what comes late counts as repeated, and the status shows it"
        assert texts(bob) == ["3"]


async def test_flood_of_messages_to_an_absent_receiver_is_bounded_and_hinders_nobody_else(tmp_path: Path) -> None:
    async with running_master(tmp_path, peer_queue_max=50) as bench:
        flooding, other, receiver = [await bench.joined_device(number) for number in (1, 2, 3)]
        refusals = 0
        for _ in range(20):
            refusals += (await flooding.send(*(flooding.message(receiver.oid) for _ in range(10)))).reason is (
                Reason.QUEUE_FULL
            )
        assert refusals == 15
        assert (await other.send(other.message(receiver.oid))).reason is Reason.NONE
        assert (await flooding.send(flooding.record())).reason is Reason.NONE
        counts = {count.sender: count.waiting for count in bench.store.read_now(fetch_counts)}
        assert counts == {flooding.oid: 50, other.oid: 1}
