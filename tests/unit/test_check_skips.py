"""The CI's rule on skips, tried on reports that pytest itself writes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.check_skips import forbidden_skips


def report_of(source: str, folder: Path) -> Path:
    """Run pytest on a source of its own and return its JUnit report."""
    (folder / "test_sample.py").write_text(source, "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "--junitxml=report.xml"]
    subprocess.run([sys.executable, "-m", "pytest", *options], cwd=folder, check=False, capture_output=True)
    return folder / "report.xml"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def test_a(): pytest.skip('no anvil')", "no anvil"),
        ("@pytest.mark.skip(reason='not now')\ndef test_a(): pass", "not now"),
        ("@pytest.mark.skipif(True, reason='no forge')\ndef test_a(): pass", "no forge"),
        ("pytest.importorskip('a_module_that_is_nowhere')", "could not import 'a_module_that_is_nowhere'"),
    ],
)
def test_skip_for_a_missing_tool_is_forbidden(source: str, reason: str, tmp_path: Path) -> None:
    found = forbidden_skips(report_of(f"import pytest\n{source}\n", tmp_path))

    assert len(found) == 1
    assert reason in found[0]


@pytest.mark.parametrize(
    "source",
    [
        "def test_a(): pytest.skip('needs the reference vectors: wycheproof')",
        "pytest.skip('needs the reference vectors', allow_module_level=True)",
        "@pytest.mark.xfail\ndef test_a(): assert False",
        "def test_a(): pass",
    ],
)
def test_absent_vectors_expected_failures_and_passes_are_allowed(source: str, tmp_path: Path) -> None:
    assert forbidden_skips(report_of(f"import pytest\n{source}\n", tmp_path)) == []
