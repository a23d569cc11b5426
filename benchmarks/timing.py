"""CPU time of calls, taken in turns: whatever slows the machine for a while slows both sides of a ratio."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Final

REFERENCE: Final = "reference: sign"
"""The measurement that normalises: one ``sign_recoverable`` of coincurve over 32 bytes."""
REFERENCE_S: Final = 26e-6
"""What it takes on the machine for which the project's absolute targets are written (2-core AMD EPYC, Python 3.11)."""

Samples = dict[str, list[float]]
"""CPU seconds of one call, one value for each round, by measurement."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing to measure.

    Attributes:
        run: Does it so many times, and answers the CPU seconds of each of its parts for one time.
        loops: How many times in a round.
    """

    run: Callable[[int], Mapping[str, float]]
    loops: int


def probe_call(name: str, call: Callable[[], object], loops: int) -> Probe:
    """A probe of one plain function.

    CPU time of the whole process, all threads: waiting for a core that another process holds does not count.
    """

    def run(times: int) -> Mapping[str, float]:
        began_s = time.process_time()
        for _ in range(times):
            call()
        return {name: (time.process_time() - began_s) / times}

    return Probe(run, loops)


def measure(probes: Sequence[Probe], rounds: int) -> Samples:
    """Run all probes in turns, in another order each round. One round before, of a tenth, is thrown away."""
    samples: Samples = {}
    for probe in probes:
        probe.run(max(1, probe.loops // 10))
    for turn in range(rounds):
        start = turn % len(probes)
        for probe in (*probes[start:], *probes[:start]):
            for name, seconds in probe.run(probe.loops).items():
                samples.setdefault(name, []).append(seconds)
    return samples


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the quarter points around it."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles."""
    if len(values) < 2:
        return Spread(values[0], values[0], values[0])
    low, _, high = quantiles(values, n=4, method="inclusive")
    return Spread(median(values), low, high)


def ratio(samples: Samples, numerator: str, denominator: str) -> Spread:
    """How many times as long: the quotient of each round, since only values of one round saw the same machine."""
    pairs = zip(samples[numerator], samples[denominator], strict=True)
    return spread([above / below for above, below in pairs])


def normalised(samples: Samples, name: str) -> Spread:
    """Seconds as on the machine of the targets: scaled, round by round, by what the reference took here."""
    quotient = ratio(samples, name, REFERENCE)
    return Spread(quotient.median * REFERENCE_S, quotient.low * REFERENCE_S, quotient.high * REFERENCE_S)
