"""JSON as Node spells it, and its members read strictly."""

import base64
import binascii
import json
from collections.abc import Mapping

from group_protocol.shallow_json import load_shallow_json
from measure.paper_baseline.errors import MalformedMessage

Json = Mapping[str, object]


def encode_json(document: Json) -> bytes:
    """JSON without spaces, members in the order given, like `JSON.stringify`."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def decode_json(body: bytes) -> Json:
    """A JSON object.

    Raises:
        MalformedMessage: it is none.
    """
    try:
        document = load_shallow_json(body)
    except ValueError as exc:
        raise MalformedMessage("not JSON") from exc
    if not isinstance(document, dict):
        raise MalformedMessage("not a JSON object")
    return document


def encode_buffer(content: bytes) -> Json:
    """Bytes as Node's `Buffer` turns into JSON (Figures 9 and 10): about 3.3 characters a byte."""
    return {"type": "Buffer", "data": list(content)}


def read_text(document: Json, name: str) -> str:
    """A member that is a text.

    Raises:
        MalformedMessage: it is not.
    """
    value = document.get(name)
    if not isinstance(value, str):
        raise MalformedMessage(f"{name} is missing or not a text")
    return value


def read_hex(document: Json, name: str, length_bytes: int) -> bytes:
    """A member that is hexadecimal digits for so many bytes.

    Raises:
        MalformedMessage: it is not.
    """
    try:
        value = bytes.fromhex(read_text(document, name))
    except ValueError as exc:
        raise MalformedMessage(f"{name} is not hexadecimal") from exc
    if len(value) != length_bytes:
        raise MalformedMessage(f"{name} is not {length_bytes} bytes")
    return value


def read_base64(document: Json, name: str) -> bytes:
    """A member that is base64.

    Raises:
        MalformedMessage: it is not.
    """
    try:
        return base64.b64decode(read_text(document, name), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise MalformedMessage(f"{name} is not base64") from exc


def read_buffer(document: Json, name: str) -> bytes:
    """A member that is a Buffer.

    Raises:
        MalformedMessage: it is not.
    """
    value = document.get(name)
    if not isinstance(value, dict) or value.get("type") != "Buffer" or not isinstance(value.get("data"), list):
        raise MalformedMessage(f"{name} is missing or not a Buffer")
    try:
        return bytes(value["data"])
    except (TypeError, ValueError) as exc:
        raise MalformedMessage(f"{name} holds something that is not a byte") from exc


def read_buffer_of(document: Json, name: str, length_bytes: int) -> bytes:
    """A member that is a Buffer of so many bytes.

    Raises:
        MalformedMessage: it is not.
    """
    value = read_buffer(document, name)
    if len(value) != length_bytes:
        raise MalformedMessage(f"{name} is not {length_bytes} bytes")
    return value


def encode_base64(content: bytes) -> str:
    """Bytes as the figures show ciphertexts: base64 with the standard alphabet."""
    return base64.b64encode(content).decode()
