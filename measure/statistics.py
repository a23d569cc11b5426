"""Mean, spread, quantiles, confidence intervals and outliers of samples. Every random step is seeded.

Samples of one run follow each other in time and drift together (frequency, other processes), so the bootstrap draws
blocks of neighbours, not single samples: with single ones the intervals would be too narrow.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import hypot
from typing import Final

import numpy as np
from numpy.typing import NDArray

from measure.errors import MeasurementError

RESAMPLES: Final = 4_000
CONFIDENCE: Final = 0.95
_FENCE: Final = 3.0
"""Tukey's outer fences: further than so many interquartile ranges from the quartiles is an outlier."""
Floats = NDArray[np.float64]
_Statistic = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval of 95 %."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether the value lies in it."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Summary:
    """A series in some numbers. Outliers are counted in everything; they are named, not dropped.

    Attributes:
        sd: Sample standard deviation (n − 1), as the paper's SD; 0 for one sample.
        of_mean: Confidence interval of the mean, shared uncertainty included.
        outliers: Positions beyond Tukey's outer fences.
    """

    count: int
    mean: float
    sd: float
    median: float
    p95: float
    p99: float
    lowest: float
    highest: float
    of_mean: Interval
    outliers: tuple[int, ...]


def summarise(values: Sequence[float], *, seed: int = 1, shared_uncertainty: float = 0.0) -> Summary:
    """All numbers of a series.

    Args:
        values: At least one, in the order in which they were taken.
        seed: Of the bootstrap.
        shared_uncertainty: One standard uncertainty that all samples share; it widens the interval.

    Raises:
        MeasurementError: There is no sample.
    """
    samples = _as_array(values)
    quartiles = np.quantile(samples, [0.25, 0.5, 0.75, 0.95, 0.99])
    return Summary(
        count=len(samples),
        mean=float(samples.mean()),
        sd=float(samples.std(ddof=1)) if len(samples) > 1 else 0.0,
        median=float(quartiles[1]),
        p95=float(quartiles[3]),
        p99=float(quartiles[4]),
        lowest=float(samples.min()),
        highest=float(samples.max()),
        of_mean=_widen(_bootstrap(samples, seed, _means), float(samples.mean()), shared_uncertainty),
        outliers=_outliers(samples, float(quartiles[0]), float(quartiles[2])),
    )


@dataclass(frozen=True, slots=True)
class Ratio:
    """One series over another.

    Attributes:
        value: Ratio of the medians: an outlier moves it little.
        interval: Its confidence interval.
        is_paired: Whether sample i of one was taken beside sample i of the other.
    """

    value: float
    interval: Interval
    is_paired: bool

    @property
    def is_real(self) -> bool:
        """Whether the two differ at all, with 95 % confidence."""
        return not self.interval.holds(1.0)


def paired_ratio(ours: Sequence[float], theirs: Sequence[float], *, seed: int = 1) -> Ratio:
    """Ours over theirs, sample by sample as they were taken: what disturbs both at once falls out.

    Raises:
        MeasurementError: The series are not equally long, or empty, or not above zero.
    """
    first, second = _as_array(ours), _as_array(theirs)
    if len(first) != len(second):
        raise MeasurementError("paired series have to be equally long")
    picked = _block_positions(len(first), seed)
    drawn = np.median(first[picked], axis=1) / _above_zero(np.median(second[picked], axis=1))
    value = float(np.median(first) / _above_zero(np.asarray(np.median(second))))
    return Ratio(value, _quantile_interval(drawn), is_paired=True)


def unpaired_ratio(first: Sequence[float], second: Sequence[float], *, seed: int = 1) -> Ratio:
    """One run over another, each resampled for itself. Raises MeasurementError as above."""
    above, below = _as_array(first), _as_array(second)
    medians = (
        np.median(values[_block_positions(len(values), seed + at)], axis=1) for at, values in enumerate((above, below))
    )
    drawn_above, drawn_below = medians
    value = float(np.median(above) / _above_zero(np.asarray(np.median(below))))
    return Ratio(value, _quantile_interval(drawn_above / _above_zero(drawn_below)), is_paired=False)


def mean_with_uncertainty(values: Sequence[float], seed: int = 1) -> tuple[float, float]:
    """The mean and its standard uncertainty, by block bootstrap. Raises MeasurementError without a sample."""
    samples = _as_array(values)
    if len(samples) < 2:
        return float(samples.mean()), 0.0
    return float(samples.mean()), float(_means(samples[_block_positions(len(samples), seed)]).std(ddof=1))


def _means(drawn: Floats) -> Floats:
    means: Floats = drawn.mean(axis=1)
    return means


def _bootstrap(samples: Floats, seed: int, statistic: _Statistic) -> Interval:
    if len(samples) < 2:
        return Interval(float(samples[0]), float(samples[0]))
    return _quantile_interval(statistic(samples[_block_positions(len(samples), seed)]))


def _block_positions(count: int, seed: int) -> NDArray[np.int64]:
    """RESAMPLES rows of ``count`` positions, in circular blocks of about the cube root of ``count``."""
    length = max(1, round(count ** (1 / 3)))
    blocks = -(-count // length)
    starts = np.random.default_rng(seed).integers(0, count, size=(RESAMPLES, blocks))
    positions = (starts[:, :, np.newaxis] + np.arange(length)) % count
    drawn: NDArray[np.int64] = positions.reshape(RESAMPLES, blocks * length)[:, :count]
    return drawn


def _quantile_interval(drawn: Floats) -> Interval:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(float(low), float(high))


def _widen(interval: Interval, middle: float, shared_uncertainty: float) -> Interval:
    shared = 1.96 * shared_uncertainty
    return Interval(middle - hypot(middle - interval.low, shared), middle + hypot(interval.high - middle, shared))


def _outliers(samples: Floats, lower: float, upper: float) -> tuple[int, ...]:
    reach = _FENCE * (upper - lower)
    return tuple(int(at) for at in np.flatnonzero((samples < lower - reach) | (samples > upper + reach)))


def _as_array(values: Sequence[float]) -> Floats:
    if not values:
        raise MeasurementError("there is no sample")
    return np.asarray(values, dtype=np.float64)


def _above_zero(values: Floats) -> Floats:
    if np.any(values <= 0):
        raise MeasurementError("a ratio to something that is not above zero says nothing")
    return values
