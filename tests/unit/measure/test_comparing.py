import random
from pathlib import Path

import pytest

from group_protocol.errors import ConfigurationError
from measure.commands import require_experiment
from measure.comparing import compare, comparison_table
from measure.idle import Condition, check_idle
from measure.quantities import MeasuredSeries, SeriesKey
from measure.report.manifest import manifest_json, manifest_tables
from measure.report.page import Section, render_page
from measure.report.tables import to_markdown
from measure.table2.operations import OURS
from measure.table2.plots import draw_table2
from measure.table2.published import ASSOCIATION, DATA
from measure.table2.tables import all_tables
from tests.unit.measure.results_of import MACHINE, modelled, results_with, times
from tests.unit.measure.test_outputs import FULL

QUIET = Condition(1.0, 0.1, 800, 3_000.0, 3_000.0, None)


def around(middle: float, seed: int, count: int = 60) -> tuple[float, ...]:
    source = random.Random(seed)
    return tuple(source.gauss(middle, 0.02 * middle) for _ in range(count))


def verdict_of(*pairs: tuple[MeasuredSeries, MeasuredSeries]) -> list[str]:
    firsts, seconds = zip(*pairs, strict=True)
    return [one.verdict for one in compare(results_with(*firsts), results_with(*seconds))]


def test_difference_is_told_with_its_size_and_direction() -> None:
    slower = (times(OURS, DATA, *around(1.0, 1)), times(OURS, DATA, *around(1.5, 2)))
    faster = (times(OURS, ASSOCIATION, *around(1.0, 3)), times(OURS, ASSOCIATION, *around(0.5, 4)))
    told = verdict_of(slower, faster)
    assert told[0].startswith("real: 5") or told[0].startswith("real: 4")
    assert told[0].endswith("% more")
    assert told[1].endswith("% less")


def test_same_samples_show_no_difference_and_few_samples_decide_nothing() -> None:
    series = times(OURS, DATA, *around(1.0, 1))
    assert verdict_of((series, series)) == ["no difference shown"]
    few = times(OURS, DATA, 1.0, 1.1)
    assert verdict_of((few, few)) == ["fewer than 10 samples"]


def test_measured_energy_is_not_compared_with_a_modelled_one() -> None:
    measured = MeasuredSeries(SeriesKey(OURS, DATA, "energy", "µJ"), around(1.0, 1), "RAPL")
    guessed = modelled(OURS, DATA, "energy", "µJ", *around(1.0, 2))
    (one,) = compare(results_with(measured), results_with(guessed))
    assert one.ratio is None
    assert "measured on one side and modelled on the other" in one.verdict


def test_comparison_names_both_machines_and_says_what_modelled_means() -> None:
    first = results_with(modelled(OURS, DATA, "energy", "µJ", *around(1.0, 1)))
    text = to_markdown(comparison_table(first, first, compare(first, first)))
    assert "A: Some CPU" in text
    assert "CPU times in other units" in text


def test_results_of_another_experiment_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="holds figure8, not table2"):
        require_experiment(results_with(experiment="figure8"), "table2", Path("x.json"))


def test_page_holds_everything_in_itself_and_warns_that_nothing_was_measured() -> None:
    section = Section("table2", "Table 2", FULL, all_tables(FULL), {"table2": draw_table2(FULL)})
    page = render_page(MACHINE, manifest_tables(MACHINE, QUIET, (), [FULL]), [section])
    assert "No energy was measured on this machine" in page
    assert 'src="data:image/svg+xml;base64,' in page
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page
    assert page.count("<h2") == 2
    assert "800 MB free, 3000 MHz, temperature unknown" in page


def test_manifest_names_machine_settings_and_checks() -> None:
    manifest = manifest_json(MACHINE, QUIET, (), [FULL])
    assert manifest["machine"]["kernel"] == "6.1"
    assert manifest["experiments"]["table2"]["settings"] == {"experiments": 3}
    assert manifest["experiments"]["table2"]["idle_checks"][0]["holds"] is True


@pytest.mark.parametrize(
    ("condition", "failing"),
    [
        (Condition(1.0, 0.1, 1, 3_000.0, 3_000.0, 40.0), []),
        (Condition(60.0, 1.5, 1, 3_000.0, 3_000.0, 40.0), ["Is nothing else running?"]),
        (Condition(1.0, 0.1, 1, 800.0, 3_000.0, 40.0), ["Is the frequency fixed?"]),
        (Condition(1.0, 0.1, 1, None, None, 81.0), ["Is it cool enough not to slow down?"]),
    ],
)
def test_what_would_spoil_a_measurement_is_said(condition: Condition, failing: list[str]) -> None:
    assert [check.question for check in check_idle(condition, MACHINE) if not check.holds] == failing
