"""A master whose chain is away: members go on for a while, what is asked waits, who is revoked is cut off."""

import asyncio
from pathlib import Path

import pytest

from group_protocol.errors import Reason
from group_protocol.frames import Close
from group_protocol.identifiers import ObjectId
from group_protocol.membership import ObjectState
from group_protocol.ports import AssociationRequest
from group_protocol.tickets import MembershipState
from master_api.audit import AuditKind
from master_api.chain_policy import ChainAwayPolicy
from master_api.store.devices import fetch_device
from tests.support.fake_registry import FakeRegistry
from tests.support.running_master import Bench, Device, running_master
from tests.support.seeded import ManualClock
from tests.support.slave_bench import ListSensor, paired_slave
from tests.support.waiting import until

pytestmark = pytest.mark.network

LONGEST_AWAY_S = 600


def stored_state(bench: Bench, oid: ObjectId) -> MembershipState | None:
    device = bench.store.read_now(lambda connection: fetch_device(connection, oid))
    return None if device is None else device.state


def audited(bench: Bench) -> list[str]:
    rows = bench.store.read_now(
        lambda connection: connection.exec_driver_sql("SELECT kind FROM audit ORDER BY number").all()
    )
    return [row[0] for row in rows]


async def go_away(bench: Bench) -> None:
    bench.registry.is_reachable = False
    await bench.service.context.watch.check()


async def come_back(bench: Bench) -> None:
    bench.registry.is_reachable = True
    await bench.service.context.watch.check()


async def ask_while_away(bench: Bench, number: int = 5) -> Device:
    device = bench.device(number, code=await bench.make_code(f"bed {number}"))
    await go_away(bench)
    await device.open_session()
    result = await device.associate()
    assert (result.state, result.reason) == (MembershipState.PENDING, Reason.CHAIN_UNAVAILABLE)
    return device


class TestJoining:
    async def test_request_is_sent_when_the_chain_is_back_though_the_device_asks_no_more(self, tmp_path: Path) -> None:
        async with running_master(tmp_path) as bench:
            device = await ask_while_away(bench)
            assert (await bench.operations.status())["waiting_for_chain"] == {"associations": 1, "revocations": 0}
            await come_back(bench)
            await until(lambda: stored_state(bench, device.oid) is MembershipState.ACTIVE)
            await until(lambda: not bench.service.context.waiting.associations)

    async def test_request_survives_a_restart(self, tmp_path: Path) -> None:
        clock = ManualClock()
        registry = FakeRegistry(clock.now_unix_s)
        async with running_master(tmp_path, registry=registry, clock=clock) as bench:
            device = await ask_while_away(bench)
        registry.is_reachable = True
        async with running_master(tmp_path, registry=registry, clock=clock) as bench:
            await until(lambda: stored_state(bench, device.oid) is MembershipState.ACTIVE)

    async def test_device_that_asks_again_is_pending_in_this_session_and_the_next(self, tmp_path: Path) -> None:
        async with running_master(tmp_path) as bench:
            device = await ask_while_away(bench)
            assert (await device.associate()).state is MembershipState.PENDING
            assert (await device.open_session()).state is MembershipState.PENDING

    async def test_request_signed_while_the_chain_is_away_is_good_for_a_day(self, tmp_path: Path) -> None:
        async with running_master(tmp_path) as bench:
            device = await ask_while_away(bench)
            bench.clock.advance(20 * 3_600)
            await come_back(bench)
            await until(lambda: stored_state(bench, device.oid) is MembershipState.ACTIVE)

    async def test_many_requests_all_become_members(self, tmp_path: Path) -> None:
        async with running_master(tmp_path) as bench:
            await go_away(bench)
            devices = [bench.device(number, code=await bench.make_code(f"bed {number}")) for number in range(1, 21)]
            for device in devices:
                await device.open_session()
                assert (await device.associate()).state is MembershipState.PENDING
            await come_back(bench)
            await until(lambda: all(stored_state(bench, each.oid) is MembershipState.ACTIVE for each in devices))


