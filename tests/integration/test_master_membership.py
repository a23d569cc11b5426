"""Revocation and rotation, as the registry's events tell of them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import Reason
from group_protocol.frames import Close, Items
from group_protocol.handshake import SlaveState
from group_protocol.messages import REFUSAL_BODY
from group_protocol.messages_rotation import RotationCall
from group_protocol.tickets import MembershipState
from tests.support.fake_registry import FakeRegistry
from tests.support.running_master import Bench, Device, device_key, running_master
from tests.support.seeded import ManualClock

pytestmark = pytest.mark.network

REFUSED = (400, REFUSAL_BODY)


def rotation(device: Device, new_key: PrivateKey) -> RotationCall:
    deadline = device.ticket.deadline_unix_s
    digest = device.domain.rotation_digest(device.gid, device.oid, new_key.address, deadline)
    return RotationCall(new_key.public_key, deadline, device.key.sign_digest(digest), new_key.sign_digest(digest))


async def test_revocation_closes_the_live_stream_at_once(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        stream = await device.open_stream()
        await stream.receive_ack()
        await bench.operations.revoke_device(device.oid.hex())
        assert await stream.receive() == Close(Reason.OBJECT_REVOKED)
        await stream.receive_close_code()


async def test_revoked_device_can_send_nothing_more(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        request = device.seal_items(device.record())
        await bench.operations.revoke_device("bed 5")
        assert await bench.post("/data", request.to_body()) == REFUSED
        assert (await device.open_session()).state is MembershipState.REVOKED
        ack = await device.send(device.record(epoch=2))
        assert (ack.last_seq, ack.reason) == (0, Reason.NOT_A_MEMBER)
        result = await device.associate()
        assert (result.state, result.reason) == (MembershipState.REVOKED, Reason.OBJECT_REVOKED)


async def test_epoch_that_rises_is_announced_to_other_streams_and_old_records_are_stale(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device, other = await bench.joined_device(5), await bench.joined_device(6)
        stream = await device.open_stream()
        assert (await stream.receive_ack()).epoch == 1
        await bench.operations.revoke_device(other.oid.hex())
        assert (await stream.receive_ack()).epoch == 2
        await stream.send(Items((device.record(epoch=1),)))
        ack = await stream.receive_ack()
        assert (ack.refused_seq, ack.reason, ack.epoch) == (1, Reason.STALE_EPOCH, 2)


async def test_rotated_device_goes_on_under_its_new_key_alone(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        await device.send(device.record(), device.record())
        await device.open_session()
        new_key = device_key(50)
        result = await device.ask_control("/rotate", rotation(device, new_key).encode())
        assert (result.state, result.reason, result.epoch) == (MembershipState.ACTIVE, Reason.NONE, 2)
        assert result.block_number > 0

        _, m3 = await device.ask_for_keys()
        assert await bench.post("/getTicket", m3.to_body()) == REFUSED
        device.key = new_key
        ticket = await device.open_session()
        assert (ticket.state, ticket.oid, ticket.last_seq, ticket.epoch) == (MembershipState.ACTIVE, device.oid, 2, 2)
        assert (await device.send(device.record(seq=3))).last_seq == 3
        report = await bench.operations.verify_records()
        assert (report["good"], report["bad"], report["is_good"]) == (3, 0, True)


async def test_old_key_cannot_pair_again_under_a_new_code(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        await device.ask_control("/rotate", rotation(device, device_key(50)).encode())
        device.code = await bench.make_code()
        _, m3 = await device.ask_for_keys()
        assert await bench.post("/getTicket", m3.to_body()) == REFUSED


async def test_session_under_the_old_key_answers_nothing_but_rotate(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        stream = await device.open_stream()
        await stream.receive_ack()
        call = rotation(device, device_key(50)).encode()
        await device.ask_control("/rotate", call)
        assert await stream.receive() == Close(Reason.REPLACED)
        assert (await device.send(device.record(epoch=2))).reason is Reason.NOT_A_MEMBER
        assert (await device.associate()).reason is Reason.NOT_A_MEMBER
        again = await device.ask_control("/rotate", call)
        assert (again.state, again.reason) == (MembershipState.ACTIVE, Reason.NONE)


async def test_rotation_to_an_address_in_use_or_with_a_bad_signature_is_refused(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device, other = await bench.joined_device(5), await bench.joined_device(6)
        enrolled = bench.device(7, code=await bench.make_code())
        await enrolled.open_session()
        for taken in (other.key, enrolled.key):
            result = await device.ask_control("/rotate", rotation(device, taken).encode())
            assert (result.state, result.reason) == (MembershipState.ACTIVE, Reason.ADDRESS_IN_USE)
        good = rotation(device, device_key(50))
        for call in (
            RotationCall(good.new_public_key, good.deadline_unix_s, good.by_new, good.by_new),
            RotationCall(good.new_public_key, good.deadline_unix_s, good.by_old, good.by_old),
            RotationCall(good.new_public_key, good.deadline_unix_s + 1, good.by_old, good.by_new),
        ):
            result = await device.ask_control("/rotate", call.encode())
            assert (result.state, result.reason) == (MembershipState.ACTIVE, Reason.BAD_SIGNATURE)


async def test_device_that_is_no_member_cannot_rotate(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = bench.device(5, code=await bench.make_code())
        await device.open_session()
        result = await device.ask_control("/rotate", rotation(device, device_key(50)).encode())
        assert (result.state, result.reason) == (MembershipState.NOT_ASSOCIATED, Reason.NOT_A_MEMBER)


async def test_slow_rotation_answers_pending_and_active_when_asked_again(tmp_path: Path) -> None:
    async with running_master(tmp_path, association_wait_s=0.05) as bench:
        device = await bench.joined_device(5)
        mined = asyncio.Event()
        rotate = bench.registry.rotate

        async def slow(request: object) -> object:
            await mined.wait()
            return await rotate(request)  # type: ignore[arg-type]

        bench.registry.rotate = slow  # type: ignore[method-assign, assignment]
        call = rotation(device, device_key(50)).encode()
        assert (await device.ask_control("/rotate", call)).state is MembershipState.PENDING
        mined.set()
        while (state := (await device.ask_control("/rotate", call)).state) is MembershipState.PENDING:
            pass
        assert state is MembershipState.ACTIVE


async def assert_thief_has_gained_nothing(bench: Bench, thief: Device) -> None:
    handshake, m3 = await thief.ask_for_keys()
    assert handshake.state is SlaveState.AWAIT_TICKET
    assert await bench.post("/getTicket", m3.to_body()) == REFUSED
    assert thief.key.address.hex() not in str(await bench.operations.list_devices())


async def test_rotation_that_the_device_never_signed_gives_its_id_to_nobody(tmp_path: Path) -> None:
    clock = ManualClock()
    registry = FakeRegistry(clock.now_unix_s)
    async with running_master(tmp_path, registry=registry, clock=clock) as bench:
        device = await bench.joined_device(5)
        thief = bench.device(66)
        thief.oid = device.oid
        registry.invent_rotation(device.oid, thief.key.address)
        await bench.joined_device(7)  # its event comes after the lie: both were taken
        await assert_thief_has_gained_nothing(bench, thief)
    async with running_master(tmp_path, registry=registry, clock=clock) as bench:
        thief.bench = bench
        await assert_thief_has_gained_nothing(bench, thief)


async def test_change_of_key_whose_proof_was_altered_in_the_store_is_named(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device, new_key = await bench.joined_device(5), device_key(50)
        await device.send(device.record())
        await device.ask_control("/rotate", rotation(device, new_key).encode())
        assert (await bench.operations.verify_records())["findings"] == []
        bench.store.write_now(lambda connection: connection.execute(text("UPDATE rotations SET by_old = by_new")))
        verified = await bench.operations.verify_records()
        assert not verified["is_good"]
        assert "change of key" in str(verified["findings"])


async def test_crowd_that_associates_at_once_looks_into_the_store_no_more_often_for_each_than_one_device_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_master(tmp_path) as bench:
        devices = [bench.device(5 + at, code=await bench.make_code(f"bed {at}")) for at in range(31)]
        for device in devices:
            await device.open_session()
        reads = 0
        read = bench.store.read

        async def counted(work: Any) -> Any:
            nonlocal reads
            reads += 1
            return await read(work)

        monkeypatch.setattr(bench.store, "read", counted)
        lone, *crowd = devices
        await lone.associate()
        reads_of_one = reads
        await asyncio.gather(*(device.associate() for device in crowd))
        assert reads - reads_of_one <= 2 * reads_of_one * len(crowd)
