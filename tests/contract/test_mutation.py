"""A fixed sample of the faults that `make mutate-contract` tries, and the lists that it keeps."""

import json
from pathlib import Path

import pytest

from contracts import build
from tools import mutate_contract
from tools.contract_mutants import Mutant, find_mutants

pytestmark = [pytest.mark.forge, pytest.mark.solc]
SAMPLE = 8


@pytest.fixture(scope="module")
def mutants() -> list[Mutant]:
    return find_mutants()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_mutant_of_the_sample_is_noticed(mutants: list[Mutant]) -> None:
    fates = mutate_contract.try_all(mutate_contract.sample(mutants, SAMPLE, 1))
    assert len(fates) == SAMPLE
    assert mutate_contract.survivors(fates) == []


def test_every_equivalent_mutant_is_one_that_is_made(mutants: list[Mutant]) -> None:
    names = {mutant.name for mutant in mutants}
    assert sorted(mutate_contract.known_equivalents().keys() - names) == []


def test_run_that_was_stopped_goes_on_with_what_it_knew_until_a_test_changes(
    mutants: list[Mutant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal" / "fates.json"
    mutate_contract.Journal(path).note(mutants[0], mutate_contract.KILLED_BY_FORGE)
    assert mutate_contract.Journal(path).fates == {mutants[0].name: mutate_contract.KILLED_BY_FORGE}
    monkeypatch.setattr(mutate_contract, "_digest", lambda: "of another test")
    assert mutate_contract.Journal(path).fates == {}


def test_published_score_leaves_no_mutant_alive() -> None:
    score = json.loads(mutate_contract.RESULT.read_text("utf-8"))
    assert score["living"] == 0
    killed = score["killed by forge"] + score["killed by the Python tests"]
    assert killed + score["equivalent"] == score["mutants"]


def test_published_score_is_of_the_contract_as_it_stands() -> None:
    score = json.loads(mutate_contract.RESULT.read_text("utf-8"))
    assert score["of the sources"] == mutate_contract.digest_of_sources(), 'run "make mutate-contract"'


def test_document_gives_the_published_score() -> None:
    score = json.loads(mutate_contract.RESULT.read_text("utf-8"))
    text = (build.ROOT / "docs" / "contract_proofs.md").read_text("utf-8")
    assert [f"| {name} | {count} |" for name, count in score.items() if f"| {name} | {count} |" not in text] == []
