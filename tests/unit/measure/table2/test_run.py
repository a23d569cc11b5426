from collections.abc import Iterable, Iterator

import pytest

from group_protocol.crypto.aead import Aead
from measure.errors import MeasurementError
from measure.probes.port import Domain, Mark, ProbeCard
from measure.quantities import Energy, MeasuredEnergy, MeasuredSeries, ModelledEnergy, ModelledSeries
from measure.table2.operations import OURS, THEIRS, Pair, make_pairs
from measure.table2.run import Table2Run, Table2Settings, idle_power_w, measure, to_series
from tests.support.seeded import SeededRandom

SETTINGS = Table2Settings(experiments=6, warm_up=1, window_s=0.001, idle_windows=3)


def silent(numbers: Iterable[int], what: str) -> Iterator[int]:
    del what
    yield from numbers


def pair(calls: list[str]) -> Pair:
    def ours() -> bytes:
        calls.append(OURS)
        return b"ours"

    def theirs() -> bytes:
        calls.append(THEIRS)
        return b"theirs"

    return Pair("something", ours, theirs)


class SteadyProbe:
    """5 W whenever it is asked; each mark is one second after the last."""

    def __init__(self, *, is_modelled: bool = False, gap_at: int | None = None) -> None:
        self.card = ProbeCard("steady", is_modelled, "", (Domain.PACKAGE,), shortest_window_s=0.001)
        self.now_s = 0.0
        self.gap_at = gap_at
        self.asked = 0

    def mark(self) -> Mark:
        self.now_s += 1.0
        return Mark(self.now_s, self.now_s)

    def energy(self, begin: Mark, end: Mark) -> dict[Domain, Energy]:
        self.asked += 1
        if self.asked == self.gap_at:
            raise MeasurementError("a gap")
        joules = 5.0 * (end.monotonic_s - begin.monotonic_s)
        return {Domain.PACKAGE: ModelledEnergy(joules) if self.card.is_modelled else MeasuredEnergy(joules)}

    def close(self) -> None:
        pass


def test_every_experiment_takes_each_system_once_and_the_first_alternates() -> None:
    calls: list[str] = []
    run = Table2Run()
    measure([pair(calls)], None, Table2Settings(experiments=4, warm_up=0), run, silent)
    assert {name: len(times) for name, times in run.times_ms.items()} == {
        (OURS, "something"): 4,
        (THEIRS, "something"): 4,
    }
    assert run.experiments == 4
    firsts = [calls[-16:][at] for at in range(0, 16, 4)]
    assert firsts == [THEIRS, OURS, THEIRS, OURS]


def test_power_equal_to_idle_power_leaves_nothing_above_it() -> None:
    run, probe = Table2Run(), SteadyProbe()
    measure([pair([])], probe, SETTINGS, run, silent)
    assert idle_power_w(run, probe) == (5.0, 0.0)
    powers = [series for series in to_series(run, probe) if series.key.quantity == "power"]
    assert len(powers) == 2
    assert all(isinstance(series, MeasuredSeries) and set(series.values) == {0.0} for series in powers)


def test_models_energy_is_not_lowered_by_an_idle_power() -> None:
    run, probe = Table2Run(), SteadyProbe(is_modelled=True)
    measure([pair([])], probe, SETTINGS, run, silent)
    powers = [series for series in to_series(run, probe) if series.key.quantity == "power"]
    assert all(isinstance(series, ModelledSeries) and set(series.values) == {5_000.0} for series in powers)


def test_window_in_a_gap_is_lost_alone_and_said_to_be() -> None:
    run = Table2Run()
    probe = SteadyProbe(gap_at=len(range(2 * SETTINGS.idle_windows)) + 2)
    measure([pair([])], probe, SETTINGS, run, silent)
    series = [one for one in to_series(run, probe) if one.key.quantity == "power"]
    lost = [one.lost for one in series if isinstance(one, MeasuredSeries)]
    assert sorted(map(len, lost)) == [0, 1]
    assert sum(len(one.values) for one in series) == 2 * SETTINGS.experiments - 1


def test_stop_keeps_what_was_measured_until_then() -> None:
    def stopped(numbers: Iterable[int], what: str) -> Iterator[int]:
        for number in numbers:
            if what == "experiments" and number == 3:
                raise KeyboardInterrupt
            yield number

    run, probe = Table2Run(), SteadyProbe()
    with pytest.raises(KeyboardInterrupt):
        measure([pair([])], probe, SETTINGS, run, stopped)
    assert run.experiments == 3
    assert {len(series.values) for series in to_series(run, probe)} == {3}


def test_run_without_an_idle_window_says_nothing_above_idle() -> None:
    with pytest.raises(MeasurementError, match="no idle window"):
        idle_power_w(Table2Run(), SteadyProbe())


def test_operations_of_both_systems_prepare_fresh_messages() -> None:
    for one in make_pairs(SeededRandom(1), Aead.A256GCM):
        assert one.ours() != one.ours()
        assert one.theirs()
