"""A slave's daemon against a running master: what the sensors said is what the store holds."""

import asyncio
from pathlib import Path

import pytest

from group_protocol.senml import decode_readings
from group_protocol.tickets import EvidencePolicy
from master_api.store.records import iterate_records
from slave_client.device_state import JoinStep
from tests.support.running_master import Bench, running_master
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
        report = await bench.operations.verify_records()
        assert (report["is_good"], report["waiting"]) == (True, 0), report


async def stored_values(bench: Bench, slave: SlaveBench) -> list[float]:
    place = slave.state.enrolment
    assert place is not None
    rows = await bench.store.read(lambda connection: list(iterate_records(connection, place.oid)))
    assert [row.seq for row in rows] == sorted({row.seq for row in rows})
    return [float(reading.value) for row in rows for reading in decode_readings(row.payload)]  # type: ignore[arg-type]
