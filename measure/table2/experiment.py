"""The whole experiment: what is measured, in which order, and what stays when it is stopped."""

import asyncio
from dataclasses import asdict
from typing import Any

from group_protocol.ports import Random
from measure.bench.process import bench_master
from measure.errors import MeasurementError
from measure.idle import IdleCheck
from measure.machine import Machine
from measure.probes.port import EnergyProbe
from measure.results import Results, now_text
from measure.table2.operations import make_pairs
from measure.table2.run import Progress, Table2Run, Table2Settings, idle_power_w, measure, to_series
from measure.table2.waiting import Waiting, measure_waiting
from slave_client.processor import preferred_aeads


def run_table2(
    machine: Machine, checks: tuple[IdleCheck, ...], probe: EnergyProbe | None, missing: dict[str, str],
    settings: Table2Settings, joins: int, random: Random, progress: Progress,
) -> Results:  # fmt: skip
    """Measure. A stop (Ctrl-C) ends it early, and the results say so; a failure of the network part too."""
    aead = preferred_aeads()[0]
    stated: dict[str, Any] = {**asdict(settings), "joins": joins, "aead": aead.value, "suite": "E1"}
    results = Results("table2", machine, stated, checks, probe.card if probe else None, missing, at=now_text())
    run, waiting = Table2Run(), Waiting()
    try:
        measure(make_pairs(random, aead), probe, settings, run, progress)
        if joins:
            asyncio.run(_wait_for_network(joins, waiting, progress))
            results.extra["joins"] = joins
    except KeyboardInterrupt:
        results.is_partial = True
    except MeasurementError as exc:
        results.is_partial = True
        results.extra["failure"] = str(exc)
    results.extra["experiments"] = run.experiments
    results.series = _all_series(run, waiting, probe, results)
    return results


def _all_series(run: Table2Run, waiting: Waiting, probe: EnergyProbe | None, results: Results) -> list[Any]:
    try:
        series = to_series(run, probe)
        if probe is not None and not probe.card.is_modelled:
            results.extra["idle_power_w"] = idle_power_w(run, probe)
    except MeasurementError as exc:
        series = to_series(run, None)
        results.extra["failure"] = str(exc)
    return series + waiting.to_series()


async def _wait_for_network(joins: int, waiting: Waiting, progress: Progress) -> None:
    async with bench_master(joins) as master:
        await measure_waiting(master, progress(range(joins), "joins"), waiting)
