import csv
import json
from pathlib import Path

import pytest

from group_protocol.errors import ConfigurationError
from measure.quantities import MeasuredSeries, ModelledSeries, SeriesKey
from measure.report.figures import show_interval, show_mean, show_number, show_ratio, show_value
from measure.report.files import write_outputs
from measure.report.plots import to_image
from measure.report.tables import Table, latex_text, to_html, to_latex, to_markdown
from measure.results import read_results
from measure.statistics import Interval, Ratio
from measure.table2.operations import OURS, THEIRS
from measure.table2.plots import draw_table2
from measure.table2.published import ASSOCIATION, DATA
from measure.table2.tables import all_tables, main_table, published_table
from tests.unit.measure.results_of import RAPL, modelled, results_with, times

FULL = results_with(
    times(OURS, ASSOCIATION, 0.5, 0.6, 0.7),
    times(THEIRS, ASSOCIATION, 1.0, 1.2, 1.4),
    modelled(OURS, ASSOCIATION, "power", "mW", 900.0, 1_000.0, 1_100.0),
    modelled(THEIRS, ASSOCIATION, "power", "mW", 900.0, 1_000.0, 1_100.0),
    modelled(OURS, ASSOCIATION, "energy", "µJ", 90.0, 100.0, 110.0),
    modelled(THEIRS, ASSOCIATION, "energy", "µJ", 190.0, 200.0, 210.0),
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.5, "1,234"), (1.234, "1.23"), (0.04321, "0.0432"), (0.0, "0"), (-0.5, "-0.500"), (99.99, "100.0")],
)
def test_number_has_three_digits(value: float, text: str) -> None:
    assert show_number(value) == text


def test_every_way_from_a_modelled_series_to_text_says_modelled() -> None:
    series = modelled(OURS, ASSOCIATION, "energy", "µJ", 90.0, 100.0)
    ratio = Ratio(0.5, Interval(0.4, 0.6), is_paired=True)
    shown = (
        show_mean(series),
        show_value(1.0, series),
        show_interval(Interval(0, 1), series),
        show_ratio(ratio, series),
    )
    assert all(text.startswith("≈") and text.endswith("modelled") for text in shown)


def test_measured_series_is_not_marked() -> None:
    assert show_mean(times(OURS, DATA, 1.0, 2.0, 3.0)) == "2.00 ± 1.0"


def test_modelled_power_is_marked_in_every_form_of_the_table(tmp_path: Path) -> None:
    tables = all_tables(FULL)
    write_outputs(tmp_path, FULL, tables, {})
    for name in ("table2.md", "table2.tex", "table2.samples.csv", "table2.json"):
        lines = (tmp_path / name).read_text("utf-8").splitlines()
        about_power = [line for line in lines if "1,000" in line or ",power,mW," in line]
        assert all("modelled" in line for line in about_power), name
        assert about_power or name == "table2.json"
    assert all("modelled" in to_html(table) for table in tables[:2])


def test_every_raw_sample_is_in_the_csv(tmp_path: Path) -> None:
    write_outputs(tmp_path, FULL, [], {})
    with (tmp_path / "table2.samples.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(series.values) for series in FULL.series)
    assert [float(row["value"]) for row in rows[:3]] == [0.5, 0.6, 0.7]
    assert {row["provenance"] for row in rows} == {"measured", "modelled"}


def test_results_come_back_from_json_as_they_were(tmp_path: Path) -> None:
    series = MeasuredSeries(SeriesKey(OURS, DATA, "energy", "µJ"), (1.0, 2.0), "RAPL", 0.25, ("a gap",))
    results = results_with(series, modelled(THEIRS, DATA, "energy", "µJ", 3.0), probe=RAPL)
    results.write(tmp_path / "r.json")
    assert read_results(tmp_path / "r.json") == results


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "another"}'])
def test_file_that_holds_no_results_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match="holds no results"):
        read_results(tmp_path / "r.json")


def test_series_of_unknown_provenance_is_refused(tmp_path: Path) -> None:
    fields = results_with(times(OURS, DATA, 1.0)).to_json()
    fields["series"][0]["provenance"] = "guessed"
    (tmp_path / "r.json").write_text(json.dumps(fields), "utf-8")
    with pytest.raises(ConfigurationError, match="neither measured nor modelled"):
        read_results(tmp_path / "r.json")


def test_ratio_of_modelled_and_measured_is_not_made() -> None:
    mixed = results_with(
        modelled(OURS, ASSOCIATION, "energy", "µJ", 1.0, 2.0),
        MeasuredSeries(SeriesKey(THEIRS, ASSOCIATION, "energy", "µJ"), (1.0, 2.0), "RAPL"),
    )
    row = next(row for row in main_table(mixed).rows if row[0] == f"{ASSOCIATION}, µJ")
    assert row[3] == "–"


def test_published_columns_are_the_papers() -> None:
    association = published_table(FULL).rows[0]
    assert association[3:] == ("1.03 ± 0.12", "2.1 ± 0.034", "1.7 ± 0.029", "1.56 ± 0.13", "28.03 ± 0.045")
    power = next(row for row in published_table(FULL).rows if row[0] == f"{DATA}, mW")
    assert power[3:] == ("3.30 ± 0.80", "16.33 ± 1.08", "15.09 ± 0.9", "–", "–")


def test_machine_without_a_probe_shows_no_energy_and_says_why() -> None:
    table = main_table(results_with(times(OURS, DATA, 1.0, 2.0), probe=None))
    assert all(row[1] == "–" for row in table.rows if row[0].endswith(("mW", "µJ")))
    assert any("no source of them" in note and "no zones" in note for note in table.notes)


def test_stopped_run_says_so_in_its_title() -> None:
    results = results_with(times(OURS, DATA, 1.0))
    results.is_partial = True
    assert "stopped before its end" in main_table(results).title


def test_text_with_signs_that_latex_reserves_is_escaped() -> None:
    assert latex_text("50 % & a_b {µ}") == r"50 \% \& a\_b \{\textmu{}\}"


def test_markup_in_a_cell_stays_text() -> None:
    table = Table("<b>", ("a", "b"), (("<script>", "x|y"),), notes=("<i>",))
    assert "<script>" not in to_html(table)
    assert r"x\|y" in to_markdown(table)
    latex = to_latex(table)
    assert r"\begin{tabular}{lr}" in latex
    assert latex.count(r"\begin{adjustbox}") == latex.count(r"\end{adjustbox}") == 1


def test_plot_of_modelled_energy_is_drawn_and_is_the_same_every_time() -> None:
    first, second = (to_image(draw_table2(FULL), "svg") for _ in range(2))
    assert first == second
    assert to_image(draw_table2(FULL), "png").startswith(b"\x89PNG")


def test_modelled_series_is_another_type_than_a_measured_one() -> None:
    assert not isinstance(modelled(OURS, DATA, "energy", "µJ", 1.0), MeasuredSeries)
    assert not issubclass(ModelledSeries, MeasuredSeries)
