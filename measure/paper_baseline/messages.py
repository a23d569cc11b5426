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

What the ciphertexts hold is in `clear_texts`. No figure shows that, nor the path /data, nor the answer `true`:
`docs/paper_baseline.md` says why they are so.
"""

from dataclasses import dataclass
from typing import Self

from measure.paper_baseline.json_form import (
    decode_json,
    encode_base64,
    encode_buffer,
    encode_json,
    read_base64,
    read_buffer,
    read_hex,
)
from measure.paper_baseline.signatures import OBJECT_ID_BYTES, PUBLIC_KEY_BYTES

TRUE = b"true"
"""The answer to /assoc: the captured 209 bytes are Express's headers and four bytes of JSON."""

FALSE = b"false"
"""A refusal. Assumed: the paper shows none."""


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
        return cls(read_buffer(document, "slavePubRSAKey"), read_hex(document, "oid", OBJECT_ID_BYTES))


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
                "encryptedAESKey": encode_base64(self.encrypted_aes_key),
            }
        )

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Raises MalformedMessage."""
        document = decode_json(body)
        return cls(read_buffer(document, "MasterPubRSAKey"), read_base64(document, "encryptedAESKey"))


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
        return cls(read_hex(document, "oid", OBJECT_ID_BYTES), read_hex(document, "objectPubKey", PUBLIC_KEY_BYTES))


@dataclass(frozen=True, slots=True)
class TicketAnswer:
    """Figure 12: the ticket under the session key. `encrypted` is AES-256-CBC."""

    encrypted: bytes

    def encode(self) -> bytes:
        """The answer to /getTicket."""
        return encode_json({"token": encode_base64(self.encrypted)})

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Raises MalformedMessage."""
        return cls(read_base64(decode_json(body), "token"))


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """Figure 13: the object id in the clear, the token under the session key."""

    object_id: bytes
    encrypted: bytes

    def encode(self) -> bytes:
        """The body of GET /assoc."""
        return encode_json({"oid": self.object_id.hex(), "token": encode_base64(self.encrypted)})

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Raises MalformedMessage."""
        document = decode_json(body)
        return cls(read_hex(document, "oid", OBJECT_ID_BYTES), read_base64(document, "token"))


@dataclass(frozen=True, slots=True)
class DataMessage:
    """Section 5.2, its last paragraph: "The slave device sends its object Id … and the encrypted data"."""

    object_id: bytes
    encrypted: bytes

    def encode(self) -> bytes:
        """The body of GET /data."""
        return encode_json({"oid": self.object_id.hex(), "data": encode_base64(self.encrypted)})

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Raises MalformedMessage."""
        document = decode_json(body)
        return cls(read_hex(document, "oid", OBJECT_ID_BYTES), read_base64(document, "data"))
