"""The judgement about times that were measured; measuring is ``make bench``."""

import random

import pytest

from benchmarks.leaks import Question, judge, measure_leaks, welch_t

QUESTION = Question("one", "other", "nothing")


def times(seed: int, mean_us: float, count: int = 500) -> list[float]:
    """Times with the long tail that a machine gives them."""
    drawn = random.Random(seed)
    return [mean_us + drawn.gauss(0, 10) + (drawn.random() > 0.95) * drawn.expovariate(1 / 2_000) for _ in range(count)]


def test_welch_t_is_that_of_a_worked_example() -> None:
    # Means 3 and 6, variances 2.5 and 10, five of each: 3 / sqrt(0.5 + 2).
    assert welch_t([2, 4, 6, 8, 10], [1, 2, 3, 4, 5]) == pytest.approx(3 / 2.5**0.5)


def test_two_classes_of_one_distribution_are_not_told_apart() -> None:
    found = judge(QUESTION, times(1, 500), times(2, 500))
    assert not found.is_told_apart
    assert found.samples_needed is None


def test_difference_below_the_spread_is_told_apart_whatever_the_slowest_do() -> None:
    found = judge(QUESTION, times(1, 505), times(2, 500))
    assert found.is_told_apart
    assert found.t > 0
    assert 0 < (found.samples_needed or 0) <= found.samples


@pytest.mark.network
async def test_every_question_is_about_requests_that_are_refused() -> None:
    findings = await measure_leaks(3, lambda _line: None)
    assert len({found.question for found in findings}) == 6
    assert all(found.first_us > 0 and found.second_us > 0 for found in findings)
