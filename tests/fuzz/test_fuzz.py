"""The decoders against the kept corpus, and a moment of fuzzing for each; ``make fuzz`` goes on for longer."""

import subprocess
import sys

import pytest

from tests.fuzz.kept_inputs import FOLDER, load_corpus
from tests.fuzz.seeds import make_seeds
from tests.fuzz.targets import TARGETS
from tests.vectors.make_vectors import HERE


@pytest.mark.parametrize("target", TARGETS)
def test_kept_corpus_finds_nothing(target: str) -> None:
    inputs = load_corpus(target)
    assert inputs
    for raw in inputs:
        TARGETS[target](raw)


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_find_nothing(target: str) -> None:
    for raw in make_seeds()[target]:
        TARGETS[target](raw)


def test_every_corpus_belongs_to_a_target() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(TARGETS)


@pytest.mark.processes
@pytest.mark.parametrize(("target", "is_found"), [("frames", False), ("planted", True)])
def test_a_moment_of_fuzzing_finds_what_is_there_and_nothing_else(target: str, is_found: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.run", target, "--seconds", "20" if is_found else "2"],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == is_found, done.stdout[-8_000:] + done.stderr[-2_000:]
    assert f"findings in: {'planted' if is_found else 'none'}" in done.stdout
    assert ("a fault was planted here" in done.stdout) is is_found
