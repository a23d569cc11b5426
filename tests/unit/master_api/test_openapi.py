"""The document against the messages: same paths, same fields, same widths."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from group_protocol.messages import (
    BUSY_BODY,
    REFUSAL_BODY,
    CookieChallenge,
    KeysSessionAnswer,
    KeysSessionRequest,
    SealedAnswer,
    SealedRequest,
)
from group_protocol.succession import Succession, SuccessionRequest
from group_protocol.suites import Suite
from master_api.openapi import openapi_document
from tests.support.handshakes import Exchange, run_exchange

DOCUMENT = openapi_document()
SCHEMAS = DOCUMENT["components"]["schemas"]


def errors(schema: dict[str, Any], value: Any, at: str = "body") -> list[str]:
    """The part of JSON Schema that the document uses."""
    if "$ref" in schema:
        return errors(SCHEMAS[schema["$ref"].rsplit("/", 1)[1]], value, at)
    branches = schema.get("oneOf") or schema.get("anyOf")
    if branches:
        fitting = [branch for branch in branches if not errors(branch, value, at)]
        return [] if len(fitting) == 1 else [f"{at}: {len(fitting)} branches fit"]
    if schema.get("type") == "object":
        return object_errors(schema, value, at)
    if schema.get("type") == "array":
        is_good = schema["minItems"] <= len(value) <= schema["maxItems"] and len(set(value)) == len(value)
        found = [problem for item in value for problem in errors(schema["items"], item, at)]
        return found if is_good else [f"{at}: {len(value)} items"]
    return [] if is_good_scalar(schema, value) else [f"{at}: {value!r}"]


def object_errors(schema: dict[str, Any], value: dict[str, Any], at: str) -> list[str]:
    properties = schema["properties"]
    missing = [f"{at}.{name}: missing" for name in schema["required"] if name not in value]
    unknown = [f"{at}.{name}: unknown" for name in value if name not in properties]
    shared = properties.keys() & value.keys()
    found = [problem for name in shared for problem in errors(properties[name], value[name], f"{at}.{name}")]
    return missing + unknown + found


def is_good_scalar(schema: dict[str, Any], value: Any) -> bool:
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    if schema["type"] == "integer":
        return isinstance(value, int) and schema["minimum"] <= value <= schema["maximum"]
    assert schema["type"] == "string", schema
    return (
        isinstance(value, str)
        and re.fullmatch(schema.get("pattern", ".*"), value) is not None
        and schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
    )


SUCCESSION = json.loads((Path(__file__).parents[2] / "vectors" / "succession.json").read_text())


def bodies(exchange: Exchange) -> dict[tuple[str, str], list[bytes]]:
    """Real bodies of the requests and answers of each path."""
    sealed_request, sealed_answer = exchange.m3.to_body(), exchange.m4.to_body()
    with_cookie = KeysSessionRequest(
        exchange.m1.suites, exchange.m1.aeads, bytes(16), exchange.m1.sn, exchange.m1.share, bytes(32)
    )
    found = {
        ("/succession", "request"): [SUCCESSION["request"].encode()],
        ("/succession", "answer"): [SUCCESSION["body"].encode()],
        ("/keysSession", "request"): [exchange.m1.to_body(), with_cookie.to_body()],
        ("/keysSession", "answer"): [exchange.m2.to_body(), CookieChallenge(bytes(32)).to_body()],
    }
    for path in ("/getTicket", "/assoc", "/rotate", "/data"):
        found[path, "request"] = [sealed_request]
        found[path, "answer"] = [sealed_answer]
    return found


def schema_of(path: str, kind: str, status: str = "200") -> dict[str, Any]:
    operation = DOCUMENT["paths"][path]["post"]
    holder = operation["requestBody"] if kind == "request" else operation["responses"][status]
    schema: dict[str, Any] = holder["content"]["application/json"]["schema"]
    return schema


@pytest.mark.parametrize("suite", list(Suite))
def test_real_messages_of_every_suite_fit_their_schemas(suite: Suite) -> None:
    for (path, kind), examples in bodies(run_exchange(suite)).items():
        for body in examples:
            assert errors(schema_of(path, kind), json.loads(body)) == [], (path, kind)


@pytest.mark.parametrize("suite", list(Suite))
def test_message_without_a_field_or_with_one_too_many_fits_no_schema(suite: Suite) -> None:
    for (path, kind), examples in bodies(run_exchange(suite)).items():
        for body in examples:
            fields = json.loads(body)
            for name in fields:
                if name != "cookie" or kind == "answer":
                    spoiled = {other: value for other, value in fields.items() if other != name}
                    assert errors(schema_of(path, kind), spoiled), (path, kind, name)
            assert errors(schema_of(path, kind), fields | {"extra": 1}), (path, kind)


def test_refusal_and_busy_bodies_fit_their_schemas() -> None:
    for path in ("/succession", "/keysSession", "/getTicket", "/assoc", "/rotate", "/data"):
        assert errors(schema_of(path, "answer", "400"), json.loads(REFUSAL_BODY)) == []
        assert errors(schema_of(path, "answer", "429"), json.loads(BUSY_BODY)) == []


def test_every_reference_leads_somewhere() -> None:
    references = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT))
    assert references
    assert set(references) == set(SCHEMAS)


def test_document_names_only_fields_of_the_messages() -> None:
    messages = (
        *(KeysSessionRequest, KeysSessionAnswer, CookieChallenge, SealedRequest, SealedAnswer),
        *(SuccessionRequest, Succession),
    )
    known = {name for message in messages for name in message.__dataclass_fields__}
    known |= {"v", "slavePubRSAKey", "encryptedAESKey", "chain", "contract"}
    named = {
        name
        for schema in SCHEMAS.values()
        for branch in schema.get("oneOf", [schema])
        for name in branch.get("properties", {})
    }
    assert named - {"error", "status", "parts", "master"} <= known  # those of refusals and of /healthz
