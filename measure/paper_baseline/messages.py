"""The JSON bodies of Figures 9 to 13, member names and order as captured, spelt as Node's `JSON.stringify` spells them.

```
GET /keysSession   {"slavePubRSAKey":{"type":"Buffer","data":[…]},"oid":"9d9c"}                       Figure 9
                   {"MasterPubRSAKey":{"type":"Buffer","data":[…]},"encryptedAESKey":"base64"}        Figure 10
GET /getTicket     {"oid":"9d9c","objectPubKey":"04…9d9c"}                                            Figure 11
                   {"token":"base64 of AES(ticket)"}, sent as text/html                               Figure 12
GET /assoc         {"oid":"9d9c","token":"base64 of AES(ticket, signed by the slave)"}                Figure 13
                   true
GET /data          {"oid":"9d9c","data":"base64 of AES(reading)"}                                     section 5.2, end
                   true
```

The clear texts inside, the path /data and the answer `true` are in no figure: see `docs/paper_baseline.md`.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from measure.paper_baseline.errors import MalformedMessage
from measure.paper_baseline.signatures import (
    ADDRESS_BYTES,
    GROUP_ID_BYTES,
    OBJECT_ID_BYTES,
    PUBLIC_KEY_BYTES,
    TOKEN_BYTES,
)

TRUE = b"true"
"""The answer to /assoc: the captured 209 bytes are Express's headers and four bytes of JSON."""

FALSE = b"false"
"""A refusal. Assumed: the paper shows none."""

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
        document = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise MalformedMessage("not JSON") from exc
    if not isinstance(document, dict):
        raise MalformedMessage("not a JSON object")
    return document


def encode_buffer(content: bytes) -> Json:
    """Bytes as Node's `Buffer` turns into JSON (Figures 9 and 10): about 3.3 characters a byte."""
    return {"type": "Buffer", "data": list(content)}


