import pytest

from measure.figure8.plots import draw_figure8
from measure.figure8.run import TRACE, Phase, Trace, to_trace
from measure.figure8.tables import all_tables
from measure.probes.port import Domain, Mark
from measure.quantities import MeasuredSeries, SeriesKey
from measure.report.plots import to_image
from measure.results import Results
from tests.unit.measure.results_of import MODEL, RAPL, modelled, results_with
from tests.unit.measure.table2.test_run import SteadyProbe

STEPS = 30


def extra() -> dict[str, object]:
    return {
        "times_s": [step + 0.5 for step in range(STEPS)],
        "busy_percent": [5.0] * STEPS,
        "phases": [[Phase.BEFORE.value, 0.0, 10.0], [Phase.LOOP.value, 10.0, 20.0], [Phase.AFTER.value, 20.0, 30.0]],
        "sent": 100,
        "lost": [],
    }


def powers() -> tuple[float, ...]:
    return tuple(3.0 if 10 <= step < 20 else 2.0 for step in range(STEPS))


def measured() -> Results:
    series = MeasuredSeries(SeriesKey("ours", "figure 8", "power, CPU package", "W"), powers(), "RAPL")
    results = results_with(series, probe=RAPL, experiment="figure8")
    results.extra[TRACE] = extra()
    return results


def estimated() -> Results:
    results = results_with(
        modelled("ours", "figure 8", "power, this process", "W", *powers()), probe=MODEL, experiment="figure8"
    )
    results.extra[TRACE] = extra()
    return results


def test_energy_of_a_message_is_what_the_loop_adds_to_both_idle_phases() -> None:
    rows = {row[1]: row for row in all_tables(measured())[0].rows}
    assert rows["messages"][2:] == ("10.0", "3.00", "0", "3.00", "100 ± 0")
    assert rows["idle before"][3] == "2.00"


def test_modelled_trace_is_marked_in_table_and_plot() -> None:
    table = all_tables(estimated())[0]
    assert all("modelled" in cell for row in table.rows for cell in row[3:6])
    assert any("not measured" in note for note in table.notes)
    assert to_image(draw_figure8([estimated()]), "svg") != to_image(draw_figure8([measured()]), "svg")


def test_machine_without_dram_says_so() -> None:
    assert any(note.startswith("DRAM: no source") for note in all_tables(measured())[0].notes)


def test_machines_are_laid_over_each_other() -> None:
    assert to_image(draw_figure8([measured(), estimated()]), "png").startswith(b"\x89PNG")


def test_reading_that_fails_leaves_a_hole_and_the_others_in_their_places() -> None:
    trace = Trace(
        began_s=0.0, marks=[Mark(float(at), float(at)) for at in range(5)], busy_percent=[0.0, 1.0, 2.0, 3.0, 4.0]
    )
    series, told = to_trace(trace, SteadyProbe(gap_at=2))
    assert told["times_s"] == [0.5, 2.5, 3.5]
    assert told["busy_percent"] == [1.0, 3.0, 4.0]
    assert told["lost"] == ["a gap"]
    assert series[0].values == pytest.approx((5.0, 5.0, 5.0))
    assert series[0].key.quantity == f"power, {Domain.PACKAGE}"


def test_run_that_was_stopped_before_its_first_reading_is_shown_empty() -> None:
    series, told = to_trace(Trace(), SteadyProbe())
    results = results_with(*series, experiment="figure8")
    results.extra[TRACE] = told
    assert all_tables(results)[0].rows == ()
    assert to_image(draw_figure8([results]), "png").startswith(b"\x89PNG")
