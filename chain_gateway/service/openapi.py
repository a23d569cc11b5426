"""The OpenAPI 3.1 document of the gateway's service, made from the types that travel."""

from typing import Any, get_type_hints

from chain_gateway.node_answers import Block
from chain_gateway.remote.signing import NUMBER_HEADER, SESSION_BYTES, SESSION_HEADER, SIGNATURE_HEADER
from chain_gateway.remote.wire import ACTS, EVENTS, WIDTHS
from group_protocol.errors import Reason
from group_protocol.identifiers import HASH_BYTES
from group_protocol.limits import ASSOCIATION_BATCH_MAX
from group_protocol.membership import ChainPosition, GroupView, ObjectState, ObjectView
from group_protocol.ports import AssociationRequest, ExchangeProof, RegistryIdentity

Schema = dict[str, Any]
MIME = "application/json"
_SIGNED: list[Schema] = [{"session": [], "number": [], "signature": []}, {"token": []}]


def openapi_document() -> Schema:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "vgroup gateway",
            "version": "1",
            "summary": "The public register of virtual groups, for masters on other machines",
            "description": "Byte fields are base64url without padding. Who is no caller of this gateway gets the same"
            " 400 whatever is asked. How requests are signed: docs/gateway.md.",
        },
        "paths": {
            "/v1/session": {"post": _operation("Open a session to sign requests under", "Session", "Nothing", ())},
            "/v1/identity": {"get": _operation("Chain and contract", "Identity")},
            "/v1/head": {
                "get": _operation("The newest block; may wait for another", "Head") | _query("after", "wait_s")
            },
            "/v1/blocks/{number}": {"get": _operation("A block", "MaybeBlock") | _path("number")},
            "/v1/logs": {"get": _operation("The contract's logs of some blocks", "Logs") | _query("first", "last")},
            "/v1/groups/{gid}": {"get": _operation("A group as the contract has it", "MaybeGroup") | _path("gid")},
            "/v1/groups/{gid}/objects/{oid}": {
                "get": _operation("An object as the contract has it", "MaybeObject") | _path("gid", "oid")
            },
            **{
                f"/v1/acts/{name}": {"post": _operation(f"{name}", "Receipt", kind.__name__)}
                for name, kind in ACTS.items()
            },
            "/v1/acts/associate_batch": {"post": _operation("associate_batch", "Receipts", "Batch")},
            "/v1/acts/verify_exchange": {"post": _operation("verify_exchange", "Verified", "ExchangeProof")},
            "/healthz": {"get": _health()},
            "/openapi.json": {"get": {"summary": "This document", "responses": {"200": {"description": "It"}}}},
        },
        "components": {"schemas": _schemas(), "securitySchemes": _security()},
    }


def _operation(
    summary: str, answer: str, request: str | None = None, security: tuple[Schema, ...] | None = None
) -> Schema:
    operation: Schema = {
        "summary": summary,
        "security": list(_SIGNED if security is None else security),
        "responses": {
            "200": _answer("The answer", answer),
            "400": _answer("Refused", "Refusal"),
            "409": _answer("The contract's rules say no", "Error"),
            "422": _answer("A value that no contract takes", "Error"),
            "429": _answer("Too many requests", "Busy"),
            "502": _answer("The chain contradicts itself", "Error"),
            "503": _answer("The chain cannot be asked now", "Error"),
        },
    }
    if request is not None:
        operation["requestBody"] = {"required": True, "content": {MIME: {"schema": _reference(request)}}}
    return operation


def _query(*names: str) -> Schema:
    return {"parameters": [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names]}