class TestRevoking:
    async def test_device_is_cut_off_at_once_and_the_chain_is_told_when_it_is_back(self, tmp_path: Path) -> None:
        async with running_master(tmp_path) as bench:
            device = await bench.joined_device(5)
            stream = await device.open_stream()
            await stream.receive_ack()
            await go_away(bench)
            result = await bench.operations.revoke_device("bed 5")
            assert (result["block"], result["transaction"]) == (None, None)
            assert "kept, and sent when the chain is back" in str(result["chain"])
            assert await stream.receive() == Close(Reason.OBJECT_REVOKED)
            device.code = None
            assert (await device.open_session()).state is MembershipState.REVOKED
            assert bench.registry.membership().objects[device.oid].state is ObjectState.SLAVE
            await come_back(bench)
            await until(lambda: bench.registry.membership().objects[device.oid].state is ObjectState.REVOKED)
            await until(lambda: AuditKind.REVOCATION_SETTLED in audited(bench))
            assert audited(bench).count(AuditKind.DEVICE_REVOKED) == 1

    async def test_order_survives_a_restart(self, tmp_path: Path) -> None:
        clock = ManualClock()
        registry = FakeRegistry(clock.now_unix_s)
        async with running_master(tmp_path, registry=registry, clock=clock) as bench:
            device = await bench.joined_device(5)
            await go_away(bench)
            await bench.operations.revoke_device("bed 5")
        registry.is_reachable = True
        async with running_master(tmp_path, registry=registry, clock=clock) as bench:
            await until(lambda: registry.membership().objects[device.oid].state is ObjectState.REVOKED)
            assert stored_state(bench, device.oid) is MembershipState.REVOKED

    async def test_device_whose_association_waits_never_becomes_a_member(self, tmp_path: Path) -> None:
        async with running_master(tmp_path) as bench:
            device = await ask_while_away(bench)
            await bench.operations.revoke_device("bed 5")
            await come_back(bench)
            await until(lambda: not bench.service.context.waiting.revocations)
            assert device.oid not in bench.registry.membership().objects
            device.code = None
            assert (await device.open_session()).state is MembershipState.REVOKED
            assert (await device.associate()).state is MembershipState.REVOKED

    async def test_order_again_while_it_waits_is_told_the_same(self, tmp_path: Path) -> None:
        async with running_master(tmp_path) as bench:
            await bench.joined_device(5)
            await go_away(bench)
            first = await bench.operations.revoke_device("bed 5")
            assert await bench.operations.revoke_device("bed 5") == first


class TestMembers:
    @pytest.mark.parametrize("policy", list(ChainAwayPolicy))
    async def test_members_go_on_for_the_time_that_is_set_and_then_as_the_policy_says(
        self, tmp_path: Path, policy: ChainAwayPolicy
    ) -> None:
        async with running_master(tmp_path, chain_away=policy, chain_away_max_s=LONGEST_AWAY_S) as bench:
            device = await bench.joined_device(5)
            await go_away(bench)
            bench.clock.advance(LONGEST_AWAY_S - 1)
            assert (await device.send(device.record())).reason is Reason.NONE
            bench.clock.advance(2)
            ack = await device.send(device.record())
            if policy is ChainAwayPolicy.FAIL_OPEN:
                assert (ack.last_seq, ack.reason) == (2, Reason.NONE)
                return
            assert (ack.last_seq, ack.refused_seq, ack.reason) == (1, 2, Reason.CHAIN_UNAVAILABLE)
            await come_back(bench)
            assert (await device.send(device.record(seq=2))).last_seq == 2

    async def test_health_says_since_when_and_what_is_done(self, tmp_path: Path) -> None:
        async with running_master(tmp_path, chain_away_max_s=LONGEST_AWAY_S) as bench:
            watch = bench.service.context.watch
            assert watch.describe() == "ok"
            await go_away(bench)
            assert "away since 20" in watch.describe()
            assert "fail-closed" in watch.describe()
            assert "they are refused" in watch.describe()
            bench.clock.advance(LONGEST_AWAY_S + 1)
            assert watch.describe().endswith("records are refused until it answers")
            health = await bench.service.health.check()
            assert not health.is_good
            assert health.parts["chain"] == watch.describe()
            await come_back(bench)
            assert watch.describe() == "ok"
            assert [kind for kind in audited(bench) if kind.startswith("chain.")] == ["chain.away", "chain.back"]

    async def test_restart_does_not_begin_the_time_away_anew(self, tmp_path: Path) -> None:
        clock = ManualClock()
        registry = FakeRegistry(clock.now_unix_s)
        async with running_master(tmp_path, registry=registry, clock=clock, chain_away_max_s=LONGEST_AWAY_S) as bench:
            await bench.joined_device(5)
            await go_away(bench)
        clock.advance(LONGEST_AWAY_S + 60)
        async with running_master(tmp_path, registry=registry, clock=clock, chain_away_max_s=LONGEST_AWAY_S) as bench:
            assert bench.service.context.watch.refuses_records

    async def test_slave_keeps_what_is_refused_and_delivers_it_when_the_chain_is_back(self, tmp_path: Path) -> None:
        async with (
            running_master(tmp_path, chain_away_max_s=LONGEST_AWAY_S) as bench,
            paired_slave(tmp_path, bench) as slave,
        ):
            await slave.join()
            await go_away(bench)
            bench.clock.advance(LONGEST_AWAY_S + 1)
            daemon = await slave.daemon(ListSensor([float(value) for value in range(50)]))
            running = asyncio.create_task(daemon.run(asyncio.Event()))
            await until(lambda: any("CHAIN_UNAVAILABLE" in str(step) for step in slave.steps))
            await come_back(bench)
            await running
            (count,) = bench.store.read_now(
                lambda connection: connection.exec_driver_sql("SELECT count(*) FROM records").one()
            )
            assert count > 0
            assert daemon.board.state.value == "stopped"


