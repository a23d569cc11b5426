"""Records by POST /data: stored once, acknowledged after the commit, refused with a reason (docs/protocol.md §6)."""

import asyncio
import threading
from pathlib import Path

import pytest

from group_protocol.errors import Reason
from group_protocol.messages import BUSY_BODY
from group_protocol.records import CheckpointedRecord, CheckpointPeriod, payload_hash, sign_checkpoint
from group_protocol.tickets import EvidencePolicy
from master_api.store.records import iterate_records
from tests.support.failing_store import failing_commits, held_commits
from tests.support.running_master import Bench, Device, payload, running_master

pytestmark = pytest.mark.network


def stored_seqs(bench: Bench) -> list[int]:
    return bench.store.read_now(lambda connection: [record.seq for record in iterate_records(connection)])


def unsigned(device: Device, seq: int) -> CheckpointedRecord:
    return CheckpointedRecord(device.ticket.master_oid, seq, device.ticket.epoch, payload(float(seq)))


async def test_repeated_request_gets_the_same_bytes_and_is_stored_once(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        request = device.seal_items(device.record())
        first = await bench.exchange("/data", request.to_body())
        assert await bench.exchange("/data", request.to_body()) == first
        assert stored_seqs(bench) == [1]


async def test_same_record_in_a_new_request_is_acknowledged_and_stored_once(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        record = device.record()
        await device.send(record)
        ack = await device.send(record, device.record())
        assert (ack.last_seq, ack.reason) == (2, Reason.NONE)
        assert stored_seqs(bench) == [1, 2]


async def test_other_content_under_a_stored_seq_is_refused_as_equivocation(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        await device.send(device.record())
        ack = await device.send(device.record(seq=1, content=payload(99.0)))
        assert (ack.last_seq, ack.refused_seq, ack.reason) == (1, 1, Reason.EQUIVOCATION)


async def test_items_before_the_refused_one_are_stored_and_those_behind_it_not(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        items = [device.record(), device.record(), device.record(content=b"\x00"), device.record()]
        ack = await device.send(*items)
        assert (ack.last_seq, ack.refused_seq, ack.reason) == (2, 3, Reason.MALFORMED)
        assert stored_seqs(bench) == [1, 2]


async def test_record_signed_by_another_key_is_refused(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        own_key, device.key = device.key, bench.device(77).key
        forged = device.record()
        device.key = own_key
        ack = await device.send(forged)
        assert (ack.last_seq, ack.reason) == (0, Reason.BAD_SIGNATURE)


async def test_device_that_is_not_associated_is_refused_as_no_member(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = bench.device(5, code=await bench.make_code())
        await device.open_session()
        ack = await device.send(device.record())
        assert (ack.last_seq, ack.refused_seq, ack.reason) == (0, 1, Reason.NOT_A_MEMBER)


async def test_record_to_another_member_is_taken_and_to_a_stranger_refused(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device, other = await bench.joined_device(5), await bench.joined_device(6)
        master_oid = device.ticket.master_oid
        object.__setattr__(device.ticket, "master_oid", other.oid)
        assert (await device.send(device.record())).reason is Reason.NONE
        object.__setattr__(device.ticket, "master_oid", bench.device(99).oid)
        assert (await device.send(device.record())).reason is Reason.UNKNOWN_RECEIVER
        object.__setattr__(device.ticket, "master_oid", master_oid)


async def test_checkpoint_covers_the_records_before_it(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        records = [unsigned(device, seq) for seq in (1, 2, 3)]
        ack = await device.send(*records)
        assert (ack.last_seq, ack.evidence_seq) == (3, 0)
        first, *rest = records
        period = CheckpointPeriod.begin(first.receiver, first.seq, first.epoch, payload_hash(first.payload))
        for record in rest:
            period = period.extend(record.receiver, record.seq, payload_hash(record.payload))
        checkpoint = sign_checkpoint(device.key, device.domain, device.gid, device.oid, period)
        ack = await device.send(checkpoint)
        assert (ack.last_seq, ack.evidence_seq) == (3, 3)
        assert (await bench.operations.verify_records())["good"] == 3


async def test_master_that_wants_signatures_refuses_a_record_without(tmp_path: Path) -> None:
    async with running_master(tmp_path, evidence_policy=EvidencePolicy.SIGNED) as bench:
        device = await bench.joined_device(5)
        ack = await device.send(unsigned(device, 1))
        assert (ack.last_seq, ack.reason) == (0, Reason.EVIDENCE_REQUIRED)


async def test_nothing_is_acknowledged_before_its_commit(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        may_commit = threading.Event()
        with held_commits(bench.store, lambda: may_commit.wait(10)):
            sending = asyncio.create_task(device.send(device.record()))
            done, _ = await asyncio.wait({sending}, timeout=0.3)
            assert not done
            assert stored_seqs(bench) == []
            may_commit.set()
            ack = await sending
        assert ack.last_seq == 1
        assert stored_seqs(bench) == [1]


async def test_failing_store_acknowledges_nothing_and_the_same_record_is_taken_later(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        await device.send(device.record())
        record = device.record()
        with failing_commits(bench.store):
            ack = await device.send(record)
            assert (ack.last_seq, ack.refused_seq, ack.reason) == (1, 2, Reason.STORE_UNAVAILABLE)
        assert stored_seqs(bench) == [1]
        ack = await device.send(record)
        assert (ack.last_seq, ack.reason) == (2, Reason.NONE)
        assert stored_seqs(bench) == [1, 2]


async def test_requests_of_many_devices_at_once_are_all_stored(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        devices = [await bench.joined_device(5 + number) for number in range(8)]
        for _ in range(5):
            acks = await asyncio.gather(*(device.send(device.record(), device.record()) for device in devices))
            assert len({ack.last_seq for ack in acks}) == 1
        assert len(stored_seqs(bench)) == 80
        assert (await bench.operations.verify_records())["good"] == 80


async def test_new_session_replaces_the_old_one_and_tells_the_last_seq(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        await device.send(device.record(), device.record())
        old_request = device.seal_items(device.record())
        ticket = await device.open_session()
        assert ticket.last_seq == 2
        status, _ = await bench.post("/data", old_request.to_body())
        assert status == 400
        assert (await device.send(device.record(seq=3))).last_seq == 3


async def test_device_that_posts_faster_than_it_may_is_told_when_and_the_same_request_is_good_then(
    tmp_path: Path,
) -> None:
    async with running_master(tmp_path, device_records_per_s=20.0) as bench:
        device = await bench.joined_device(5)
        assert (await device.send(*(device.record() for _ in range(240)))).last_seq == 240  # 200 are the burst
        request = device.seal_items(device.record())
        async with bench.http.post(bench.url + "/data", data=request.to_body()) as answer:
            assert (answer.status, answer.headers["Retry-After"], await answer.read()) == (429, "2", BUSY_BODY)
        bench.clock.advance(2)
        assert (await device.send_request(request)).last_seq == 241
