"""A slave changes its key (docs/protocol.md §7.1): its id, its records and its membership stay."""

import asyncio
from pathlib import Path

import pytest

from group_protocol.errors import RefusedError
from group_protocol.identifiers import Address
from group_protocol.tickets import EvidencePolicy
from slave_client.errors import MasterRefusalError
from slave_client.joining import ROLLBACK_AFTER_S
from slave_client.outbox import TO_MASTER
from slave_client.rotation import Rotation
from slave_client.transport import Transport
from system_ports.clock import SystemClock
from tests.support.running_master import Bench, running_master
from tests.support.slave_bench import ListSensor, SlaveBench, paired_slave

pytestmark = pytest.mark.network


class CrashError(BaseException):
    """Stands for the end of the process."""


class CrashingTransport(Transport):
    """Ends the process around its first request to a path."""

    def __init__(self, port: int, path: str, *, after_answer: bool) -> None:
        super().__init__("127.0.0.1", port)
        self._path = path
        self._after_answer = after_answer

    async def post(self, path: str, body: bytes) -> bytes:
        if path == self._path and not self._after_answer:
            raise CrashError
        answer = await super().post(path, body)
        if path == self._path:
            raise CrashError
        return answer


@pytest.mark.parametrize("policy", list(EvidencePolicy))
async def test_rotated_slave_keeps_its_id_and_every_record_keeps_its_evidence(
    tmp_path: Path, policy: EvidencePolicy
) -> None:
    async with running_master(tmp_path, evidence_policy=policy) as bench, paired_slave(tmp_path, bench) as slave:
        await deliver(slave, [1.0] * 30)
        before = slave.state.enrolment
        new_address = await rotate(slave, slave.transport())
        after = slave.state.enrolment
        assert before is not None
        assert after is not None
        assert (after.oid, after.gid) == (before.oid, before.gid)
        assert after.address == new_address != before.address
        assert slave.store.load_candidate() is None
        await deliver(slave, [2.0] * 30)
        report = await bench.operations.verify_records()
        assert (report["is_good"], report["waiting"], report["bad"]) == (True, 0, 0), report
        assert await stored_records(bench) > 7


async def test_what_waits_in_the_buffer_is_delivered_under_the_old_key_first(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        await deliver(slave, [1.0])
        buffer = await slave.open_buffer()
        buffer.append(b"\x81\xa3\x00\x63ppg\x02\x01\x06\x01", TO_MASTER)
        await buffer.close()
        await rotate(slave, slave.transport())
        assert await stored_records(bench) == 2
        assert (await bench.operations.verify_records())["is_good"]


@pytest.mark.parametrize("after_answer", [False, True])
async def test_crash_around_the_rotation_is_mended_by_rotating_again(tmp_path: Path, *, after_answer: bool) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        await deliver(slave, [1.0] * 10)
        with pytest.raises(CrashError):
            await rotate(slave, CrashingTransport(slave.port, "/rotate", after_answer=after_answer))
        candidate = slave.store.load_candidate()
        assert candidate is not None
        assert await rotate(slave, slave.transport()) == candidate.signing.address
        assert slave.store.load_candidate() is None
        await deliver(slave, [2.0] * 10)
        assert (await bench.operations.verify_records())["is_good"]


@pytest.mark.parametrize("after_answer", [False, True])
async def test_daemon_started_after_a_crashed_rotation_delivers_with_the_key_that_the_master_knows(
    tmp_path: Path, *, after_answer: bool
) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        await deliver(slave, [1.0] * 10)
        with pytest.raises(CrashError):
            await rotate(slave, CrashingTransport(slave.port, "/rotate", after_answer=after_answer))
        await deliver(slave, [2.0] * 10)
        assert (slave.store.load_candidate() is None) is after_answer
        assert (await bench.operations.verify_records())["is_good"]


async def test_old_key_is_refused_after_a_rotation(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        await deliver(slave, [1.0])
        old_keys = slave.store.load_keys()
        assert old_keys is not None
        await rotate(slave, slave.transport())
        joining = slave.joining()
        joining._keys = old_keys
        async with slave.transport() as transport:
            with pytest.raises(MasterRefusalError):
                await joining.open_session(transport)


class LateTransport(Transport):
    """The network holds a rotation back until its deadline has passed."""

    def __init__(self, port: int, bench: Bench) -> None:
        super().__init__("127.0.0.1", port)
        self._bench = bench

    async def post(self, path: str, body: bytes) -> bytes:
        if path == "/rotate":
            self._bench.clock.advance(2 * self._bench.context.config.association_deadline_s)
        return await super().post(path, body)


async def test_change_that_the_contract_refuses_for_good_is_rolled_back(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        await deliver(slave, [1.0])
        old, asked = slave.state.enrolment, slave.store.make_candidate(slave.random)
        with pytest.raises(RefusedError, match="rolled back"):
            await rotate(slave, LateTransport(slave.port, bench))
        assert slave.store.load_candidate() is None
        assert slave.state.enrolment == old
        assert await rotate(slave, slave.transport()) != asked.signing.address


@pytest.mark.parametrize("is_over", [False, True])
async def test_change_that_never_came_through_is_rolled_back_when_its_time_is_over(
    tmp_path: Path, *, is_over: bool
) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        await deliver(slave, [1.0])
        with pytest.raises(CrashError):
            await rotate(slave, CrashingTransport(slave.port, "/rotate", after_answer=False))
        bench.clock.advance(ROLLBACK_AFTER_S + (60 if is_over else -60))
        await deliver(slave, [2.0])
        assert (slave.store.load_candidate() is None) is is_over


async def deliver(slave: SlaveBench, values: list[float]) -> None:
    daemon = await slave.daemon(ListSensor(values))
    await asyncio.wait_for(daemon.run(asyncio.Event()), 30)


async def rotate(slave: SlaveBench, transport: Transport) -> Address:
    keys = slave.store.load_keys()
    assert keys is not None
    buffer = await slave.open_buffer()
    rotation = Rotation(
        slave.joining(), slave.store, buffer, clock=SystemClock(), random=slave.random, report=slave.steps.append
    )
    try:
        async with transport:
            return await rotation.run(transport, keys.signing.address)
    finally:
        await buffer.close()


async def stored_records(bench: Bench) -> int:
    devices = (await bench.operations.list_devices())["devices"]
    assert isinstance(devices, list)
    return int(devices[0]["records"])
