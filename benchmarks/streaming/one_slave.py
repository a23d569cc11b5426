"""The real slave, ``vgroup slave run``: what it takes of a small machine, and how fast it catches up after a day."""

import asyncio
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

from benchmarks.fixtures import RANDOM
from benchmarks.machine import source_root
from benchmarks.streaming.processes import MIB, ShippedMaster, shipped_master
from group_protocol.senml import Reading, encode_readings
from slave_client.buffer import Buffer
from slave_client.config import SlaveConfig
from slave_client.keystore import KeyStore
from slave_client.outbox import TO_MASTER
from slave_client.state_directory import StateDirectory
from system_ports.clock import SystemClock

RATE_PER_S: Final = 10
DAY_S: Final = 86_400
_RECORDS_A_COMMIT: Final = 2_000
_WARM_S: Final = 5.0
_REPLAY_MAX_S: Final = 900.0


@dataclass(frozen=True, slots=True)
class SlaveRun:
    """What one slave took.

    Attributes:
        cores: CPU time of the process for each second, while it measured and delivered.
        rss_mib: Its resident memory then, at most.
        offline_readings: How many waited in its buffer on the disk, one record for each second.
        replay_s: From the start of ``vgroup slave run`` until it had all of them acknowledged with evidence, and ended.
        replay_rss_mib: Its resident memory meanwhile, at most.
        stored_records: What the master then had of it, all verified.
    """

    rate_per_s: int
    seconds: float
    cores: float
    rss_mib: float
    offline_readings: int
    replay_s: float
    replay_rss_mib: float
    stored_records: int

    def as_json(self) -> dict[str, object]:
        """For the results file."""
        return asdict(self)


async def run_slave(for_s: float, offline_s: int, parent: Path | None) -> SlaveRun:
    """Measure at 10 readings a second; then replay a buffer of so many seconds at that rate."""
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        async with shipped_master(Path(folder) / "master", {}) as master:
            state = Path(folder) / "slave"
            await _join(master, state)
            cores, rss_mib, seconds = await _measure(state, Path(folder), for_s)
            readings = await _fill_buffer(state, offline_s)
            replay_s, replay_rss_mib = await _replay(state, Path(folder))
            report = await master.ask("records.verify")
    if not report["is_good"] or report["good"] < offline_s or report["waiting"]:
        raise RuntimeError(f"the replayed buffer is not in the store: {report}")
    return SlaveRun(RATE_PER_S, seconds, cores, rss_mib, readings, replay_s, replay_rss_mib, report["good"])


async def _slave(*words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vgroup", "slave", *words),
        cwd=source_root(),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def _join(master: ShippedMaster, state: Path) -> None:
    invitation = await master.ask("device.invite", name="bed 1")
    process = await _slave("join", str(invitation["pairing_string"]), "--state-dir", str(state))
    if await process.wait():
        raise RuntimeError("vgroup slave join failed")


async def _measure(state: Path, folder: Path, for_s: float) -> tuple[float, float, float]:
    """Cores, MiB at most, seconds."""
    recording = folder / "recording.csv"
    recording.write_text("".join(f"{at % 97}.25\n" for at in range(10_000)), "utf-8")
    ready = folder / "ready.json"
    sensor = f"replay:{recording},rate_hz={RATE_PER_S},repeat=yes"
    process = await _slave("run", "--state-dir", str(state), "--sensor", sensor, "--ready-file", str(ready))
    try:
        async with asyncio.timeout(60):
            while not ready.exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.1)
        await asyncio.sleep(_WARM_S)
        watched = psutil.Process(process.pid)
        began, began_s = watched.cpu_times(), time.monotonic()
        rss_mib = 0.0
        while time.monotonic() - began_s < for_s:
            await asyncio.sleep(1.0)
            rss_mib = max(rss_mib, watched.memory_info().rss / MIB)
        ended, seconds = watched.cpu_times(), time.monotonic() - began_s
        return (ended.user + ended.system - began.user - began.system) / seconds, rss_mib, seconds
    finally:
        process.terminate()
        await process.wait()


async def _fill_buffer(state: Path, offline_s: int) -> int:
    """What the daemon would have put there without a master: a record a second, of ten readings. Answers readings."""
    config = SlaveConfig(state)
    with StateDirectory(state) as directory:
        keys = KeyStore(directory).load_keys()
        if keys is None:
            raise RuntimeError("the slave has no keys")
        buffer = await Buffer.open(
            directory, keys.storage_secret, limits=config.buffer_limits, clock=SystemClock(), random=RANDOM
        )
        began_unix_s = time.time() - offline_s
        try:
            for second in range(offline_s):
                readings = [
                    Reading("ppg", began_unix_s + second + at / RATE_PER_S, (second * 7 + at) % 97 + 0.25)
                    for at in range(RATE_PER_S)
                ]
                buffer.append(encode_readings(readings), TO_MASTER, readings=RATE_PER_S)
                if second % _RECORDS_A_COMMIT == 0:
                    await buffer.commit()
        finally:
            await buffer.close()
    return offline_s * RATE_PER_S


async def _replay(state: Path, folder: Path) -> tuple[float, float]:
    """Seconds, MiB at most. One reading more, of a recording that ends: then the slave ends once all is delivered."""
    recording = folder / "last.csv"
    recording.write_text("1.0\n", "utf-8")
    began_s = time.monotonic()
    process = await _slave("run", "--state-dir", str(state), "--sensor", f"replay:{recording},rate_hz={RATE_PER_S}")
    watched = psutil.Process(process.pid)
    rss_mib = 0.0
    try:
        async with asyncio.timeout(_REPLAY_MAX_S):
            while process.returncode is None:
                rss_mib = max(rss_mib, watched.memory_info().rss / MIB)
                await asyncio.wait({asyncio.ensure_future(process.wait())}, timeout=0.25)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError("vgroup slave run failed")
    return time.monotonic() - began_s, rss_mib
