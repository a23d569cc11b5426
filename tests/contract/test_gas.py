"""The committed gas report is what is measured, and every figure stays under its bound."""

from typing import Any

import pytest

from tests.contract import gas_report
from tests.contract.acts import Actor
from tests.contract.local_register import LocalRegister
from tests.contract.scenario import Ward

FULL_OF_ONES = 2**64 - 1
"""A deadline without a single zero byte: the dearest calldata."""


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    return gas_report.report()


def test_committed_report_is_what_is_measured(measured: dict[str, Any]) -> None:
    advice = 'run "python -m tests.contract.gas_report" and commit what it writes'
    assert gas_report.REPORT_JSON.read_text(encoding="utf-8") == gas_report.encode_json(measured), advice
    assert gas_report.REPORT_MD.read_text(encoding="utf-8") == gas_report.encode_markdown(measured), advice


def test_every_bounded_figure_is_under_its_bound_on_every_fork(measured: dict[str, Any]) -> None:
    for fork in gas_report.FORKS:
        for function, bound in gas_report.BOUNDS.items():
            assert measured["gas"][fork][function]["max"] < bound, (fork, function)


def test_dearest_calldata_stays_under_the_bounds(register: LocalRegister, group: Ward) -> None:
    """With 4 gas for a zero byte and 16 for another, a zero byte in a hash or signature could hide 12 gas each."""
    item = register.acts.association(group.gid, group.master, Actor.named("slave"), FULL_OF_ONES)
    zeros = sum(part.count(0) for part in (item[0], *item[1], *item[2]))
    outcome = register.send("associate", item)
    assert outcome.succeeded
    assert outcome.gas_used + 12 * zeros < gas_report.BOUNDS["associate"]

    master = Actor.named("another master")
    fields: dict[str, Any] = {"salt": b"\xff" * 32, "master": master.address, "deadline": FULL_OF_ONES}
    signature = register.acts.sign(master, "CreateGroup", **fields)
    zeros = sum(part.count(0) for part in (master.address, *signature))
    outcome = register.send("createGroup", *fields.values(), signature)
    assert outcome.succeeded
    assert outcome.gas_used + 12 * zeros < gas_report.BOUNDS["createGroup"]
