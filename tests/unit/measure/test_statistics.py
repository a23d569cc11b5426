import random
from statistics import fmean, median, stdev

import pytest

from measure.errors import MeasurementError
from measure.statistics import mean_with_uncertainty, paired_ratio, summarise, unpaired_ratio


def noise(seed: int, count: int, middle: float, spread: float) -> list[float]:
    source = random.Random(seed)
    return [source.gauss(middle, spread) for _ in range(count)]


def test_summary_is_that_of_the_textbook() -> None:
    values = noise(1, 100, 5.0, 1.0)
    summary = summarise(values)
    assert summary.mean == pytest.approx(fmean(values))
    assert summary.sd == pytest.approx(stdev(values))
    assert summary.median == pytest.approx(median(values))
    assert summary.lowest <= summary.median <= summary.p95 <= summary.p99 <= summary.highest


def test_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    hits = sum(summarise(noise(seed, 60, 3.0, 0.5), seed=seed).of_mean.holds(3.0) for seed in range(80))
    assert 70 <= hits <= 80


def test_same_seed_gives_the_same_interval() -> None:
    values = noise(2, 50, 1.0, 0.1)
    assert summarise(values, seed=7) == summarise(values, seed=7)
    assert summarise(values, seed=7).of_mean != summarise(values, seed=8).of_mean


def test_outlier_is_named_and_still_counted() -> None:
    values = [*noise(3, 40, 1.0, 0.01), 50.0]
    summary = summarise(values)
    assert summary.outliers == (40,)
    assert summary.count == 41
    assert summary.highest == 50.0
    assert summary.mean == pytest.approx(fmean(values))


def test_shared_uncertainty_widens_the_interval_and_leaves_the_mean() -> None:
    values = noise(4, 400, 10.0, 0.1)
    alone, shared = summarise(values), summarise(values, shared_uncertainty=1.0)
    assert shared.mean == alone.mean
    assert shared.of_mean.high - shared.mean == pytest.approx(1.96, rel=0.01)


def test_drift_makes_the_interval_wider_than_independent_samples_would() -> None:
    drifting = [float(index // 10) for index in range(100)]
    shuffled = list(drifting)
    random.Random(5).shuffle(shuffled)
    assert mean_with_uncertainty(drifting)[1] > 1.5 * mean_with_uncertainty(shuffled)[1]


def test_one_sample_has_no_spread_and_none_is_refused() -> None:
    assert summarise([2.0]).sd == 0.0
    assert summarise([2.0]).of_mean.holds(2.0)
    with pytest.raises(MeasurementError, match="no sample"):
        summarise([])


def test_disturbance_of_both_sides_falls_out_of_a_paired_ratio() -> None:
    load = [1.0 + (index // 20) for index in range(100)]
    ours = [value * factor for value, factor in zip(noise(6, 100, 1.0, 0.01), load, strict=True)]
    theirs = [value * factor for value, factor in zip(noise(7, 100, 2.0, 0.02), load, strict=True)]
    paired, unpaired = paired_ratio(ours, theirs), unpaired_ratio(ours, theirs)
    assert paired.value == pytest.approx(0.5, rel=0.02)
    assert paired.is_real
    assert paired.interval.high - paired.interval.low < (unpaired.interval.high - unpaired.interval.low) / 2


def test_two_runs_of_the_same_are_seldom_called_different() -> None:
    called = sum(unpaired_ratio(noise(seed, 80, 1, 0.1), noise(seed + 99, 80, 1, 0.1)).is_real for seed in range(40))
    assert called <= 5


def test_difference_that_is_there_is_found() -> None:
    assert unpaired_ratio(noise(8, 100, 1.2, 0.1), noise(9, 100, 1.0, 0.1)).is_real


def test_ratio_of_series_that_are_no_pairs_or_not_above_zero_is_refused() -> None:
    with pytest.raises(MeasurementError, match="equally long"):
        paired_ratio([1.0], [1.0, 2.0])
    with pytest.raises(MeasurementError, match="above zero"):
        paired_ratio([1.0, 1.0], [0.0, 0.0])
