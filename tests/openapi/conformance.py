"""A running service against its own OpenAPI document, by schemathesis: bounded, and the same requests on every run.

A test module of one service is::

    document = load_document(openapi_document())

    @document.parametrize()
    @BOUNDED
    def test_service_answers_as_its_document_says(case: Case, service: Service) -> None:
        answer_as_documented(case, service.url)

Schemathesis makes a test of each operation: the document's examples, every boundary that a schema names, then drawn
requests that fit it and that do not, as well as methods that the document does not know.
"""

from collections.abc import Iterable
from typing import Any, Final

import hypothesis
import schemathesis
from schemathesis import Case as AnyCase
from schemathesis import GenerationMode, Response
from schemathesis.checks import CHECKS, load_all_checks, not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema

Case = AnyCase[Any]
REQUEST_TIMEOUT_S: Final = 10.0
BOUNDED: Final = hypothesis.settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
"""Hypothesis' settings for one operation. Boundaries and methods come on top: a few hundred requests in all."""

_NOT_OURS: Final = {
    "positive_data_acceptance": "what is sealed for nobody fits the schema and is refused all the same",
    "unsupported_method": "it asks for 405; a service with one uniform refusal answers 400",
    "ignored_auth": "it asks for 401 or 403; a service with one uniform refusal answers 400",
    "use_after_free": "needs paths with ids, of which there are none",
    "ensure_resource_availability": "the same",
}
"""Checks of schemathesis that these services fail on purpose, each with the reason."""


def load_document(document: dict[str, Any], modes: Iterable[GenerationMode] = GenerationMode) -> BaseSchema:
    """Schemathesis' view of a document; requests are drawn to fit it, to break it, or in both ways."""
    schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig.from_dict({}))
    schema.config.generation.update(modes=list(modes), deterministic=True)
    return schema


def answer_as_documented(case: Case, base_url: str) -> Response:
    """Send the request; its answer is one that the document tells: status, headers, content type and every field.

    Returns:
        The answer, for what a document cannot say.

    Raises:
        FailureGroup: With a curl command that repeats the request, if the answer is another.
    """
    load_all_checks()
    answer = case.call(base_url=base_url, timeout=REQUEST_TIMEOUT_S, allow_redirects=False)
    excluded: list[Any] = [CHECKS.get_one(name) for name in _NOT_OURS]
    if str(answer.status_code) in case.operation.responses.status_codes:
        excluded.append(not_a_server_error)  # a 503 that the document tells is no fault
    case.validate_response(answer, excluded_checks=excluded)
    return answer


def is_valid_by_document(case: Case) -> bool:
    """Whether this request fits the document in every part."""
    return case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
