"""Runs the probes in fresh processes and holds the medians against the targets."""

import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import Final

from benchmarks import http_joins, joins, preparing
from benchmarks.timing import REFERENCE, Probe, Samples, Spread, measure, normalised, ratio
from group_protocol.suites import Suite

GROUPS: Final[Mapping[str, Callable[[], list[Probe]]]] = {
    "association": preparing.association_probes,
    "record": preparing.record_probes,
    "payload": preparing.senml_probes,
    "join": joins.join_probes,
    "join over HTTP": http_joins.http_join_probes,
}
ROUNDS: Final = {"association": 15, "record": 15, "payload": 10, "join": 6, "join over HTTP": 4}
PROCESSES: Final = 3
"""Fresh processes for each group: where memory and hash seed fall differs from one to the next."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        what: What was measured.
        median: In ``unit``; ``low`` and ``high`` are its quartiles.
        unit: ``×``, ``µs``, ``ms``, ``bytes`` or ``connections``.
        target: The most it may be, or None where it stands for comparison.
    """

    what: str
    median: float
    low: float
    high: float
    unit: str
    target: float | None = None

    @property
    def verdict(self) -> str:
        """``met``, ``MISSED`` or nothing."""
        if self.target is None:
            return ""
        return "met" if self.median <= self.target else "MISSED"

    def as_json(self) -> dict[str, object]:
        """For the results file."""
        return asdict(self) | {"verdict": self.verdict}


def measure_group(name: str, rounds: int) -> Samples:
    """One group in this process."""
    return measure(GROUPS[name](), rounds)


def measure_all(*, rounds_divisor: int = 1, report: Callable[[str], None]) -> dict[str, Samples]:
    """Every group, each in ``PROCESSES`` new processes, one after the other."""
    collected: dict[str, Samples] = {}
    for name in GROUPS:
        samples = collected.setdefault(name, {})
        for turn in range(PROCESSES):
            report(f"{name}, process {turn + 1} of {PROCESSES}")
            rounds = max(2, ROUNDS[name] // rounds_divisor)
            for measurement, values in _in_new_process(name, rounds).items():
                samples.setdefault(measurement, []).extend(values)
    return collected


def _in_new_process(name: str, rounds: int) -> Samples:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measure_group, name, rounds).result()


def tabulate(collected: Mapping[str, Samples]) -> list[Row]:
    """The table: targets first within each group, comparisons after them."""
    return [
        *_association_rows(collected["association"]),
        *_record_rows(collected["record"]),
        *_payload_rows(collected["payload"]),
        *_join_rows(collected["join"]),
        *_http_rows(collected["join over HTTP"]),
        *_byte_rows(),
    ]


def _row(what: str, measured: Spread, unit: str, target: float | None = None) -> Row:
    scale = {"µs": 1e6, "ms": 1e3}.get(unit, 1.0)
    return Row(what, measured.median * scale, measured.low * scale, measured.high * scale, unit, target)


def _association_rows(samples: Samples) -> list[Row]:
    ours, bare, paper = preparing.ASSOCIATION, preparing.ASSOCIATION_BARE, preparing.ASSOCIATION_PAPER
    return [
        _row(f"{ours} : its bare primitives", ratio(samples, ours, bare), "×", 1.6),
        _row(ours, normalised(samples, ours), "µs"),
        _row(paper, normalised(samples, paper), "µs"),
    ]


def _record_rows(samples: Samples) -> list[Row]:
    signed, bare = preparing.SIGNED, preparing.SIGNED_BARE
    checkpointed, from_reading = preparing.CHECKPOINTED, preparing.CHECKPOINTED_FROM_READING
    return [
        _row(f"{signed} : its bare primitives", ratio(samples, signed, bare), "×", 1.6),
        _row(checkpointed, normalised(samples, checkpointed), "µs", 12),
        _row(from_reading, normalised(samples, from_reading), "µs", 12),
        *(
            _row(name, normalised(samples, name), "µs")
            for name in (signed, preparing.SIGNED_FROM_READING, preparing.DATA_PAPER, preparing.DATA_PAPER_SIGNED)
        ),
    ]


def _payload_rows(samples: Samples) -> list[Row]:
    return [_row(name, normalised(samples, name), "µs") for name in samples if name != REFERENCE]


def _join_rows(samples: Samples) -> list[Row]:
    rows = [_row(joins.both(Suite.H1), normalised(samples, joins.both(Suite.H1)), "ms", 2)]
    others = [joins.both(Suite.E1), joins.both(Suite.R1), joins.both(joins.PAPER)]
    sides = [joins.slave_side(Suite.H1), joins.slave_side(Suite.E1), joins.bare(Suite.H1), joins.bare(Suite.E1)]
    return rows + [_row(name, normalised(samples, name), "ms") for name in others + sides]


def _http_rows(samples: Samples) -> list[Row]:
    rows = [_row(http_joins.over_http(Suite.H1), normalised(samples, http_joins.over_http(Suite.H1)), "ms", 2)]
    named = {REFERENCE, http_joins.over_http(Suite.H1)}
    return rows + [_row(name, normalised(samples, name), "ms") for name in samples if name not in named]


def _byte_rows() -> list[Row]:
    rows = []
    for suite, target in ((Suite.H1, 5_500), (Suite.E1, 2_000), (Suite.R1, None)):
        bodies = sum(joins.body_bytes(suite))
        rows.append(Row(f"join {suite}, HTTP bodies", bodies, bodies, bodies, "bytes", target))
    for suite in (Suite.H1, Suite.E1):
        rows += _traffic_rows(f"join {suite}", http_joins.count_traffic(suite), 1)
    rows += _traffic_rows("join paper (captured: 6,189 over 3)", http_joins.count_paper_traffic(), None)
    return rows


def _traffic_rows(name: str, traffic: http_joins.Traffic, connections_max: int | None) -> list[Row]:
    http_bytes, connections = traffic.http_bytes, traffic.connections
    return [
        Row(f"{name}, HTTP heads and bodies", http_bytes, http_bytes, http_bytes, "bytes"),
        Row(f"{name}, TCP connections", connections, connections, connections, "connections", connections_max),
    ]
