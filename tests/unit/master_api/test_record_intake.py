"""Judging ahead of committing, and what a failed write does to those behind it."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from group_protocol.errors import Reason, StoreError, UnexpectedMessageError
from group_protocol.frames import Items
from group_protocol.records import Item
from master_api.record_intake import Known, RecordIntake
from master_api.sessions import LiveSession
from master_api.signature_checks import SIGNATURES_CHECKED_INLINE_MAX
from master_api.store.records import iterate_records
from tests.support.failing_store import failing_commits, held_commits
from tests.support.master_parts import Parts, device_key, intake_parts, make_intake, make_live

KEY = device_key(5)


def stored_seqs(parts: Parts) -> list[int]:
    return parts.store.read_now(lambda connection: [record.seq for record in iterate_records(connection)])


async def test_frames_judged_ahead_are_committed_and_acknowledged_in_order(parts: Parts) -> None:
    oid = await parts.enrol(5)
    intake, live = make_intake(parts), make_live(parts, oid)
    pending = [await intake.begin(live, (parts.signed(KEY, oid, seq),)) for seq in range(1, 6)]
    acks = [await intake.finish(live, one) for one in pending]
    assert [ack.last_seq for ack in acks] == [1, 2, 3, 4, 5]
    assert stored_seqs(parts) == [1, 2, 3, 4, 5]


async def test_large_frame_is_judged_like_a_small_one(parts: Parts) -> None:
    oid = await parts.enrol(5)
    intake, live = make_intake(parts), make_live(parts, oid)
    items = tuple(parts.signed(KEY, oid, seq) for seq in range(1, SIGNATURES_CHECKED_INLINE_MAX * 3))
    assert (await intake.take(live, Items(items))).last_seq == len(items)


async def test_write_behind_a_failed_one_fails_too_and_leaves_no_gap(parts: Parts) -> None:
    oid = await parts.enrol(5)
    intake, live = make_intake(parts), make_live(parts, oid)
    may_commit = threading.Event()
    with held_commits(parts.store, lambda: may_commit.wait(10)):
        holding = parts.store.submit(lambda _: None)
        await asyncio.sleep(0.05)
        with failing_commits(parts.store):
            first = await intake.begin(live, (parts.signed(KEY, oid, 1),))
            may_commit.set()
            assert first.written is not None
            with pytest.raises(StoreError, match="disk I/O error"):
                await first.written.wait()
        assert holding.done()
        second = await intake.begin(live, (parts.signed(KEY, oid, 2),))
        acks = [await intake.finish(live, first), await intake.finish(live, second)]
    assert [(ack.last_seq, ack.reason) for ack in acks] == [(0, Reason.STORE_UNAVAILABLE)] * 2
    assert stored_seqs(parts) == []
    ack = await intake.take(live, Items((parts.signed(KEY, oid, 1), parts.signed(KEY, oid, 2))))
    assert (ack.last_seq, ack.reason) == (2, Reason.NONE)


async def test_repetition_behind_a_failed_write_does_not_tell_of_what_is_not_stored(parts: Parts) -> None:
    oid = await parts.enrol(5)
    intake, live = make_intake(parts), make_live(parts, oid)
    await intake.take(live, Items((parts.signed(KEY, oid, 1),)))
    second = await intake.begin(live, (parts.signed(KEY, oid, 2),))
    live.records.chain.is_broken = True  # as when the write of seq 2 failed
    repetition = await intake.begin(live, (parts.signed(KEY, oid, 1),))
    assert (await intake.finish(live, repetition)).reason is Reason.STORE_UNAVAILABLE
    await intake.finish(live, second)


class PausingIntake(RecordIntake):
    """Waits between asking for what a frame is judged upon, and judging and queueing it."""

    may_queue: asyncio.Event

    async def _ask(self, live: LiveSession, items: Sequence[Item]) -> Known:
        known = await super()._ask(live, items)
        await self.may_queue.wait()
        return known


async def test_frame_judged_while_an_earlier_write_fails_leaves_no_gap(parts: Parts) -> None:
    oid = await parts.enrol(5)
    intake, live = make_intake(parts), make_live(parts, oid)
    pausing = PausingIntake(**intake_parts(parts))
    pausing.may_queue = asyncio.Event()
    with failing_commits(parts.store):
        first = await intake.begin(live, (parts.signed(KEY, oid, 1),))
        judging = asyncio.create_task(pausing.begin(live, (parts.signed(KEY, oid, 2),)))
        await asyncio.sleep(0)
        assert (await intake.finish(live, first)).reason is Reason.STORE_UNAVAILABLE
    pausing.may_queue.set()
    ack = await intake.finish(live, await judging)
    assert (ack.last_seq, ack.refused_seq, ack.reason) == (0, 2, Reason.STORE_UNAVAILABLE)
    ack = await intake.take(live, Items((parts.signed(KEY, oid, 1),)))
    assert (ack.last_seq, ack.reason) == (1, Reason.NONE)
    assert stored_seqs(parts) == [1]


async def test_store_that_fails_twice_is_told_twice(parts: Parts) -> None:
    oid = await parts.enrol(5)
    intake, live = make_intake(parts), make_live(parts, oid)
    await intake.take(live, Items((parts.signed(KEY, oid, 1),)))
    with failing_commits(parts.store):
        for _ in range(3):
            pending = await intake.begin(live, (parts.signed(KEY, oid, 1),))  # a repetition is looked up
            assert (await intake.finish(live, pending)).reason is Reason.STORE_UNAVAILABLE
            assert live.records.chain is not pending.chain
    assert (await intake.take(live, Items((parts.signed(KEY, oid, 2),)))).last_seq == 2


async def test_ended_session_stores_nothing(parts: Parts) -> None:
    oid = await parts.enrol(5)
    intake, live = make_intake(parts), make_live(parts, oid)
    live.is_ended = True
    with pytest.raises(UnexpectedMessageError):
        await intake.take(live, Items((parts.signed(KEY, oid, 1),)))
    assert stored_seqs(parts) == []


async def test_repetition_of_a_record_that_is_queued_is_recognised(parts: Parts) -> None:
    oid = await parts.enrol(5)
    intake, live = make_intake(parts), make_live(parts, oid)
    record = parts.signed(KEY, oid, 1)
    pending = [await intake.begin(live, (record,)) for _ in range(3)]
    acks = [await intake.finish(live, one) for one in pending]
    assert [(ack.last_seq, ack.reason) for ack in acks] == [(1, Reason.NONE)] * 3
    assert stored_seqs(parts) == [1]


async def test_restored_state_goes_on_where_the_open_period_stood(parts: Parts) -> None:
    oid = await parts.enrol(5)
    intake, live = make_intake(parts), make_live(parts, oid)
    records = [parts.unsigned(seq) for seq in (1, 2, 3)]
    await intake.take(live, Items(tuple(records[:2])))
    again = make_live(parts, oid)
    assert again.records.committed == live.records.committed
    ack = await intake.take(again, Items((records[2], parts.checkpoint(KEY, oid, *records))))
    assert (ack.last_seq, ack.evidence_seq, ack.reason) == (3, 3, Reason.NONE)
    assert make_live(parts, oid).records.committed == again.records.committed


async def test_revoked_sender_is_refused_from_the_registrys_word_on(parts: Parts) -> None:
    oid = await parts.enrol(5)
    intake, live = make_intake(parts), make_live(parts, oid)
    await parts.revoke(oid)
    ack = await intake.take(live, Items((parts.signed(KEY, oid, 1, epoch=2),)))
    assert (ack.last_seq, ack.reason) == (0, Reason.NOT_A_MEMBER)


async def test_checkpoint_of_the_epoch_before_a_rotation_is_held_to_the_old_key(parts: Parts) -> None:
    oid = await parts.enrol(5)
    intake, live = make_intake(parts), make_live(parts, oid)
    record = parts.unsigned(1)
    await intake.take(live, Items((record,)))
    await parts.rotate(oid, KEY, device_key(50))
    await parts.service.follower.wait_for_device(oid, lambda device: device.address == device_key(50).address)
    renewed = make_live(parts, oid)
    refused = await intake.take(renewed, Items((parts.checkpoint(device_key(50), oid, record),)))
    assert refused.reason is Reason.BAD_SIGNATURE
    ack = await intake.take(renewed, Items((parts.checkpoint(KEY, oid, record),)))
    assert (ack.evidence_seq, ack.reason) == (1, Reason.NONE)


async def test_new_records_are_taken_at_once_like_those_that_wait(parts: Parts) -> None:
    oid = await parts.enrol(5)
    intake, live = make_intake(parts), make_live(parts, oid)
    pending = [intake.begin_at_once(live, (parts.signed(KEY, oid, seq),)) for seq in (1, 2)]
    acks = [await intake.finish(live, one) for one in pending if one]
    assert [(ack.last_seq, ack.reason) for ack in acks] == [(1, Reason.NONE), (2, Reason.NONE)]
    assert stored_seqs(parts) == [1, 2]


async def test_what_has_to_be_asked_for_is_not_taken_at_once(parts: Parts) -> None:
    oid = await parts.enrol(5)
    intake, live = make_intake(parts), make_live(parts, oid)
    await intake.take(live, Items((parts.signed(KEY, oid, 1),)))
    many = tuple(parts.signed(KEY, oid, seq) for seq in range(2, SIGNATURES_CHECKED_INLINE_MAX + 3))
    assert intake.begin_at_once(live, (parts.signed(KEY, oid, 1),)) is None  # the store knows what it was
    assert intake.begin_at_once(live, many) is None  # other cores check them
    async with live.in_order:
        assert intake.begin_at_once(live, many[:1]) is None  # another frame is being judged
    live.records.judged = None
    assert intake.begin_at_once(live, many[:1]) is None  # a write has failed: what is stored?
    assert stored_seqs(parts) == [1]