def _text(document: Json, name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise MalformedMessage(f"{name} is missing or not a text")
    return value


def _hex(document: Json, name: str, length_bytes: int) -> bytes:
    try:
        value = bytes.fromhex(_text(document, name))
    except ValueError as exc:
        raise MalformedMessage(f"{name} is not hexadecimal") from exc
    if len(value) != length_bytes:
        raise MalformedMessage(f"{name} is not {length_bytes} bytes")
    return value


def _base64(document: Json, name: str) -> bytes:
    try:
        return base64.b64decode(_text(document, name), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise MalformedMessage(f"{name} is not base64") from exc


def _buffer(document: Json, name: str) -> bytes:
    value = document.get(name)
    if not isinstance(value, dict) or value.get("type") != "Buffer" or not isinstance(value.get("data"), list):
        raise MalformedMessage(f"{name} is missing or not a Buffer")
    try:
        return bytes(value["data"])
    except (TypeError, ValueError) as exc:
        raise MalformedMessage(f"{name} holds something that is not a byte") from exc


def _buffer_of(document: Json, name: str, length_bytes: int) -> bytes:
    value = _buffer(document, name)
    if len(value) != length_bytes:
        raise MalformedMessage(f"{name} is not {length_bytes} bytes")
    return value


def _base64_text(content: bytes) -> str:
    return base64.b64encode(content).decode()


@dataclass(frozen=True, slots=True)
class KeySessionRequest:
    """Figure 9. The text calls the key "(ECDSA)"; the capture, which rules, says `slavePubRSAKey`."""

    slave_rsa_pem: bytes
    object_id: bytes

    def encode(self) -> bytes:
        """The body of GET /keysSession."""
        return encode_json({"slavePubRSAKey": encode_buffer(self.slave_rsa_pem), "oid": self.object_id.hex()})

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Raises MalformedMessage."""
        document = decode_json(body)
        return cls(_buffer(document, "slavePubRSAKey"), _hex(document, "oid", OBJECT_ID_BYTES))


@dataclass(frozen=True, slots=True)
class KeySessionAnswer:
    """Figure 10. Nothing in the flow uses the master's RSA key, and nothing signs either member."""

    master_rsa_pem: bytes
    encrypted_aes_key: bytes

    def encode(self) -> bytes:
        """The answer to /keysSession."""
        return encode_json(
            {
                "MasterPubRSAKey": encode_buffer(self.master_rsa_pem),
                "encryptedAESKey": _base64_text(self.encrypted_aes_key),
            }
        )

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Raises MalformedMessage."""
        document = decode_json(body)
        return cls(_buffer(document, "MasterPubRSAKey"), _base64(document, "encryptedAESKey"))


@dataclass(frozen=True, slots=True)
class TicketRequest:
    """Figure 11. The text calls the object id encrypted; the capture shows both members in the clear."""

    object_id: bytes
    public_key: bytes

    def encode(self) -> bytes:
        """The body of GET /getTicket."""
        return encode_json({"oid": self.object_id.hex(), "objectPubKey": self.public_key.hex()})

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Raises MalformedMessage."""
        document = decode_json(body)
        return cls(_hex(document, "oid", OBJECT_ID_BYTES), _hex(document, "objectPubKey", PUBLIC_KEY_BYTES))


@dataclass(frozen=True, slots=True)
class TicketAnswer:
    """Figure 12: the ticket under the session key. `encrypted` is AES-256-CBC."""

    encrypted: bytes

    def encode(self) -> bytes:
        """The answer to /getTicket."""
        return encode_json({"token": _base64_text(self.encrypted)})

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Raises MalformedMessage."""
        return cls(_base64(decode_json(body), "token"))


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """Figure 13: the object id in the clear, the token under the session key."""

    object_id: bytes
    encrypted: bytes

    def encode(self) -> bytes:
        """The body of GET /assoc."""
        return encode_json({"oid": self.object_id.hex(), "token": _base64_text(self.encrypted)})

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Raises MalformedMessage."""
        document = decode_json(body)
        return cls(_hex(document, "oid", OBJECT_ID_BYTES), _base64(document, "token"))


@dataclass(frozen=True, slots=True)
class DataMessage:
    """Section 5.2, its last paragraph: "The slave device sends its object Id … and the encrypted data"."""

    object_id: bytes
    encrypted: bytes

    def encode(self) -> bytes:
        """The body of GET /data."""
        return encode_json({"oid": self.object_id.hex(), "data": _base64_text(self.encrypted)})

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Raises MalformedMessage."""
        document = decode_json(body)
        return cls(_hex(document, "oid", OBJECT_ID_BYTES), _base64(document, "data"))


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the master's answer holds once decrypted (section 5.2 below Figure 11; member names of section 4.2 b.2)."""

    group_id: bytes
    object_id: bytes
    address: bytes
    token: bytes

    def members(self) -> dict[str, object]:
        """As JSON; address and signature are Buffers, as the RSA keys are in Figures 9 and 10."""
        return {
            "gid": self.group_id.hex(),
            "oid": self.object_id.hex(),
            "publicAddr": encode_buffer(self.address),
            "signature": encode_buffer(self.token),
        }

    def encode(self) -> bytes:
        """The clear text of Figure 12's token."""
        return encode_json(self.members())

    @classmethod
    def read(cls, document: Json) -> Self:
        """Raises MalformedMessage."""
        return cls(
            _hex(document, "gid", GROUP_ID_BYTES),
            _hex(document, "oid", OBJECT_ID_BYTES),
            _buffer_of(document, "publicAddr", ADDRESS_BYTES),
            _buffer_of(document, "signature", TOKEN_BYTES),
        )

    @classmethod
    def decode(cls, clear: bytes) -> Self:
        """Raises MalformedMessage."""
        return cls.read(decode_json(clear))


@dataclass(frozen=True, slots=True)
class SignedTicket:
    """The clear text of Figure 13's token: the ticket, and the slave's signature of it (section 4.2 b.4 i)."""

    ticket: Ticket
    slave_signature: bytes

    def encode(self) -> bytes:
        """As JSON, the signature in hex, as the slave's other elliptic curve value, `objectPubKey`, is."""
        return encode_json({**self.ticket.members(), "slaveSign": self.slave_signature.hex()})

    @classmethod
    def decode(cls, clear: bytes) -> Self:
        """Raises MalformedMessage."""
        document = decode_json(clear)
        return cls(Ticket.read(document), _hex(document, "slaveSign", TOKEN_BYTES))


@dataclass(frozen=True, slots=True)
class SignedReading:
    """The clear text of a data message in the form of section 4.2 b.4 iv: "The data, Gid, Oid, The signature"."""

    reading: bytes
    group_id: bytes
    object_id: bytes
    signature: bytes

    def encode(self) -> bytes:
        """As JSON."""
        return encode_json(
            {
                "data": _base64_text(self.reading),
                "gid": self.group_id.hex(),
                "oid": self.object_id.hex(),
                "signature": self.signature.hex(),
            }
        )

    @classmethod
    def decode(cls, clear: bytes) -> Self:
        """Raises MalformedMessage."""
        document = decode_json(clear)
        return cls(
            _base64(document, "data"),
            _hex(document, "gid", GROUP_ID_BYTES),
            _hex(document, "oid", OBJECT_ID_BYTES),
            _hex(document, "signature", TOKEN_BYTES),
        )
