"""The OpenAPI 3.1 document of the request-and-answer paths. ``docs/protocol.md`` is the law; this shows it to tools."""

from typing import Any

from group_protocol.crypto.aead import Aead
from group_protocol.limits import JSON_INTEGER_MAX, OFFERS_MAX, SEQ_LIMIT
from group_protocol.messages import BUSY_BODY, REFUSAL_BODY
from group_protocol.suites import Suite

Schema = dict[str, Any]

MIME = "application/json"


def openapi_document() -> Schema:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "vgroup master",
            "version": "1",
            "summary": "Virtual groups for the Internet of Medical Things, protocol version 1",
            "description": "Byte fields are base64url without padding. Whatever is wrong, the answer is the same 400.",
        },
        "paths": {
            "/keysSession": _post("Key exchange: M1 to M2 or M1R", "KeysSessionRequest", "KeysSessionReply"),
            "/getTicket": _post("Identity and ticket: M3 to M4", "SealedRequest", "SealedAnswer"),
            "/assoc": _post("Association through the contract: M5 to M6", "SealedRequest", "SealedAnswer"),
            "/rotate": _post("A device changes its key", "SealedRequest", "SealedAnswer"),
            "/data": _post("Records: one sealed frame to one sealed ACK", "SealedRequest", "SealedAnswer"),
            "/stream": _stream(),
            "/healthz": _health(),
        },
        "components": {"schemas": _schemas()},
    }


def _post(summary: str, request: str, answer: str) -> Schema:
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": {MIME: {"schema": _reference(request)}}},
            "responses": {
                "200": _answer("The answer", answer),
                "400": _answer("The request was refused", "Refusal"),
                "429": _answer("The master is busy", "Busy")
                | {"headers": {"Retry-After": {"schema": _integer(3_600)}}},
            },
        }
    }


def _stream() -> Schema:
    return {
        "get": {
            "summary": "Records over a WebSocket of binary messages (RFC 6455)",
            "responses": {"101": {"description": "Switching to WebSocket"}, "400": _answer("Refused", "Refusal")},
        }
    }


def _health() -> Schema:
    return {
        "get": {
            "summary": "Whether the master can work, and if not, why",
            "responses": {"200": _answer("All parts are well", "Health"), "503": _answer("A part is not", "Health")},
        }
    }


def _schemas() -> dict[str, Schema]:
    sid = _bytes(16)
    return {
        "KeysSessionRequest": {"oneOf": [_keys_session_request("share"), _keys_session_request("slavePubRSAKey")]},
        "KeysSessionReply": {
            "oneOf": [_keys_session_answer("share"), _keys_session_answer("encryptedAESKey"), _cookie_challenge()]
        },
        "SealedRequest": _object({"sid": sid, "seq": _integer(SEQ_LIMIT - 1), "sealed": _bytes()}),
        "SealedAnswer": _object({"sealed": _bytes()}),
        "Refusal": {"type": "object", "examples": [REFUSAL_BODY.decode()]} | _error("refused"),
        "Busy": {"type": "object", "examples": [BUSY_BODY.decode()]} | _error("busy"),
        "Health": {
            "type": "object",
            "required": ["status", "parts"],
            "properties": {
                "status": {"enum": ["ok", "degraded"]},
                "parts": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
    }


def _keys_session_request(share_name: str) -> Schema:
    required = {
        "v": {"const": 1},
        "suites": _names([suite.value for suite in Suite]),
        "aeads": _names([aead.value for aead in Aead]),
        "gid": {"anyOf": [{"const": ""}, _bytes(16)]},
        "sn": _bytes(32),
        share_name: _bytes(),
    }
    return _object(required, optional={"cookie": _bytes(32)})


def _keys_session_answer(share_name: str) -> Schema:
    return _object(
        {
            "v": {"const": 1},
            "suite": {"enum": [suite.value for suite in Suite]},
            "aead": {"enum": [aead.value for aead in Aead]},
            "sid": _bytes(16),
            "mn": _bytes(32),
            share_name: _bytes(),
            "sig": _bytes(64),
            "fin": _bytes(32),
        }
    )


def _cookie_challenge() -> Schema:
    return _object({"v": {"const": 1}, "cookie": _bytes(32)})


def _error(code: str) -> Schema:
    inner = _object({"code": {"const": code}, "message": {"type": "string"}})
    return {"required": ["error"], "properties": {"error": inner}, "additionalProperties": False}


def _object(properties: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": properties | (optional or {}),
        "required": list(properties),
        "additionalProperties": False,
    }


def _names(choices: list[str]) -> Schema:
    return {
        "type": "array",
        "items": {"enum": choices},
        "minItems": 1,
        "maxItems": min(OFFERS_MAX, len(choices)),
        "uniqueItems": True,
    }


def _bytes(length_bytes: int | None = None) -> Schema:
    schema: Schema = {"type": "string", "contentEncoding": "base64url", "pattern": "^[A-Za-z0-9_-]*$"}
    if length_bytes is not None:
        characters = -(-length_bytes * 4 // 3)
        schema |= {"minLength": characters, "maxLength": characters}
    return schema


def _integer(maximum: int) -> Schema:
    return {"type": "integer", "minimum": 0, "maximum": min(maximum, JSON_INTEGER_MAX)}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(description: str, name: str) -> Schema:
    return {"description": description, "content": {MIME: {"schema": _reference(name)}}}
