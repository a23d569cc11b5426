"""A slave's daemon against a running master: what the sensors said is what the store holds."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from group_protocol.senml import decode_readings
from group_protocol.tickets import EvidencePolicy
from master_api.store.records import iterate_records
from slave_client.device_state import JoinStep
from slave_client.errors import DeviceRevokedError
from slave_client.inspection import read_device_status
from slave_client.states import State
from tests.support.cut_wire import CutWire
from tests.support.running_master import Bench, running_master
from tests.support.seeded import SeededRandom
from tests.support.slave_bench import ListSensor, SlaveBench, paired_slave

pytestmark = pytest.mark.network


@pytest.mark.parametrize("policy", list(EvidencePolicy))
@pytest.mark.parametrize("via", ["stream", "data"])
async def test_paired_slave_joins_and_delivers_every_reading_in_order(
    tmp_path: Path, via: str, policy: EvidencePolicy
) -> None:
    values = [float(number) for number in range(500)]
    async with (
        running_master(tmp_path, evidence_policy=policy, checkpoint_records=10) as bench,
        paired_slave(tmp_path, bench) as slave,
    ):
        daemon = await slave.daemon(ListSensor(values), via=via)
        await asyncio.wait_for(daemon.run(asyncio.Event()), 30)
        assert slave.state.step is JoinStep.ASSOCIATED
        assert await stored_values(bench, slave) == values
        await assert_all_evidence_is_good(bench)


@pytest.mark.parametrize("via", ["stream", "data"])
@pytest.mark.parametrize("policy", list(EvidencePolicy))
async def test_connection_that_breaks_again_and_again_loses_repeats_and_reorders_nothing(
    tmp_path: Path, via: str, policy: EvidencePolicy
) -> None:
    values = [float(number) for number in range(600)]
    async with (
        running_master(tmp_path, evidence_policy=policy, checkpoint_records=7) as bench,
        paired_slave(tmp_path, bench) as slave,
        CutWire(slave.port) as wire,
    ):
        slave.port = wire.port
        daemon = await slave.daemon(ListSensor(values, pause_s=0.002), via=via)
        running = asyncio.create_task(daemon.run(asyncio.Event()))
        while not running.done() and wire.connections < 8:
            await asyncio.sleep(0.15)
            wire.cut()
        await asyncio.wait_for(running, 30)
        assert wire.connections > 2
        assert await stored_values(bench, slave) == values
        await assert_all_evidence_is_good(bench)
        assert daemon.board.records_without_evidence == 0


@pytest.mark.parametrize("via", ["stream", "data"])
@pytest.mark.parametrize("policy", list(EvidencePolicy))
async def test_epoch_that_rises_while_a_slave_delivers_leaves_every_record_with_evidence(
    tmp_path: Path, via: str, policy: EvidencePolicy
) -> None:
    values = [float(number) for number in range(600)]
    async with (
        running_master(tmp_path, evidence_policy=policy, checkpoint_records=50) as bench,
        paired_slave(tmp_path, bench) as slave,
    ):
        others = [await bench.joined_device(number) for number in (5, 6, 7)]
        daemon = await slave.daemon(ListSensor(values, pause_s=0.001), via=via)
        running = asyncio.create_task(daemon.run(asyncio.Event()))
        for other in others:
            await asyncio.sleep(0.2)
            await bench.operations.revoke_device(other.oid.hex())
        await asyncio.wait_for(running, 30)
        assert await stored_values(bench, slave) == values
        await assert_all_evidence_is_good(bench)
        assert slave.state.enrolment is not None
        assert slave.state.enrolment.sending_epoch == 4


@pytest.mark.parametrize("via", ["stream", "data"])
async def test_revoked_slave_stops_for_good_and_keeps_what_was_not_delivered(tmp_path: Path, via: str) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        daemon = await slave.daemon(ListSensor([1.0] * 10_000, pause_s=0.001), via=via)
        running = asyncio.create_task(daemon.run(asyncio.Event()))
        await until(lambda: daemon.board.last_ack is not None and daemon.board.last_ack.last_seq > 3)
        place = slave.state.enrolment
        assert place is not None
        await bench.operations.revoke_device(place.oid.hex())
        with pytest.raises(DeviceRevokedError):
            await asyncio.wait_for(running, 30)
        assert daemon.board.state is State.REVOKED
        assert slave.state.step is JoinStep.REVOKED
        status = read_device_status(slave.directory.path, None)
        assert status["state"] == "revoked"


async def test_readings_taken_without_a_master_are_delivered_when_it_comes(tmp_path: Path) -> None:
    values = [float(number) for number in range(200)]
    async with (
        running_master(tmp_path) as bench,
        paired_slave(tmp_path, bench) as slave,
        CutWire(slave.port) as wire,
    ):
        slave.port = wire.port
        wire.is_dead = True
        daemon = await slave.daemon(ListSensor(values))
        running = asyncio.create_task(daemon.run(asyncio.Event()))
        await until(lambda: wire.connections >= 2 and daemon.board.sensors[0].state == "ended")
        assert daemon.board.state in (State.BACKING_OFF, State.CONNECTING)
        wire.is_dead = False
        await asyncio.wait_for(running, 30)
        assert await stored_values(bench, slave) == values


async def test_stopped_daemon_delivers_what_it_has_and_counts_it_as_acknowledged(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        stop = asyncio.Event()
        daemon = await slave.daemon(ListSensor([2.0] * 100_000, pause_s=0.001))
        running = asyncio.create_task(daemon.run(stop))
        await until((slave.directory.path / "ready").exists)
        stop.set()
        await asyncio.wait_for(running, 30)
        status = json.loads((slave.directory.path / "status.json").read_bytes())
        assert status["state"] == "stopped"
        assert status["readings"] == status["readings_acknowledged"] == len(await stored_values(bench, slave))
        assert status["buffer"]["records"] == 0


async def test_killed_daemon_goes_on_where_the_store_stands(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        first = await slave.daemon(ListSensor([1.0] * 10_000, pause_s=0.001))
        running = asyncio.create_task(first.run(asyncio.Event()))
        await until(lambda: first.board.last_ack is not None and first.board.last_ack.last_seq > 3)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        second = await slave.daemon(ListSensor([2.0] * 50))
        await asyncio.wait_for(second.run(asyncio.Event()), 30)
        values = await stored_values(bench, slave)
        assert values[-50:] == [2.0] * 50
        assert set(values[:-50]) == {1.0}
        await assert_all_evidence_is_good(bench)


async def test_buffer_that_was_lost_goes_on_above_the_masters_last_seq(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        await asyncio.wait_for((await slave.daemon(ListSensor([1.0] * 50))).run(asyncio.Event()), 30)
        for name in ("buffer.db", "sequence"):
            (slave.directory.path / name).unlink()
        await asyncio.wait_for((await slave.daemon(ListSensor([2.0] * 50))).run(asyncio.Event()), 30)
        assert await stored_values(bench, slave) == [1.0] * 50 + [2.0] * 50
        await assert_all_evidence_is_good(bench)


class SmallestShare(SeededRandom):
    """Draws 0 where a share is drawn."""

    def token_bytes(self, length_bytes: int) -> bytes:
        return bytes(length_bytes) if length_bytes == 8 else super().token_bytes(length_bytes)


@pytest.mark.parametrize("via", ["stream", "data"])
async def test_session_closes_its_first_period_at_a_random_share_and_not_at_the_full_length(
    tmp_path: Path, via: str
) -> None:
    async with (
        running_master(tmp_path, checkpoint_records=100_000, checkpoint_s=3_600) as bench,
        paired_slave(tmp_path, bench) as slave,
    ):
        slave.random = SmallestShare(1)
        daemon = await slave.daemon(ListSensor([1.0] * 10_000, pause_s=0.005), via=via)
        stop = asyncio.Event()
        running = asyncio.create_task(daemon.run(stop))
        async with asyncio.timeout(30):
            await until(lambda: daemon.board.last_ack is not None and daemon.board.last_ack.last_seq > 5)
        assert daemon.board.last_ack is not None
        assert 0 < daemon.board.last_ack.evidence_seq < daemon.board.last_ack.last_seq
        stop.set()
        await asyncio.wait_for(running, 30)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


async def assert_all_evidence_is_good(bench: Bench) -> None:
    report = await bench.operations.verify_records()
    assert (report["is_good"], report["waiting"]) == (True, 0), report


async def stored_values(bench: Bench, slave: SlaveBench) -> list[float]:
    place = slave.state.enrolment
    assert place is not None
    rows = await bench.store.read(lambda connection: list(iterate_records(connection, place.oid)))
    assert [row.seq for row in rows] == sorted({row.seq for row in rows})
    return [float(reading.value) for row in rows for reading in decode_readings(row.payload)]  # type: ignore[arg-type]
