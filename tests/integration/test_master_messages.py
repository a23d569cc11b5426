"""Messages from slave to slave through a running master (docs/protocol.md §6.1)."""

import asyncio
from pathlib import Path

import pytest

from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import Reason
from group_protocol.frames import Ack, MasterFrame
from group_protocol.identifiers import ObjectId
from group_protocol.peer_messages import Delivery, Receipt, verify_delivery
from group_protocol.ports import RotationRequest
from master_api import dispute_watch
from master_api.audit import fetch_newest
from master_api.full_queue import FullQueue
from master_api.peer_box import WINDOW_MESSAGES
from master_api.store.peer_queue import PeerCounts, fetch_counts
from master_api.store.rotations import RotationRow, keep_rotation
from tests.support.failing_store import failing_commits
from tests.support.running_master import Bench, Device, DeviceStream, payload, running_master
from tests.support.waiting import until

pytestmark = pytest.mark.network


async def receive_delivery(stream: DeviceStream) -> Delivery:
    while True:
        frame: MasterFrame = await stream.receive()
        if isinstance(frame, Delivery):
            return frame
        assert isinstance(frame, Ack), frame


def counts(bench: Bench) -> list[PeerCounts]:
    return bench.store.read_now(fetch_counts)


def waiting(bench: Bench) -> int:
    return sum(count.waiting for count in counts(bench))


def audited(bench: Bench, kind: str) -> list[str]:
    entries = bench.store.read_now(lambda connection: fetch_newest(connection, 1_000))
    return [entry.detail for entry in entries if entry.kind == kind]


async def revoke(bench: Bench, device: Device) -> None:
    await bench.operations.revoke_device(device.oid.hex())


