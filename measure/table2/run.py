"""The experiments of Table 2: ours and the paper's side by side, so that what disturbs one disturbs the other."""

import gc
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from measure.errors import MeasurementError
from measure.probes.port import EnergyProbe, Mark
from measure.quantities import (
    Energy,
    MeasuredEnergy,
    MeasuredSeries,
    ModelledEnergy,
    Series,
    SeriesKey,
    series_of,
)
from measure.statistics import mean_with_uncertainty
from measure.table2.operations import OURS, THEIRS, Pair

TIMER: Final = "time.perf_counter_ns"
_MS_PER_NS: Final = 1e-6
_MW_PER_W: Final = 1e3
_UJ_PER_J: Final = 1e6
_CALIBRATION_CALLS: Final = 20
SYSTEMS: Final = (OURS, THEIRS)


@dataclass(frozen=True, slots=True)
class Table2Settings:
    """How much to measure.

    Attributes:
        experiments: Repetitions; the paper has 100.
        warm_up: Calls of each operation before the first, not counted.
        window_s: How long an operation is repeated for one figure of energy; a probe may need longer.
        idle_windows: Windows of doing nothing, for the idle power, before the first experiment and after the last each.
    """

    experiments: int = 100
    warm_up: int = 200
    window_s: float = 0.05
    idle_windows: int = 20


@dataclass(slots=True)
class _Window:
    begin: Mark
    end: Mark
    calls: int


@dataclass(slots=True)
class Table2Run:
    """What is measured so far: everything is here the moment it is taken, so that a stop loses nothing."""

    times_ms: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    windows: dict[tuple[str, str], list[_Window]] = field(default_factory=dict)
    idle: list[_Window] = field(default_factory=list)

    @property
    def experiments(self) -> int:
        """How many experiments are complete."""
        return min((len(times) for times in self.times_ms.values()), default=0)


Progress = Callable[[Iterable[int], str], Iterable[int]]
"""Passes numbers on and shows how far they are."""


def measure(
    pairs: Sequence[Pair], probe: EnergyProbe | None, settings: Table2Settings, run: Table2Run, progress: Progress
) -> None:
    """Fill ``run``. May be stopped at any time by KeyboardInterrupt: what was taken stays in it."""
    window_s = max(settings.window_s, probe.card.shortest_window_s) if probe else 0.0
    for pair in pairs:
        for system in SYSTEMS:
            _repeat(pair.of(system), settings.warm_up)
    _rest(probe, run, window_s, progress(range(settings.idle_windows), "idle before"))
    calls = {(pair.operation, system): _calls_in(pair.of(system), window_s) for pair in pairs for system in SYSTEMS}
    for number in progress(range(settings.experiments), "experiments"):
        # Who comes first alternates, so that neither always finds the caches as the other leaves them.
        systems = SYSTEMS if number % 2 else SYSTEMS[::-1]
        for pair in pairs:
            for system in systems:
                _time_once(run, (system, pair.operation), pair.of(system))
        if probe is not None:
            for pair in pairs:
                for system in systems:
                    window = _window(probe, pair.of(system), calls[pair.operation, system])
                    run.windows.setdefault((system, pair.operation), []).append(window)
    _rest(probe, run, window_s, progress(range(settings.idle_windows), "idle after"))


def to_series(run: Table2Run, probe: EnergyProbe | None) -> list[Series]:
    """Times, and with a probe powers and energies above idle, of everything measured so far."""
    series: list[Series] = []
    for (system, operation), times in run.times_ms.items():
        series.append(MeasuredSeries(SeriesKey(system, operation, "time", "ms"), tuple(times), TIMER))
    if probe is not None:
        idle_w, idle_u_w = _idle_power(run, probe)
        for (system, operation), windows in run.windows.items():
            series += _energy_series(probe, system, operation, windows, idle_w, idle_u_w)
    return series


def idle_power_w(run: Table2Run, probe: EnergyProbe) -> tuple[float, float]:
    """Mean power of the idle windows and its standard uncertainty; a model knows of no idle power."""
    return _idle_power(run, probe)


