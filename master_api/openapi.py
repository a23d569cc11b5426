"""The OpenAPI 3.1 document of the request-and-answer paths. ``docs/protocol.md`` is the law; this shows it to tools."""

import json
from typing import Any, Final

from group_protocol.crypto.aead import TAG_BYTES, Aead
from group_protocol.crypto.exchange import MLKEM_CIPHERTEXT_BYTES, MLKEM_KEY_BYTES, X25519_BYTES
from group_protocol.identifiers import ADDRESS_BYTES, GROUP_ID_BYTES, HASH_BYTES, SESSION_ID_BYTES, SIGNATURE_BYTES
from group_protocol.limits import JSON_INTEGER_MAX, OFFERS_MAX, SEQ_LIMIT
from group_protocol.messages import BUSY_BODY, REFUSAL_BODY
from group_protocol.signed_change import CHANGE_BYTES
from group_protocol.succession import CHANGES_MAX
from group_protocol.suites import Suite

Schema = dict[str, Any]

MIME = "application/json"
_RSA_DER_BYTES: Final = (294, 422)
"""SubjectPublicKeyInfo of 2,048 and of 3,072 bits."""
_RSA_BLOCK_BYTES: Final = (256, 384)
_DIGIT: Final = "[A-Za-z0-9_-]"
_LAST_OF_ONE: Final = "[AQgw]"
"""The last digit of a group of one byte: four of its bits are zero."""
_LAST_OF_TWO: Final = "[AEIMQUYcgkosw048]"
"""And of a group of two bytes: two of its bits are zero."""


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
            "/succession": _post("Who came after a master whose address is known", "SuccessionRequest", "Succession"),
            "/keysSession": _post("Key exchange: M1 to M2 or M1R", "KeysSessionRequest", "KeysSessionReply"),
            "/getTicket": _post("Identity and ticket: M3 to M4", "SealedRequest", "SealedAnswer"),
            "/assoc": _post("Association through the contract: M5 to M6", "SealedRequest", "SealedAnswer"),
            "/rotate": _post("A device changes its key", "SealedRequest", "SealedAnswer"),
            "/data": _post("Records: one sealed frame to one sealed ACK", "SealedRequest", "SealedAnswer"),
            "/stream": _stream(),
            "/healthz": _health(),
            "/openapi.json": _this_document(),
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
                "429": _answer("The master is busy", "Busy", {"Retry-After": _header(_integer(3_600))}),
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


def _this_document() -> Schema:
    shown = {"type": "object", "required": ["openapi", "info", "paths", "components"]}
    content = {MIME: {"schema": shown}}
    return {
        "get": {"summary": "This document", "responses": {"200": {"description": "The document", "content": content}}}
    }