async def test_message_reaches_a_receiver_that_streams_with_all_it_needs_to_verify_the_sender(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        sender, receiver = await bench.joined_device(1), await bench.joined_device(2)
        stream = await receiver.open_stream()
        message = sender.message(receiver.oid)
        ack = await sender.send(message)
        assert (ack.last_seq, ack.evidence_seq, ack.reason) == (1, 1, Reason.NONE)
        delivery = await receive_delivery(stream)
        assert (delivery.sender, delivery.record) == (sender.oid, message)
        verify_delivery(delivery, receiver.domain, receiver.gid, receiver.oid)
        await stream.send(Receipt(delivery.number))
        await until(lambda: counts(bench) == [PeerCounts(receiver.oid, sender.oid, 0, delivered=1)])


async def test_messages_wait_for_an_absent_receiver_over_a_restart_and_keep_their_order(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        registry, clock = bench.registry, bench.clock
        first, second, receiver = [await bench.joined_device(number) for number in (1, 2, 3)]
        for sender in (first, second, first):
            await sender.send(sender.message(receiver.oid), sender.message(receiver.oid))
    async with running_master(tmp_path, registry=registry, clock=clock) as bench:
        again = bench.device(3)
        await again.open_session()
        stream = await again.open_stream()
        deliveries = [await receive_delivery(stream) for _ in range(6)]
        assert [(item.sender, item.record.seq) for item in deliveries] == [
            (first.oid, 1),
            (first.oid, 2),
            (second.oid, 1),
            (second.oid, 2),
            (first.oid, 3),
            (first.oid, 4),
        ]
        numbers = [item.number for item in deliveries]
        assert numbers == sorted(set(numbers))
        await stream.send(Receipt(numbers[-1]))
        await until(lambda: waiting(bench) == 0)


async def test_message_without_a_receipt_comes_again_on_the_next_stream_and_never_after_one(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        sender, receiver = await bench.joined_device(1), await bench.joined_device(2)
        await sender.send(sender.message(receiver.oid), sender.message(receiver.oid))
        seen: list[list[int]] = []
        for through in (None, 0, 1):
            await receiver.open_session()
            stream = await receiver.open_stream()
            deliveries = [await receive_delivery(stream)]
            if len(seen) < 2:
                deliveries.append(await receive_delivery(stream))
            seen.append([delivery.record.seq for delivery in deliveries])
            if through is not None:
                left = waiting(bench)
                await stream.send(Receipt(deliveries[0].number))
                await until(lambda left=left: waiting(bench) == left - 1)  # type: ignore[misc]
            await stream.socket.close()
        assert seen == [[1, 2], [1, 2], [2]]
        assert counts(bench) == [PeerCounts(receiver.oid, sender.oid, 0, delivered=2)]


async def test_receipt_that_comes_twice_frees_one_place_only(tmp_path: Path) -> None:
    """As when a stream breaks before the first receipt is noted, and the message is handed over again."""
    async with running_master(tmp_path) as bench:
        sender, receiver = await bench.joined_device(1), await bench.joined_device(2)
        await sender.send(sender.message(receiver.oid), sender.message(receiver.oid), sender.message(receiver.oid))
        post = bench.context.post
        for _ in range(3):
            post.take_off(receiver.oid, [1], Receipt(1))
        await until(lambda: waiting(bench) == 2)
        await until(lambda: post._waiting == {(receiver.oid, sender.oid): 2})
        assert post.has_waiting(receiver.oid)
        assert counts(bench) == [PeerCounts(receiver.oid, sender.oid, 2, delivered=1)]


async def test_number_is_never_given_twice_though_the_queue_was_empty_in_between(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        sender, receiver = await bench.joined_device(1), await bench.joined_device(2)
        stream = await receiver.open_stream()
        numbers = []
        for _ in range(3):
            await sender.send(sender.message(receiver.oid))
            numbers.append((await receive_delivery(stream)).number)
            await stream.send(Receipt(numbers[-1]))
            await until(lambda: waiting(bench) == 0)
        assert numbers == [1, 2, 3]


async def test_window_bounds_what_a_receiver_has_under_way(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        sender, receiver = await bench.joined_device(1), await bench.joined_device(2)
        await sender.send(*(sender.message(receiver.oid) for _ in range(WINDOW_MESSAGES + 5)))
        stream = await receiver.open_stream()
        deliveries = [await receive_delivery(stream) for _ in range(WINDOW_MESSAGES)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.socket.receive(), 0.2)
        await receiver.open_session()
        stream = await receiver.open_stream()
        deliveries = [await receive_delivery(stream) for _ in range(WINDOW_MESSAGES)]
        await stream.send(Receipt(deliveries[2].number))
        more = [await receive_delivery(stream) for _ in range(3)]
        assert [item.record.seq for item in more] == [WINDOW_MESSAGES + 1, WINDOW_MESSAGES + 2, WINDOW_MESSAGES + 3]


@pytest.mark.parametrize("receipt", [Receipt(5), Receipt(0), Receipt(1, 1, Reason.BAD_SIGNATURE)])
async def test_receipt_for_what_was_never_handed_over_closes_the_stream(tmp_path: Path, receipt: Receipt) -> None:
    async with running_master(tmp_path) as bench:
        sender, receiver = await bench.joined_device(1), await bench.joined_device(2)
        stream = await receiver.open_stream()
        if receipt.refused:  # a second receipt for the same message
            await sender.send(sender.message(receiver.oid))
            await receive_delivery(stream)
            await stream.send(Receipt(1))
        await stream.send(receipt)
        assert await stream.receive_close_code() == 1008


async def test_message_that_its_receiver_refuses_is_counted_audited_and_not_sent_again(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        sender, receiver = await bench.joined_device(1), await bench.joined_device(2)
        stream = await receiver.open_stream()
        await sender.send(sender.message(receiver.oid))
        delivery = await receive_delivery(stream)
        await stream.send(Receipt(delivery.number, delivery.number, Reason.BAD_SIGNATURE))
        await until(lambda: counts(bench) == [PeerCounts(receiver.oid, sender.oid, 0, refused=1)])
        (entry,) = audited(bench, "message.refused")
        assert receiver.oid.hex() in entry
        assert "BAD_SIGNATURE" in entry


async def test_message_to_nobody_to_a_revoked_slave_or_to_oneself_is_refused_and_not_queued(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        sender, gone = await bench.joined_device(1), await bench.joined_device(2)
        await revoke(bench, gone)
        for receiver in (ObjectId(b"n" * 16), gone.oid, sender.oid):
            ack = await sender.send(sender.message(receiver, epoch=2))
            assert ack.reason is Reason.UNKNOWN_RECEIVER
        assert counts(bench) == []


async def test_full_queue_refuses_and_leaves_the_other_senders_their_room(tmp_path: Path) -> None:
    async with running_master(tmp_path, peer_queue_max=3) as bench:
        flooding, other, receiver = [await bench.joined_device(number) for number in (1, 2, 3)]
        ack = await flooding.send(*(flooding.message(receiver.oid) for _ in range(5)))
        assert (ack.last_seq, ack.refused_seq, ack.reason) == (3, 4, Reason.QUEUE_FULL)
        assert (await other.send(other.message(receiver.oid))).reason is Reason.NONE
        assert (await flooding.send(flooding.record())).reason is Reason.NONE, "readings for the master go on"
        stream = await receiver.open_stream()
        deliveries = [await receive_delivery(stream) for _ in range(4)]
        await stream.send(Receipt(deliveries[-1].number))
        await until(lambda: waiting(bench) == 0)
        await until(lambda: not bench.context.post._waiting)
        assert (await flooding.send(flooding.message(receiver.oid))).reason is Reason.NONE


async def test_full_queue_drops_the_oldest_if_so_set_and_the_flood_makes_one_audit_entry(tmp_path: Path) -> None:
    async with running_master(tmp_path, peer_queue_max=3, peer_queue_full=FullQueue.DROP_OLDEST) as bench:
        sender, receiver = await bench.joined_device(1), await bench.joined_device(2)
        for _ in range(10):
            assert (await sender.send(sender.message(receiver.oid))).reason is Reason.NONE
        assert counts(bench) == [PeerCounts(receiver.oid, sender.oid, 3, dropped=7)]
        assert len(audited(bench, "messages.dropped")) == 1
        stream = await receiver.open_stream()
        assert [(await receive_delivery(stream)).record.seq for _ in range(3)] == [8, 9, 10]


@pytest.mark.parametrize("revoked", ["sender", "receiver"])
async def test_what_waits_from_or_for_a_revoked_slave_is_dropped_with_an_audit_entry(
    tmp_path: Path, revoked: str
) -> None:
    async with running_master(tmp_path) as bench:
        sender, receiver, third = [await bench.joined_device(number) for number in (1, 2, 3)]
        await sender.send(sender.message(receiver.oid), sender.message(receiver.oid))
        await third.send(third.message(receiver.oid if revoked == "sender" else sender.oid))
        await revoke(bench, sender if revoked == "sender" else receiver)
        await until(lambda: waiting(bench) == 1)
        (entry,) = audited(bench, "messages.dropped")
        assert '"messages":2' in entry
        assert '"reason":"revoked"' in entry
        assert not [pair for pair in bench.context.post._waiting if third.oid not in pair]


async def test_message_of_a_disputed_sender_waits_and_is_handed_over_when_the_register_takes_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispute_watch, "LOOK_S", 0.01)
    monkeypatch.setattr(dispute_watch, "ASK_S", 0.0)
    async with running_master(tmp_path) as bench:
        sender, third, receiver = [await bench.joined_device(number) for number in (1, 2, 3)]
        await sender.send(sender.message(receiver.oid))
        await third.send(third.message(receiver.oid))
        bench.registry.invent_revocation(sender.oid)
        await until(lambda: sender.oid in bench.context.disputes.open)
        stream = await receiver.open_stream()
        others = await receive_delivery(stream)
        assert others.sender == third.oid
        await stream.send(Receipt(others.number))
        await until(lambda: waiting(bench) == 1)
        bench.registry.is_lying = False
        late = await receive_delivery(stream)
        assert (late.sender, late.record.seq, late.number > others.number) == (sender.oid, 1, True)
        await stream.send(Receipt(late.number))
        await until(lambda: waiting(bench) == 0)
        assert [pair.delivered for pair in counts(bench)] == [1, 1]


async def test_message_of_before_a_change_of_key_and_of_after_it_both_verify(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        sender, receiver = await bench.joined_device(1), await bench.joined_device(2)
        await sender.send(sender.message(receiver.oid))
        old, new = sender.key, PrivateKey.from_secret(b"\x09" * 32)
        deadline = int(bench.clock.now_unix_s()) + 60
        digest = sender.domain.rotation_digest(sender.gid, sender.oid, new.address, deadline)
        proof = RotationRow(
            sender.oid, new.address, old.address, deadline, old.sign_digest(digest), new.sign_digest(digest)
        )
        await bench.store.write(lambda connection: keep_rotation(connection, proof))
        await bench.registry.rotate(
            RotationRequest(sender.gid, sender.oid, new.address, deadline, proof.by_old, proof.by_new)
        )
        await until(lambda: bool(audited(bench, "device.rotated")))
        sender.key = new
        await sender.open_session()
        assert (await sender.send(sender.message(receiver.oid))).reason is Reason.NONE
        stream = await receiver.open_stream()
        deliveries = [await receive_delivery(stream) for _ in range(2)]
        assert [len(delivery.changes) for delivery in deliveries] == [0, 1]
        for delivery in deliveries:
            verify_delivery(delivery, receiver.domain, receiver.gid, receiver.oid)


async def test_enrolled_device_that_never_associated_is_refused_before_its_payload_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_master(tmp_path) as bench:
        receiver = await bench.joined_device(2)
        outsider = bench.device(1, code=await bench.make_code("bed 1"))
        await outsider.open_session()

        def never(*_arguments: object) -> None:
            raise AssertionError("the payload was looked at")

        for name in ("decode_readings", "payload_hash", "verify_record"):
            monkeypatch.setattr(f"group_protocol.intake.{name}", never)
        ack = await outsider.send(outsider.message(receiver.oid, b"\xff" * 1_000))
        assert (ack.last_seq, ack.reason) == (0, Reason.NOT_A_MEMBER)
        assert counts(bench) == []


async def test_store_that_fails_gives_the_places_in_the_queue_back(tmp_path: Path) -> None:
    async with running_master(tmp_path, peer_queue_max=1) as bench:
        sender, receiver = await bench.joined_device(1), await bench.joined_device(2)
        message = sender.message(receiver.oid)
        with failing_commits(bench.store):
            assert (await sender.send(message)).reason is Reason.STORE_UNAVAILABLE
        await until(lambda: not bench.context.post._waiting)
        assert (await sender.send(message)).reason is Reason.NONE
        assert (await sender.send(sender.message(receiver.oid, payload(2.0)))).reason is Reason.QUEUE_FULL
