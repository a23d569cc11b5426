"""The three phases, with the probe read all the while."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import psutil

from group_protocol.senml import Reading
from measure.bench.process import bench_master
from measure.bench.slave import JoinedSlave, joined_slave
from measure.errors import MeasurementError
from measure.idle import IdleCheck
from measure.machine import Machine
from measure.probes.port import Domain, EnergyProbe, Mark
from measure.quantities import Energy, Series, SeriesKey, series_of
from measure.results import Results, now_text
from measure.table2.operations import OURS, READING_NAME
from measure.table2.run import Progress

TRACE = "trace"


class Phase(StrEnum):
    """Section 5.1, below Table 2."""

    BEFORE = "idle before"
    LOOP = "messages"
    AFTER = "idle after"


@dataclass(frozen=True, slots=True)
class Figure8Settings:
    """The paper's values, where it gives any: 100 messages, 100 ms between them, the loop from the 12th second on.

    Attributes:
        sample_s: One reading of the probe so often.
    """

    messages: int = 100
    pause_s: float = 0.1
    before_s: float = 12.0
    after_s: float = 8.0
    sample_s: float = 0.1


@dataclass(slots=True)
class Trace:
    """What was read so far, and when each phase began and ended, in seconds since the start."""

    began_s: float = 0.0
    marks: list[Mark] = field(default_factory=list)
    busy_percent: list[float] = field(default_factory=list)
    phases: list[tuple[Phase, float, float]] = field(default_factory=list)
    sent: int = 0


def run_figure8(
    machine: Machine, checks: tuple[IdleCheck, ...], probe: EnergyProbe, missing: dict[str, str],
    settings: Figure8Settings, progress: Progress,
) -> Results:  # fmt: skip
    """Measure. A stop (Ctrl-C) ends it early, and what was read until then is in the results."""
    results = Results("figure8", machine, asdict(settings), checks, probe.card, missing, at=now_text())
    trace = Trace()
    try:
        asyncio.run(_play(probe, settings, trace, progress))
    except KeyboardInterrupt:
        results.is_partial = True
    except MeasurementError as exc:
        results.is_partial = True
        results.extra["failure"] = str(exc)
    results.series, results.extra[TRACE] = to_trace(trace, probe)
    return results


def to_trace(trace: Trace, probe: EnergyProbe) -> tuple[list[Series], dict[str, Any]]:
    """Power in W by domain for each step between two marks, and the moments that belong to them."""
    energies: dict[Domain, list[Energy]] = {}
    times_s: list[float] = []
    busy_percent: list[float] = []
    lost: list[str] = []
    for index, (begin, end) in enumerate(zip(trace.marks, trace.marks[1:], strict=False)):
        elapsed_s = end.monotonic_s - begin.monotonic_s
        try:
            spent = probe.energy(begin, end)
        except MeasurementError as exc:
            lost.append(str(exc))
            continue
        for domain, energy in spent.items():
            energies.setdefault(domain, []).append(type(energy)(energy.joules / elapsed_s))
        times_s.append((begin.monotonic_s + end.monotonic_s) / 2 - trace.began_s)
        busy_percent.append(trace.busy_percent[index + 1])
    by = f"{probe.card.name}: {probe.card.detail}"
    series = [
        series_of(SeriesKey(OURS, "figure 8", f"power, {domain}", "W"), powers, 1.0, by)
        for domain, powers in energies.items()
    ]
    return series, {
        "times_s": times_s,
        "busy_percent": busy_percent,
        "phases": [[phase.value, begin_s, end_s] for phase, begin_s, end_s in trace.phases],
        "sent": trace.sent,
        "lost": lost,
    }


async def _play(probe: EnergyProbe, settings: Figure8Settings, trace: Trace, progress: Progress) -> None:
    async with bench_master(1) as master:
        path = master.folder / "slave"
        async with joined_slave(path, master.pairings[0], master.port) as slave:
            trace.began_s = time.monotonic()
            sampler = asyncio.create_task(_sample(probe, settings.sample_s, trace))
            try:
                await _phases(slave, settings, trace, progress)
            finally:
                sampler.cancel()
                await asyncio.gather(sampler, return_exceptions=True)


async def _phases(slave: JoinedSlave, settings: Figure8Settings, trace: Trace, progress: Progress) -> None:
    for phase in Phase:
        began_s = time.monotonic() - trace.began_s
        try:
            if phase is Phase.LOOP:
                await _send(slave, settings, trace, progress(range(settings.messages), phase.value))
            else:
                await _rest(settings.before_s if phase is Phase.BEFORE else settings.after_s, phase, progress)
        finally:
            trace.phases.append((phase, began_s, time.monotonic() - trace.began_s))


async def _send(slave: JoinedSlave, settings: Figure8Settings, trace: Trace, numbers: Iterable[int]) -> None:
    for _ in numbers:
        await slave.send(slave.device.prepare_signed_data(Reading(READING_NAME, time.time(), 512.0)))
        trace.sent += 1
        await asyncio.sleep(settings.pause_s)


async def _rest(seconds: float, phase: Phase, progress: Progress) -> None:
    steps: Sequence[int] = range(max(1, round(seconds)))
    for _ in progress(steps, phase.value):
        await asyncio.sleep(seconds / len(steps))


async def _sample(probe: EnergyProbe, sample_s: float, trace: Trace) -> None:
    """A reading every ``sample_s``, on a grid, so that a late one does not shift the others."""
    psutil.cpu_percent()
    step = 0
    while True:
        trace.marks.append(probe.mark())
        trace.busy_percent.append(psutil.cpu_percent())
        step += 1
        await asyncio.sleep(max(0.0, trace.began_s + step * sample_s - time.monotonic()))
