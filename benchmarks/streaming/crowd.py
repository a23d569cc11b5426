"""Many slaves that are connected all day: how long a reading takes to its ACK, and what the master's memory does."""

import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

from benchmarks.streaming.gathered_records import percentile_ms
from benchmarks.streaming.generator import Plan
from benchmarks.streaming.processes import cpu_of, load_process, shipped_master

SETTLE_S = 10
"""Before anything is counted: streams open, caches fill."""
BATCH_READINGS = 3
"""The slaves' ``batch_readings`` here: so many readings share a record, and the first waits for the last."""
CONNECTIONS_MAX = 4_000
"""All slaves come from one address here, so the bound for one address is the one for all."""


@dataclass(frozen=True, slots=True)
class CrowdRun:
    """What one run showed. Milliseconds from a reading to its ACK, on the device; MiB resident, all of the master's.

    Attributes:
        p99_ms_by_minute: Each minute's own, the last one's too where it is begun: a machine or a disk that stood still
            for a moment shows as one minute, a master that cannot keep up as all of them.
        growth_mib: Mean of the last tenth of the second half, less the mean of its first tenth.
    """

    slaves: int
    readings_per_s_each: float
    batch_readings: int
    seconds: float
    readings_per_s: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    p99_ms_by_minute: list[float]
    rss_mib_max: float
    growth_mib: float
    master_cores: float
    device_cores: float
    verified_records: int
    rss_mib: list[float]

    def as_json(self) -> dict[str, object]:
        """For the results file."""
        return asdict(self)


async def run_crowd(
    slaves: int, rate_per_s: float, for_s: int, parent: Path | None, *, settle_s: int = SETTLE_S
) -> CrowdRun:
    """So many slaves, each sending one reading a time, on a fresh master."""
    settings = {"connections_per_address_max": CONNECTIONS_MAX, "handshakes_per_address_per_s": 400.0}
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        async with shipped_master(Path(folder), settings) as master:
            codes = await master.make_codes(slaves)
            plan = Plan(master.port, master.address, codes, 256, BATCH_READINGS, rate_per_s=rate_per_s)
            async with load_process(plan) as load:
                await load.wait_for_joins()
                await load.go()
                began = await load.next_sample()
                while began["streaming"] < slaves:
                    began = await load.next_sample()
                for _ in range(settle_s):
                    began = await load.next_sample()
                cpu_began_s = cpu_of(master.processes)
                minutes: list[Counter[int]] = []
                rss_mib: list[float] = []
                ended = began
                for second in range(for_s):
                    ended = await load.next_sample()
                    if second % 60 == 0:
                        minutes.append(Counter())
                    minutes[-1].update({int(at): count for at, count in ended["latencies_ms"].items()})
                    rss_mib.append(round(master.rss_mib(), 1))
                master_cpu_s = cpu_of(master.processes) - cpu_began_s
                await load.stop()
            report = await master.ask("records.verify")
    latencies: Counter[int] = sum(minutes, Counter())
    seconds = ended["at_s"] - began["at_s"]
    second_half = rss_mib[len(rss_mib) // 2 :]
    tenth = max(1, len(second_half) // 10)
    return CrowdRun(
        slaves=slaves,
        readings_per_s_each=rate_per_s,
        batch_readings=BATCH_READINGS,
        seconds=seconds,
        readings_per_s=(ended["acknowledged"] - began["acknowledged"]) / seconds,
        p50_ms=percentile_ms(latencies, 0.5),
        p99_ms=percentile_ms(latencies, 0.99),
        p999_ms=percentile_ms(latencies, 0.999),
        p99_ms_by_minute=[percentile_ms(minute, 0.99) for minute in minutes],
        rss_mib_max=max(rss_mib),
        growth_mib=mean(second_half[-tenth:]) - mean(second_half[:tenth]),
        master_cores=master_cpu_s / seconds,
        device_cores=(ended["cpu_s"] - began["cpu_s"]) / seconds,
        verified_records=report["good"],
        rss_mib=rss_mib,
    )
