import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from group_protocol.errors import ConfigurationError
from measure.cli import app
from tests.unit.measure.results_of import results_with, times

RUNNER = CliRunner()


def test_every_experiment_has_its_command() -> None:
    listed = RUNNER.invoke(app, ["--help"]).output
    for name in ("probes", "table2", "figure8", "traffic", "all", "compare", "agent", "collect"):
        assert name in listed


def test_compare_of_two_files_prints_a_verdict_and_writes_it(tmp_path: Path) -> None:
    results_with(times("ours", "data message, signed", *map(float, range(1, 21)))).write(tmp_path / "a.json")
    done = RUNNER.invoke(
        app, ["compare", str(tmp_path / "a.json"), str(tmp_path / "a.json"), "--out", str(tmp_path / "c.md")]
    )
    assert done.exit_code == 0, done.output
    assert "no difference shown" in (tmp_path / "c.md").read_text("utf-8")


def test_probe_that_is_not_there_ends_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="unknown kind"):
        RUNNER.invoke(app, ["table2", "--probe", "sundial", "--out", str(tmp_path)], catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []


def test_results_of_another_experiment_are_no_overlay(tmp_path: Path) -> None:
    results_with(experiment="table2").write(tmp_path / "t.json")
    with pytest.raises(ConfigurationError, match="holds table2, not figure8"):
        RUNNER.invoke(
            app, ["figure8", "--overlay", str(tmp_path / "t.json"), "--out", str(tmp_path)], catch_exceptions=False
        )


def test_proxy_for_the_demo_needs_neither_numpy_nor_matplotlib() -> None:
    code = "import sys; sys.modules.update(numpy=None, matplotlib=None); import vgroup.demo.command, measure.cli"
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
