"""The experiments against real masters: each in a process of its own, on loopback."""

import asyncio
import shutil
import time
from pathlib import Path

import pytest

from group_protocol.crypto.aead import Aead
from group_protocol.senml import Reading
from group_protocol.suites import Suite
from measure.bench.process import bench_master
from measure.bench.slave import joined_slave
from measure.errors import MeasurementError
from measure.figure8.run import TRACE, Figure8Settings, run_figure8
from measure.probes.coefficients import Coefficient
from measure.probes.cpu_time import CpuTimeModel
from measure.quantities import ModelledSeries
from measure.table2.experiment import run_table2
from measure.table2.operations import OURS, THEIRS
from measure.table2.run import Table2Settings
from measure.table2.waiting import Waiting, measure_waiting
from measure.traffic.run import read_as_man_in_the_middle, record_traffic
from measure.traffic.tables import join_steps
from tests.support.seeded import SeededRandom
from tests.unit.measure.results_of import MACHINE
from tests.unit.measure.table2.test_run import silent

pytestmark = [pytest.mark.network, pytest.mark.processes]
MODEL = Coefficient("a processor", "", 2.0, "2 W", "a test")


async def test_master_takes_both_kinds_of_prepared_message_and_the_association() -> None:
    async with bench_master(1) as master:
        folder, pairing = master.folder / "slave", master.pairings[0]
        async with joined_slave(folder, pairing, master.port, aeads=(Aead.C20P1305,)) as slave:
            await slave.send(slave.device.prepare_signed_data(Reading("ppg", time.time(), 1.0)))
            with pytest.raises(MeasurementError, match="EVIDENCE_REQUIRED"):
                # Joined under the policy that every record is signed: a checkpointed one is well-formed, and refused.
                await slave.send(slave.device.prepare_checkpointed_data(Reading("ppg", time.time(), 2.0)))


async def test_waiting_splits_a_join_into_its_parts() -> None:
    waiting = Waiting()
    async with bench_master(2) as master:
        await measure_waiting(master, range(2), waiting)
    total, *parts = (waiting.samples[OURS, name] for name in ("join", "join, slave", "join, master", "join, chain"))
    assert total == pytest.approx([sum(values) for values in zip(*parts, strict=True)])
    assert len(waiting.samples[THEIRS, "join"]) == 2


async def test_master_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr("sys.executable", shutil.which("false") or "false")
    with pytest.raises(MeasurementError, match="did not start"):
        async with bench_master(1):
            pass


@pytest.mark.parametrize("uses_tshark", [False, True])
async def test_nothing_of_ours_is_in_the_capture_and_the_papers_identity_is(*, uses_tshark: bool) -> None:
    """With tshark where it is installed; without it both runs use the proxy, as the command does."""
    with_kem, ours, theirs = await record_traffic(uses_tshark=uses_tshark, suites=(Suite.H1, Suite.E1))
    assert not [finding.name for one in (with_kem, ours) for finding in one.findings if finding.is_seen]
    assert sum(step.request_bytes for step in join_steps(with_kem.capture)) > sum(
        step.request_bytes for step in join_steps(ours.capture)
    )
    assert {finding.name for finding in theirs.findings if finding.is_seen} == {"device's public key", "object id"}
    assert (ours.repeated, theirs.repeated) == (0, 2)
    assert [step.path for step in join_steps(ours.capture)] == ["/keysSession", "/getTicket", "/assoc"]
    assert (len(ours.capture.connections), len(theirs.capture.connections)) == (1, 6)


async def test_man_in_the_middle_reads_the_papers_token_and_reading() -> None:
    read = {finding.name for finding in await read_as_man_in_the_middle()}
    assert {"token", "reading"} <= read


def test_table2_measures_and_keeps_all_samples() -> None:
    results = run_table2(
        MACHINE, (), CpuTimeModel(MODEL), {}, Table2Settings(3, 2, 0.01, 1), 1, SeededRandom(3), silent
    )
    assert not results.is_partial
    times = [series for series in results.series if series.key.quantity == "time"]
    assert [len(series.values) for series in times] == [3] * 6
    energies = [series for series in results.series if series.key.quantity in ("power", "energy")]
    assert len(energies) == 12
    assert all(isinstance(series, ModelledSeries) for series in energies)


def test_figure8_reads_the_probe_in_every_phase() -> None:
    settings = Figure8Settings(messages=5, pause_s=0.02, before_s=0.3, after_s=0.3, sample_s=0.05)
    results = run_figure8(MACHINE, (), CpuTimeModel(MODEL), {}, settings, silent)
    trace = results.extra[TRACE]
    assert trace["sent"] == 5
    assert [name for name, _, _ in trace["phases"]] == ["idle before", "messages", "idle after"]
    assert len(results.series[0].values) == len(trace["times_s"]) >= 5


async def test_bench_leaves_no_folder_and_no_process_behind() -> None:
    async with bench_master(0) as master:
        folder = master.folder
        assert await asyncio.to_thread(folder.is_dir)
    assert not await asyncio.to_thread(Path(folder).exists)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(master.host, master.port)
