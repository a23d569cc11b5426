"""A running master, as its operator starts it, against the OpenAPI document that it serves."""

import asyncio
import copy
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup

from group_protocol.messages import BUSY_BODY, REFUSAL_BODY
from group_protocol.suites import Suite
from master_api.openapi import openapi_document
from tests.attacks.master_process import ROOMY, MasterProcess
from tests.openapi.conformance import BOUNDED, Case, answer_as_documented, is_valid_by_document, load_document

pytestmark = [pytest.mark.network, pytest.mark.processes]
document = load_document(openapi_document())


def document_of_ordinary_m1s() -> dict[str, Any]:
    """The document, narrowed to M1s that no master has a reason to refuse: E1, and no group is named.

    32 bytes are an X25519 key, but for a few that nobody draws. Most bytes are no ML-KEM or RSA key.
    """
    narrowed = openapi_document()
    schemas = narrowed["components"]["schemas"]
    schemas["KeysSessionRequest"] = schemas["KeysSessionRequest"]["oneOf"][0]
    assert schemas["KeysSessionRequest"]["properties"]["suites"] == {"enum": [[Suite.E1]]}
    schemas["KeysSessionRequest"]["properties"]["gid"] = {"const": ""}
    return narrowed


ordinary_m1s = load_document(document_of_ordinary_m1s(), [GenerationMode.POSITIVE])


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MasterProcess]:
    """A master with a group. Nothing that schemathesis sends changes it, nor makes it report an error of its own."""
    process = MasterProcess(tmp_path_factory.mktemp("openapi") / "m", **ROOMY)
    process.start()
    try:
        asyncio.run(process.ask("group.create", name="ward 3"))
        before = process.read_tables()
        yield process
        assert process.read_tables() == before
    finally:
        process.stop()


@pytest.fixture(scope="module")
def overwhelmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MasterProcess]:
    """A master without a group, whose rate of handshakes is spent."""
    settings = {"handshakes_burst": 1, "handshakes_per_s": 0.001}
    process = MasterProcess(tmp_path_factory.mktemp("openapi") / "overwhelmed", **settings)
    process.start()
    try:
        yield process
    finally:
        process.stop()


@document.parametrize()
@BOUNDED
def test_master_answers_as_its_document_says(case: Case, master: MasterProcess) -> None:
    answer = answer_as_documented(case, master.url)
    if answer.status_code == 400:
        assert answer.content == REFUSAL_BODY


@ordinary_m1s.include(path="/keysSession").parametrize()
@BOUNDED
def test_m1_that_fits_the_document_is_answered(case: Case, master: MasterProcess) -> None:
    answer = answer_as_documented(case, master.url)
    if is_valid_by_document(case):
        assert answer.status_code == 200


@document.include(path="/keysSession").parametrize()
@BOUNDED
def test_master_that_is_busy_answers_as_its_document_says(case: Case, overwhelmed: MasterProcess) -> None:
    answer = answer_as_documented(case, overwhelmed.url)
    if is_valid_by_document(case):
        assert (answer.status_code, answer.content) in {(400, REFUSAL_BODY), (429, BUSY_BODY)}


def test_health_of_a_master_without_a_group_is_as_documented(overwhelmed: MasterProcess) -> None:
    assert answer_as_documented(document["/healthz"]["GET"].Case(), overwhelmed.url).status_code == 503


def test_document_that_is_served_is_the_one_that_is_tested(master: MasterProcess) -> None:
    assert requests.get(master.url + "/openapi.json", timeout=10).json() == openapi_document()


@pytest.mark.parametrize("change", ["status", "header", "field"])
def test_document_that_says_something_else_is_noticed(master: MasterProcess, change: str) -> None:
    altered = copy.deepcopy(openapi_document())
    answers = altered["paths"]["/healthz"]["get"]["responses"]
    if change == "status":
        answers["201"] = answers.pop("200")
    elif change == "header":
        answers["200"]["headers"]["Cache-Control"]["schema"] = {"const": "private"}
    else:
        altered["components"]["schemas"]["Health"]["required"].append("mood")
    case = load_document(altered)["/healthz"]["GET"].Case()
    with pytest.raises(FailureGroup, match="curl"):
        answer_as_documented(case, master.url)
