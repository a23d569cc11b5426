"""A running gateway's service against the OpenAPI document that it serves, as a stranger and as a caller."""

import asyncio
import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import pytest

from chain_gateway.service.openapi import openapi_document
from group_protocol.messages import REFUSAL_BODY
from tests.openapi.conformance import BOUNDED, Case, answer_as_documented, load_document
from tests.support.fake_chain import FakeChain
from tests.support.fake_registry import FakeRegistry
from tests.support.gateway_service import TOKEN, TestBackend, serve_registry

pytestmark = [pytest.mark.network]
NOW_UNIX_S = 1_800_000_000
document = load_document(openapi_document())
FEW = hypothesis.settings(BOUNDED, max_examples=5)
"""Drawn requests for each of the sixteen operations, on top of every boundary that a schema names."""


@dataclass(frozen=True)
class Service:
    url: str
    registry: FakeRegistry
    backend: TestBackend


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service in a thread of its own, so that a test may ask it in the ordinary way."""
    loop = asyncio.new_event_loop()
    registry = FakeRegistry(now_unix_s=lambda: NOW_UNIX_S)
    backend = TestBackend(registry, FakeChain(registry))
    folder: Path = tmp_path_factory.mktemp("service")
    context = serve_registry(folder, backend, token=TOKEN, requests_per_caller_burst=1_000_000, head_wait_max_s=0.01)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        url = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(10)
        yield Service(url, registry, backend)
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def get(service: Service, path: str) -> tuple[int, Any]:
    """Status and body of a plain GET."""
    with closing(http.client.HTTPConnection(urlsplit(service.url).netloc, timeout=5)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@document.include(path=["/v1/session", "/v1/head", "/v1/acts/revoke", "/healthz"]).parametrize()
@FEW
def test_gateway_answers_a_stranger_as_its_document_says(case: Case, service: Service) -> None:
    case.headers.clear()
    answer = answer_as_documented(case, service.url)
    if case.path.startswith("/v1/") and case.path != "/v1/session":
        assert (answer.status_code, answer.content) == (400, REFUSAL_BODY)


@document.parametrize()
@FEW
def test_gateway_answers_a_caller_as_its_document_says(case: Case, service: Service) -> None:
    case.headers["Authorization"] = f"Bearer {TOKEN}"
    answer = answer_as_documented(case, service.url)
    if answer.status_code == 400:
        assert answer.content == REFUSAL_BODY
    assert service.registry.membership().groups == {}, "nobody can sign for anybody by chance"


def test_gateway_serves_the_document_that_was_tested(service: Service) -> None:
    assert get(service, "/openapi.json") == (200, openapi_document())


def test_health_names_the_part_that_is_not_well(service: Service) -> None:
    assert get(service, "/healthz")[0] == 200
    service.backend.health = {"chain": "the node did not answer in time"}
    parts = {"chain": "the node did not answer in time"}
    assert get(service, "/healthz") == (503, {"status": "degraded", "parts": parts})
    service.backend.health = {"chain": "ok"}