class TestForks:
    async def test_member_whose_association_is_gone_is_told_and_comes_again_with_m5(self, tmp_path: Path) -> None:
        async with running_master(tmp_path) as bench:
            device = await bench.joined_device(5)
            stream = await device.open_stream()
            await stream.receive_ack()
            bench.registry.undo_association(device.oid)
            assert await stream.receive() == Close(Reason.NOT_A_MEMBER)
            await until(lambda: stored_state(bench, device.oid) is MembershipState.NOT_ASSOCIATED)
            assert (await device.send(device.record())).reason is Reason.NOT_A_MEMBER
            device.code = None
            assert (await device.open_session()).state is MembershipState.NOT_ASSOCIATED
            assert (await device.associate()).state is MembershipState.ACTIVE
            assert (await device.send(device.record(seq=1))).last_seq == 1

    async def test_slave_associates_again_by_itself_and_loses_nothing(self, tmp_path: Path) -> None:
        async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
            state = await slave.join()
            assert state.enrolment is not None
            oid = state.enrolment.oid
            daemon = await slave.daemon(ListSensor([float(value) for value in range(100)], pause_s=0.02))
            running = asyncio.create_task(daemon.run(asyncio.Event()))
            await until(lambda: daemon.board.last_ack is not None)
            bench.registry.undo_association(oid)
            await running
            assert daemon.board.sessions > 1
            assert stored_state(bench, oid) is MembershipState.ACTIVE
            rows = bench.store.read_now(
                lambda connection: connection.exec_driver_sql("SELECT seq FROM records ORDER BY seq").all()
            )
            assert [row[0] for row in rows] == list(range(1, len(rows) + 1))

    async def test_association_that_was_gone_while_the_master_was_down_is_noticed(self, tmp_path: Path) -> None:
        clock = ManualClock()
        registry = FakeRegistry(clock.now_unix_s)
        async with running_master(tmp_path, registry=registry, clock=clock) as bench:
            device = await bench.joined_device(5)
        registry.undo_association(device.oid)
        async with running_master(tmp_path, registry=registry, clock=clock) as bench:
            assert stored_state(bench, device.oid) is MembershipState.NOT_ASSOCIATED
            assert AuditKind.ASSOCIATION_UNDONE in audited(bench)

    async def test_revoked_device_whose_association_comes_back_is_revoked_again(self, tmp_path: Path) -> None:
        """A fork forgets association and revocation; somebody relays the association once more."""
        async with running_master(tmp_path) as bench:
            device = await bench.joined_device(5)
            call = device.association()
            await bench.operations.revoke_device("bed 5")
            bench.registry.undo_association(device.oid)
            group = bench.service.context.group.require()
            await bench.registry.associate(
                AssociationRequest(group.gid, call.token, call.request, call.deadline_unix_s)
            )
            await until(lambda: bench.registry.membership().objects[device.oid].state is ObjectState.REVOKED)
            assert stored_state(bench, device.oid) is MembershipState.REVOKED