def _schemas() -> dict[str, Schema]:
    return {
        "KeysSessionRequest": {"oneOf": _keys_session_requests()},
        "KeysSessionReply": {"oneOf": [*_keys_session_answers(), _cookie_challenge()]},
        "SuccessionRequest": _object({"v": {"const": 1}, "master": _bytes(ADDRESS_BYTES)}),
        "Succession": _object(
            {
                "v": {"const": 1},
                "gid": _bytes(GROUP_ID_BYTES),
                "chain": _bytes(8),
                "contract": _bytes(ADDRESS_BYTES),
                "changes": _bytes_between(CHANGE_BYTES, CHANGES_MAX * CHANGE_BYTES),
            }
        ),
        "SealedRequest": _object(
            {"sid": _bytes(SESSION_ID_BYTES), "seq": _integer(SEQ_LIMIT - 1), "sealed": _bytes_between(TAG_BYTES)}
        ),
        "SealedAnswer": _object({"sealed": _bytes_between(TAG_BYTES)}),
        "Refusal": {"type": "object", "examples": [json.loads(REFUSAL_BODY)]} | _error("refused"),
        "Busy": {"type": "object", "examples": [json.loads(BUSY_BODY)]} | _error("busy"),
        "Health": {
            "type": "object",
            "required": ["status", "master", "parts"],
            "properties": {
                "status": {"enum": ["ok", "degraded"]},
                "master": {"type": "string", "pattern": "^0x[0-9a-f]{40}$"},
                "parts": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
    }


def _keys_session_requests() -> list[Schema]:
    """M1 in its three forms: what is offered says what the share is (``docs/protocol.md`` §3.1)."""
    return [
        _keys_session_request([[Suite.E1]], "share", _bytes(X25519_BYTES)),
        _keys_session_request([[Suite.H1, Suite.E1], [Suite.H1]], "share", _bytes(X25519_BYTES + MLKEM_KEY_BYTES)),
        _keys_session_request([[Suite.R1]], "slavePubRSAKey", _bytes_between(*_RSA_DER_BYTES)),
    ]


def _keys_session_request(offers: list[list[Suite]], share_name: str, share: Schema) -> Schema:
    required: dict[str, Schema] = {
        "v": {"const": 1},
        "suites": {"enum": [[suite.value for suite in offer] for offer in offers]},
        "aeads": _names([aead.value for aead in Aead]),
        "gid": {"anyOf": [{"const": ""}, _bytes(GROUP_ID_BYTES)]},
        "sn": _bytes(HASH_BYTES),
        share_name: share,
    }
    return _object(required, optional={"cookie": _bytes(HASH_BYTES)})


def _keys_session_answers() -> list[Schema]:
    """M2 in its three forms."""
    return [
        _keys_session_answer(Suite.E1, "share", _bytes(X25519_BYTES)),
        _keys_session_answer(Suite.H1, "share", _bytes(X25519_BYTES + MLKEM_CIPHERTEXT_BYTES)),
        _keys_session_answer(Suite.R1, "encryptedAESKey", _bytes_between(*_RSA_BLOCK_BYTES)),
    ]


def _keys_session_answer(suite: Suite, share_name: str, share: Schema) -> Schema:
    return _object(
        {
            "v": {"const": 1},
            "suite": {"const": suite.value},
            "aead": {"enum": [aead.value for aead in Aead]},
            "sid": _bytes(SESSION_ID_BYTES),
            "mn": _bytes(HASH_BYTES),
            share_name: share,
            "sig": _bytes(SIGNATURE_BYTES),
            "fin": _bytes(HASH_BYTES),
        }
    )


def _cookie_challenge() -> Schema:
    return _object({"v": {"const": 1}, "cookie": _bytes(HASH_BYTES)})


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


def _bytes(length_bytes: int) -> Schema:
    """Base64url of so many bytes, in the one form that a decoder takes."""
    groups, rest = divmod(length_bytes, 3)
    tail = ("", _DIGIT + _LAST_OF_ONE, _DIGIT + "{2}" + _LAST_OF_TWO)[rest]
    return _base64(f"{_DIGIT}{{{groups * 4}}}{tail}", length_bytes, length_bytes)


def _bytes_between(least_bytes: int, most_bytes: int | None = None) -> Schema:
    """Base64url of at least and at most so many bytes."""
    tail = f"{_DIGIT}{_LAST_OF_ONE}|{_DIGIT}{{2}}{_LAST_OF_TWO}"
    return _base64(f"({_DIGIT}{{4}})*({tail})?", least_bytes, most_bytes)


def _base64(pattern: str, least_bytes: int, most_bytes: int | None) -> Schema:
    schema = {
        "type": "string",
        "contentEncoding": "base64url",
        "pattern": f"^{pattern}$",
        "minLength": _characters(least_bytes),
    }
    return schema if most_bytes is None else schema | {"maxLength": _characters(most_bytes)}


def _characters(length_bytes: int) -> int:
    return -(-length_bytes * 4 // 3)


def _integer(maximum: int) -> Schema:
    return {"type": "integer", "minimum": 0, "maximum": min(maximum, JSON_INTEGER_MAX)}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _header(schema: Schema) -> Schema:
    return {"required": True, "schema": schema}


def _answer(description: str, name: str, headers: Schema | None = None) -> Schema:
    return {
        "description": description,
        "headers": {"Cache-Control": _header({"const": "no-store"})} | (headers or {}),
        "content": {MIME: {"schema": _reference(name)}},
    }