def _repeat(operation: Callable[[], bytes], calls: int) -> None:
    for _ in range(calls):
        operation()


def _time_once(run: Table2Run, name: tuple[str, str], operation: Callable[[], bytes]) -> None:
    """One call, as the paper times one request. Garbage is collected before, not during it."""
    operation()
    gc.disable()
    try:
        began_ns = time.perf_counter_ns()
        operation()
        ended_ns = time.perf_counter_ns()
    finally:
        gc.enable()
    run.times_ms.setdefault(name, []).append((ended_ns - began_ns) * _MS_PER_NS)


def _calls_in(operation: Callable[[], bytes], window_s: float) -> int:
    """How often the operation fits into a window."""
    began_s = time.perf_counter()
    _repeat(operation, _CALIBRATION_CALLS)
    each_s = (time.perf_counter() - began_s) / _CALIBRATION_CALLS
    return max(1, round(window_s / each_s))


def _window(probe: EnergyProbe, operation: Callable[[], bytes], calls: int) -> _Window:
    begin = probe.mark()
    _repeat(operation, calls)
    return _Window(begin, probe.mark(), calls)


def _rest(probe: EnergyProbe | None, run: Table2Run, window_s: float, numbers: Iterable[int]) -> None:
    if probe is None:
        return
    for _ in numbers:
        begin = probe.mark()
        time.sleep(window_s)
        run.idle.append(_Window(begin, probe.mark(), 0))


def _idle_power(run: Table2Run, probe: EnergyProbe) -> tuple[float, float]:
    if probe.card.is_modelled:
        return 0.0, 0.0  # the model's coefficient is above idle by its definition
    powers = [
        energy.joules / (window.end.monotonic_s - window.begin.monotonic_s)
        for window in run.idle
        if isinstance(energy := _energy_of(probe, window), MeasuredEnergy | ModelledEnergy)
    ]
    if not powers:
        raise MeasurementError("no idle window could be measured, so nothing can be said above idle")
    return mean_with_uncertainty(powers)


def _energy_of(probe: EnergyProbe, window: _Window) -> Energy | str:
    """The window's energy, or why it cannot be told."""
    try:
        return probe.energy(window.begin, window.end)[probe.card.main_domain]
    except MeasurementError as exc:
        return str(exc)


def _energy_series(
    probe: EnergyProbe, system: str, operation: str, windows: Sequence[_Window], idle_w: float, idle_u_w: float
) -> list[Series]:
    """Power above idle in mW while the operation is repeated, and energy above idle of one operation in µJ."""
    powers: list[Energy] = []
    energies: list[Energy] = []
    lost: list[str] = []
    each_s: list[float] = []
    for window in windows:
        energy = _energy_of(probe, window)
        if isinstance(energy, str):
            lost.append(energy)
            continue
        elapsed_s = window.end.monotonic_s - window.begin.monotonic_s
        above = _above_idle(energy, idle_w * elapsed_s)
        powers.append(type(above)(above.joules / elapsed_s))
        energies.append(type(above)(above.joules / window.calls))
        each_s.append(elapsed_s / window.calls)
    if not powers:
        return []
    by = f"{probe.card.name}, {probe.card.main_domain}: {probe.card.detail}"
    made = [
        (series_of(SeriesKey(system, operation, "power", "mW"), powers, _MW_PER_W, by), idle_u_w * _MW_PER_W),
        (
            series_of(SeriesKey(system, operation, "energy", "µJ"), energies, _UJ_PER_J, by),
            idle_u_w * sum(each_s) / len(each_s) * _UJ_PER_J,
        ),
    ]
    return [_with_uncertainty(series, shared, tuple(lost)) for series, shared in made]


def _above_idle(energy: Energy, idle_j: float) -> Energy:
    if isinstance(energy, ModelledEnergy):
        return energy
    return energy.less(MeasuredEnergy(idle_j))


def _with_uncertainty(series: Series, shared: float, lost: tuple[str, ...]) -> Series:
    if isinstance(series, MeasuredSeries):
        return MeasuredSeries(series.key, series.values, series.by, shared, lost)
    return series
