"""Where the time goes: cProfile beside each measured call, as short texts."""

import cProfile
import io
import os
import pstats
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from benchmarks import preparing
from benchmarks.core_join import CoreMaster, CoreSlave
from benchmarks.fixtures import DEVICE_KEY
from benchmarks.http_joins import http_join_probe
from group_protocol.senml import Reading, encode_readings
from group_protocol.suites import Suite

LINES: Final = 18
FOLDER: Final = "profiles"


def _join(suite: Suite) -> Callable[[], object]:
    def join() -> None:
        master, slave = CoreMaster(), CoreSlave(suite, DEVICE_KEY)
        body = slave.first()
        while slave.path:
            body = slave.take(master.answer(slave.path, body))

    return join


def _payload() -> Callable[[], object]:
    readings = [Reading("ppg", 1_700_000_000.0 + at / 100, 0.5 + at / 1_000, "V") for at in range(100)]
    return lambda: encode_readings(readings)


def _join_over_http() -> Callable[[], object]:
    probe = http_join_probe(Suite.H1)
    return lambda: probe.run(25)


PROFILED: Final[Mapping[str, tuple[Callable[[], Callable[[], object]], int]]] = {
    "association_request": (preparing.association_call, 2_000),
    "signed_record": (preparing.signed_record_call, 2_000),
    "checkpointed_record_from_reading": (lambda: preparing.checkpointed_record_call(from_reading=True), 3_000),
    "payload_of_100_readings": (_payload, 200),
    "join_H1": (lambda: _join(Suite.H1), 150),
    "join_E1": (lambda: _join(Suite.E1), 150),
    "25_joins_H1_with_HTTP": (_join_over_http, 2),
}


def profile(call: Callable[[], object], times: int) -> str:
    """The functions in which most time is spent. Profiling makes Python code look slower beside C than it is."""
    profiler = cProfile.Profile()
    call()
    profiler.enable()
    for _ in range(times):
        call()
    profiler.disable()
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(LINES)
    lines = [line.rstrip() for line in text.getvalue().strip().splitlines()]
    return f"{times} times\n\n" + os.linesep.join(lines) + "\n"


def write_profiles(folder: Path) -> None:
    """One file each."""
    folder.mkdir(exist_ok=True)
    for name, (make_call, times) in PROFILED.items():
        (folder / f"{name}.txt").write_text(profile(make_call(), times), "utf-8")
