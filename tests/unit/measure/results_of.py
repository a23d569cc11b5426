"""Results made of fixed numbers, for tests of what shows them."""

from measure.idle import IdleCheck
from measure.machine import Machine
from measure.probes.port import Domain, ProbeCard
from measure.quantities import MeasuredSeries, ModelledSeries, Series, SeriesKey
from measure.results import Results

MACHINE = Machine(
    name="bench",
    model="Some CPU",
    architecture="x86_64",
    cores=2,
    memory_mb=1_000,
    kernel="6.1",
    system="Some Linux",
    governor="performance",
    is_virtual=False,
    python="3.12.0",
    version="0.1.0",
    packages={"numpy": "2.0"},
    commit="abc",
)
MODEL = ProbeCard("CPU-time model", is_modelled=True, detail="2 W per busy core (somebody)", domains=(Domain.PROCESS,),
                  shortest_window_s=0.01)  # fmt: skip
RAPL = ProbeCard("RAPL", is_modelled=False, detail="powercap", domains=(Domain.PACKAGE,), shortest_window_s=0.05)


def results_with(*series: Series, probe: ProbeCard | None = MODEL, experiment: str = "table2") -> Results:
    checks = (IdleCheck("Is nothing else running?", holds=True, answer="CPU 1 % busy"),)
    return Results(
        experiment, MACHINE, {"experiments": 3}, checks, probe, {"rapl": "no zones"}, list(series),
        at="2026-01-01T00:00:00+00:00", extra={"experiments": 3},
    )  # fmt: skip


def times(system: str, operation: str, *values: float) -> MeasuredSeries:
    return MeasuredSeries(SeriesKey(system, operation, "time", "ms"), values, "clock")


def modelled(system: str, operation: str, quantity: str, unit: str, *values: float) -> ModelledSeries:
    return ModelledSeries(SeriesKey(system, operation, quantity, unit), values, "model")
