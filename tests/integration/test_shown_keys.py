"""A device whose change of key its master's store does not know shows the proof itself (docs/protocol.md §7.2)."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from group_protocol.extensions import Standing, TurnedAwayError
from group_protocol.identifiers import Address
from group_protocol.key_changes import KeyChange
from master_api.audit import fetch_newest
from master_api.config import STORE_NAME
from master_api.store.devices import fetch_keys_of
from slave_client.errors import NotAdmittedError
from tests.integration.test_slave_rotation import CrashError, CrashingTransport, deliver, rotate
from tests.support.fake_registry import FakeRegistry
from tests.support.running_master import Bench, device_key, running_master
from tests.support.seeded import ManualClock
from tests.support.slave_bench import SlaveBench, paired_slave
from tests.support.waiting import until

pytestmark = pytest.mark.network


@dataclass
class Ward:
    """A master whose store can be put back, while the register remembers; and one slave."""

    folder: Path
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.registry = FakeRegistry(self.clock.now_unix_s)
        (self.folder / "m").mkdir()

    @asynccontextmanager
    async def running(self, slave: SlaveBench | None = None) -> AsyncIterator[Bench]:
        async with running_master(self.folder / "m", registry=self.registry, clock=self.clock) as bench:
            if slave is not None:
                slave.port = int(bench.url.rsplit(":", 1)[1])
            yield bench

    def back_up(self) -> None:
        shutil.copytree(self.folder / "m", self.folder / "backup")

    def put_back(self) -> None:
        (self.folder / "m" / STORE_NAME).unlink()
        shutil.copytree(self.folder / "backup", self.folder / "m", dirs_exist_ok=True)


@pytest.fixture
async def joined(tmp_path: Path) -> AsyncIterator[tuple[Ward, SlaveBench]]:
    """A slave that has delivered, and a backup of its master from then; nothing runs."""
    ward = Ward(tmp_path)
    async with ward.running() as bench, paired_slave(tmp_path, bench) as slave:
        await deliver(slave, [1.0] * 10)
    ward.back_up()
    with slave.directory:
        yield ward, slave


async def assert_at_work(bench: Bench, slave: SlaveBench, address: Address) -> None:
    await deliver(slave, [2.0] * 10)
    place = slave.state.enrolment
    assert place is not None
    assert place.address == address
    assert await listed(bench) == ("0x" + address.hex(), "member")
    report = await bench.operations.verify_records()
    assert (report["is_good"], report["bad"]) == (True, 0), report
    assert bench.context.disputes.open == {}


async def listed(bench: Bench) -> tuple[str, str]:
    rows: Any = (await bench.operations.list_devices())["devices"]
    (row,) = rows
    return row["address"], row["standing"]


def audited(bench: Bench, kind: str) -> list[str]:
    entries = bench.store.read_now(lambda connection: fetch_newest(connection, 1_000))
    return [entry.detail for entry in entries if entry.kind == kind]


@pytest.mark.parametrize("changes", [1, 3])
async def test_device_that_changed_its_key_after_the_backup_goes_on_by_itself(
    joined: tuple[Ward, SlaveBench], changes: int
) -> None:
    ward, slave = joined
    async with ward.running(slave) as bench:
        addresses = [await rotate(slave, slave.transport()) for _ in range(changes)]
        await deliver(slave, [1.5] * 10)
    ward.put_back()
    async with ward.running(slave) as bench:
        ((oid, dispute),) = bench.context.disputes.open.items()
        assert dispute.account == addresses[-1]
        await assert_at_work(bench, slave, addresses[-1])
        keys = bench.store.read_now(lambda connection: fetch_keys_of(connection, oid))
        assert [key.address for key in keys][1:] == addresses
        assert len(audited(bench, "device.disputed")) == len(audited(bench, "device.dispute_ended")) == 1
    async with ward.running(slave) as bench:
        await assert_at_work(bench, slave, addresses[-1])


async def test_change_that_reached_the_contract_alone_is_finished_with_the_two_keys_of_the_slots(
    joined: tuple[Ward, SlaveBench],
) -> None:
    ward, slave = joined
    async with ward.running(slave):
        with pytest.raises(CrashError):
            await rotate(slave, CrashingTransport(slave.port, "/rotate", after_answer=True))
    candidate = slave.store.load_candidate()
    assert candidate is not None
    ward.put_back()
    async with ward.running(slave) as bench:
        await assert_at_work(bench, slave, candidate.signing.address)
        assert slave.store.load_candidate() is None


async def test_key_that_the_register_does_not_name_is_not_taken_whatever_is_shown(
    joined: tuple[Ward, SlaveBench],
) -> None:
    """As after an embedded chain was put back with the store."""
    ward, slave = joined
    async with ward.running(slave):
        await rotate(slave, slave.transport())
    ward.put_back()
    place = slave.state.enrolment
    assert place is not None
    ward.registry.forget_rotations(place.oid)
    async with ward.running(slave) as bench:
        joining = slave.joining()
        async with slave.transport() as transport:
            with pytest.raises(NotAdmittedError):
                await joining.open_session(transport)
        assert audited(bench, "device.rotated") == []


@pytest.mark.parametrize("signed_by", ["the thief", "nobody", "an older key"])
async def test_key_that_a_lying_node_names_is_not_taken_without_the_devices_signature(
    joined: tuple[Ward, SlaveBench], signed_by: str
) -> None:
    ward, slave = joined
    async with ward.running(slave):
        older = slave.store.load_keys()
        address = await rotate(slave, slave.transport())
        await deliver(slave, [1.5])
    place, thief = slave.state.enrolment, device_key(66)
    assert place is not None
    assert older is not None
    async with ward.running(slave) as bench:
        ward.registry.invent_rotation(place.oid, thief.address)
        device = bench.device(66)
        device.oid = place.oid
        digest = bench.context.group.require().domain.rotation_digest(place.gid, place.oid, thief.address, 9)
        by_old = {
            "the thief": thief.sign_digest(digest),
            "nobody": bytes(64),
            "an older key": older.signing.sign_digest(digest),
        }[signed_by]
        device.key_changes = (*slave.state.key_changes, KeyChange(thief.address, 9, by_old, thief.sign_digest(digest)))  # type: ignore[arg-type]
        _, m3 = await device.ask_for_keys()
        status, _ = await bench.post("/getTicket", m3.to_body())
        assert status == 400
        await until(lambda: place.oid in bench.context.disputes.open)
        assert await listed(bench) == ("0x" + address.hex(), "disputed")
        joining = slave.joining()
        async with slave.transport() as transport:
            with pytest.raises(TurnedAwayError) as told:
                await joining.open_session(transport)
        assert told.value.standing is Standing.DISPUTED
        ward.registry.is_lying = False
        ward.registry.read_anew()
        await deliver(slave, [2.0])
