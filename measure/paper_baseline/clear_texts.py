"""What the encrypted members hold.

No figure shows it: the text names the fields, and the captured lengths fit this way to spell them.
"""

from dataclasses import dataclass
from typing import Self

from measure.paper_baseline.json_form import (
    Json,
    decode_json,
    encode_base64,
    encode_buffer,
    encode_json,
    read_base64,
    read_buffer_of,
    read_hex,
)
from measure.paper_baseline.signatures import ADDRESS_BYTES, GROUP_ID_BYTES, OBJECT_ID_BYTES, TOKEN_BYTES


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
            read_hex(document, "gid", GROUP_ID_BYTES),
            read_hex(document, "oid", OBJECT_ID_BYTES),
            read_buffer_of(document, "publicAddr", ADDRESS_BYTES),
            read_buffer_of(document, "signature", TOKEN_BYTES),
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
        return cls(Ticket.read(document), read_hex(document, "slaveSign", TOKEN_BYTES))


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
                "data": encode_base64(self.reading),
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
            read_base64(document, "data"),
            read_hex(document, "gid", GROUP_ID_BYTES),
            read_hex(document, "oid", OBJECT_ID_BYTES),
            read_hex(document, "signature", TOKEN_BYTES),
        )
