import pytest

from benchmarks.speed import Row
from benchmarks.table import format_value
from benchmarks.timing import REFERENCE, REFERENCE_S, Probe, measure, normalised, probe_call, ratio, spread


def test_ratio_is_taken_round_by_round() -> None:
    # The machine became three times slower in the last round, for both sides.
    samples = {"ours": [2.0, 2.0, 6.0], "bare": [1.0, 1.0, 3.0]}
    assert ratio(samples, "ours", "bare").median == 2.0
    assert ratio(samples, "ours", "bare").high == 2.0


def test_ratio_of_unequal_numbers_of_rounds_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio({"ours": [1.0, 2.0], "bare": [1.0]}, "ours", "bare")


def test_normalised_time_is_the_same_on_a_machine_half_as_fast() -> None:
    fast = {"ours": [10e-6, 10e-6], REFERENCE: [REFERENCE_S, REFERENCE_S]}
    slow = {name: [2 * value for value in values] for name, values in fast.items()}
    assert normalised(fast, "ours").median == pytest.approx(10e-6)
    assert normalised(slow, "ours").median == pytest.approx(10e-6)


def test_spread_names_median_and_quartiles() -> None:
    found = spread([5.0, 1.0, 3.0, 2.0, 4.0])
    assert (found.low, found.median, found.high) == (2.0, 3.0, 4.0)
    assert spread([7.0]).low == spread([7.0]).high == 7.0


def test_probes_take_turns_and_each_gives_a_value_a_round() -> None:
    order: list[str] = []

    def probe(name: str) -> Probe:
        def run(times: int) -> dict[str, float]:
            order.append(f"{name}{times}")
            return {name: 1.0}

        return Probe(run, 20)

    samples = measure([probe("a"), probe("b")], rounds=2)
    assert order == ["a2", "b2", "a20", "b20", "b20", "a20"]
    assert samples == {"a": [1.0, 1.0], "b": [1.0, 1.0]}


def test_call_is_made_as_often_as_asked() -> None:
    calls: list[int] = []
    values = probe_call("x", lambda: calls.append(1), 7).run(7)
    assert len(calls) == 7
    assert values.keys() == {"x"}


@pytest.mark.parametrize(("median", "target", "verdict"), [(1.0, 1.6, "met"), (1.7, 1.6, "MISSED"), (9.0, None, "")])
def test_verdict_holds_the_median_against_the_target(median: float, target: float | None, verdict: str) -> None:
    assert Row("x", median, median, median, "×", target).verdict == verdict


@pytest.mark.parametrize(
    ("value", "unit", "text"), [(4485, "bytes", "4,485"), (1.234, "×", "1.23"), (206.84, "µs", "206.8")]
)
def test_value_is_shown_with_the_digits_that_mean_something(value: float, unit: str, text: str) -> None:
    assert format_value(value, unit) == text
