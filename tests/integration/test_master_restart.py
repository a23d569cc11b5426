"""A master that stops and starts again keeps everything, and makes up for what happened meanwhile."""

from pathlib import Path
from typing import Any

import pytest

from group_protocol.errors import Reason
from group_protocol.extensions import Standing, TurnedAwayError
from group_protocol.identifiers import ObjectId
from group_protocol.ports import RevocationRequest
from group_protocol.tickets import MembershipState
from master_api.store.devices import fetch_device
from tests.support.fake_registry import FakeRegistry
from tests.support.running_master import MASTER_KEY, Bench, Device, running_master
from tests.support.seeded import ManualClock

pytestmark = pytest.mark.network


async def revoke_behind_the_masters_back(bench: Bench, registry: FakeRegistry, oid: ObjectId) -> None:
    group = bench.context.group.require()
    deadline = int(bench.clock.now_unix_s()) + 60
    signature = MASTER_KEY.sign_digest(group.domain.revocation_digest(group.gid, oid, deadline))
    await registry.revoke(RevocationRequest(group.gid, oid, deadline, signature))


def moved(device: Device, bench: Bench) -> Device:
    device.bench = bench
    return device


async def test_restart_keeps_group_devices_records_and_audit_log(tmp_path: Path) -> None:
    clock = ManualClock()
    registry = FakeRegistry(clock.now_unix_s)
    async with running_master(tmp_path, registry=registry, clock=clock) as bench:
        device = await bench.joined_device(5)
        await device.send(device.record(), device.record())
        group = await bench.operations.show_group()
        audit = await bench.operations.verify_audit()
    async with running_master(tmp_path, registry=registry, clock=clock) as bench:
        assert await bench.operations.show_group() == group
        moved(device, bench).code = None
        ticket = await device.open_session()
        assert (ticket.state, ticket.last_seq) == (MembershipState.ACTIVE, 2)
        assert (await device.send(device.record(seq=2), device.record(seq=3))).last_seq == 3
        assert (await bench.operations.verify_records())["good"] == 3
        after = await bench.operations.verify_audit(str(audit["head"]))
        assert int(str(after["entries"])) > int(str(audit["entries"]))


async def test_restart_forgets_sessions(tmp_path: Path) -> None:
    clock = ManualClock()
    registry = FakeRegistry(clock.now_unix_s)
    async with running_master(tmp_path, registry=registry, clock=clock) as bench:
        device = await bench.joined_device(5)
    async with running_master(tmp_path, registry=registry, clock=clock) as bench:
        status, _ = await bench.post("/data", moved(device, bench).seal_items(device.record()).to_body())
        assert status == 400


async def test_revocation_while_the_master_was_down_shuts_out_and_is_made_final_by_an_order(tmp_path: Path) -> None:
    clock = ManualClock()
    registry = FakeRegistry(clock.now_unix_s)
    async with running_master(tmp_path, registry=registry, clock=clock) as bench:
        device = await bench.joined_device(5)
    await revoke_behind_the_masters_back(bench, registry, device.oid)
    async with running_master(tmp_path, registry=registry, clock=clock) as bench:
        with pytest.raises(TurnedAwayError) as told:
            await moved(device, bench).open_session()
        assert told.value.standing is Standing.DISPUTED
        listed: Any = (await bench.operations.status())["disputed"]
        (status,) = listed
        assert (status["name"], status["register_says"]) == ("bed 5", "revoked")
        assert (await bench.operations.revoke_device("bed 5"))["chain"] == "has it already"
        stored = bench.store.read_now(lambda connection: fetch_device(connection, device.oid))
        assert stored is not None
        assert stored.state is MembershipState.REVOKED
        assert (await device.open_session()).state is MembershipState.REVOKED
        assert (await device.send(device.record(epoch=2))).reason is Reason.NOT_A_MEMBER
        assert (await bench.operations.status())["disputed"] == []


async def test_group_that_the_contract_has_and_the_store_lost_is_adopted_again(tmp_path: Path) -> None:
    clock = ManualClock()
    registry = FakeRegistry(clock.now_unix_s)
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    async with running_master(tmp_path / "first", registry=registry, clock=clock) as bench:
        group = await bench.operations.show_group()
    async with running_master(tmp_path / "second", registry=registry, clock=clock, has_group=False) as bench:
        again = await bench.operations.create_group("ward 3")
        assert again["gid"] == group["gid"]