def _path(*names: str) -> Schema:
    return {
        "parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    }


def _health() -> Schema:
    return {
        "summary": "Whether the gateway can work, and if not, why",
        "responses": {
            "200": _answer("All parts are well", "Health"),
            "429": _answer("Too many requests", "Busy"),
            "503": _answer("A part is not", "Health"),
        },
    }


def _security() -> Schema:
    headers = {"session": SESSION_HEADER, "number": NUMBER_HEADER, "signature": SIGNATURE_HEADER}
    return {name: {"type": "apiKey", "in": "header", "name": header} for name, header in headers.items()} | {
        "token": {"type": "http", "scheme": "bearer"}
    }


def _schemas() -> dict[str, Schema]:
    kinds = {*ACTS.values(), ExchangeProof, AssociationRequest, GroupView, ObjectView, Block, ChainPosition}
    text: Schema = {"type": "string"}
    requests = {"type": "array", "items": _reference("AssociationRequest"), "maxItems": ASSOCIATION_BATCH_MAX}
    receipts = {"type": "array", "items": _reference("Receipt")}
    log = {
        "topics": {"type": "array", "items": _bytes(HASH_BYTES), "maxItems": 4},
        "payload": _bytes(),
        "block_number": _integer(),
        "block_hash": _bytes(HASH_BYTES),
        "transaction_hash": _bytes(HASH_BYTES),
        "log_index": _integer(),
    }
    error = _object(
        {"code": text, "message": text, "remedy": text}, optional={"reason": _names(Reason), "explained_as": text}
    )
    return {
        **{kind.__name__: _dataclass(kind) for kind in kinds},
        **{name: _event(name, kind) for name, kind in EVENTS.items()},
        "Nothing": _object({}),
        "Session": _object({"session": _bytes(SESSION_BYTES)}),
        "Identity": _object({"identity": _dataclass(RegistryIdentity), "contract_block": _integer()}),
        "Head": _object({"block": _reference("Block")}),
        "MaybeBlock": _object({"block": _maybe("Block")}),
        "MaybeGroup": _object({"group": _maybe("GroupView")}),
        "MaybeObject": _object({"object": _maybe("ObjectView")}),
        "Logs": _object({"logs": {"type": "array", "items": _object(log)}}),
        "ReceiptOfAct": _object({"event": {"oneOf": [_reference(name) for name in EVENTS]}, "gas": _integer()}),
        "Receipt": _object({"receipt": _reference("ReceiptOfAct")}),
        "Receipts": _object({"receipts": receipts | {"items": _reference("ReceiptOfAct")}}),
        "Batch": _object({"requests": requests}),
        "Verified": _object({"verified": {"const": True}}),
        "Error": _object({"error": error}),
        "Refusal": _object({"error": _object({"code": {"const": "refused"}, "message": text})}),
        "Busy": _object({"error": _object({"code": {"const": "busy"}, "message": text})}),
        "Health": _object(
            {"status": {"enum": ["ok", "degraded"]}, "parts": {"type": "object", "additionalProperties": text}}
        ),
    }


def _dataclass(kind: type) -> Schema:
    return _object({name: _field(hint) for name, hint in get_type_hints(kind).items()})


def _event(name: str, kind: type) -> Schema:
    fields = {field: _field(hint) for field, hint in get_type_hints(kind).items()}
    return _object({"kind": {"const": name}, **fields})


def _field(hint: Any) -> Schema:  # noqa: ANN401 - a type hint
    if hint is int:
        return _integer()
    if hint == int | None:
        return {"anyOf": [_integer(), {"type": "null"}]}
    if hint is ChainPosition:
        return _reference("ChainPosition")
    if hint in (Reason, ObjectState):
        return _names(hint)
    return _bytes(WIDTHS[hint])


def _names(kind: Any) -> Schema:  # noqa: ANN401 - an enum
    return {"enum": [each.name for each in kind]}


def _maybe(name: str) -> Schema:
    return {"anyOf": [_reference(name), {"type": "null"}]}


def _object(properties: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": properties | (optional or {}),
        "required": list(properties),
        "additionalProperties": False,
    }


def _bytes(length_bytes: int | None = None) -> Schema:
    schema: Schema = {"type": "string", "contentEncoding": "base64url", "pattern": "^[A-Za-z0-9_-]*$"}
    if length_bytes is not None:
        characters = -(-length_bytes * 4 // 3)
        schema |= {"minLength": characters, "maxLength": characters}
    return schema


def _integer() -> Schema:
    return {"type": "integer", "minimum": 0, "maximum": 2**64 - 1}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(description: str, name: str) -> Schema:
    return {"description": description, "content": {MIME: {"schema": _reference(name)}}}
