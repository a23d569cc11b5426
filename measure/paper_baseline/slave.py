"""The slave's steps as pure functions: bytes in, bytes out, no socket, no clock.

`prepare_association_request` and `prepare_data_message` are the two operations that Table 2 times ("The needed time to
prepare a request for the association", "to prepare a data message"). The paper does not say what they contain; each
docstring here says what ours does.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from coincurve import PrivateKey
from Crypto.PublicKey import RSA

from measure.paper_baseline.ciphers import (
    RandomBytes,
    SessionKey,
    decrypt,
    encrypt,
    generate_rsa_key,
    public_pem,
    unwrap_session_key,
)
from measure.paper_baseline.clear_texts import SignedReading, SignedTicket, Ticket
from measure.paper_baseline.messages import (
    AssociationRequest,
    DataMessage,
    KeySessionAnswer,
    KeySessionRequest,
    TicketAnswer,
    TicketRequest,
)
from measure.paper_baseline.signatures import association_message, derive_object_id, exchange_message, sign


class DataForm(StrEnum):
    """The paper describes a data message twice."""

    SECTION_5_2 = "5.2"
    """Object id and encrypted data: what the experiments sent."""

    SECTION_4_2 = "4.2"
    """The data, Gid, Oid and the slave's signature of them (4.2 b.4 iv): what the design says of a transaction."""


@dataclass(frozen=True, slots=True)
class Device:
    """A slave's keys: the elliptic curve pair of section 4.2 b.2, and the RSA pair of Figure 9."""

    private_key: PrivateKey = field(repr=False)
    rsa_key: RSA.RsaKey = field(repr=False)

    @classmethod
    def generate(cls, random_bytes: RandomBytes) -> Self:
        """A new device; it takes tenths of a second, nearly all of them for the RSA key."""
        return cls(PrivateKey(random_bytes(32)), generate_rsa_key(random_bytes))

    @property
    def public_key(self) -> bytes:
        """65 bytes, 04 ‖ x ‖ y."""
        return self.private_key.public_key.format(compressed=False)

    @property
    def object_id(self) -> bytes:
        """2 bytes."""
        return derive_object_id(self.public_key)


def prepare_key_session_request(device: Device) -> bytes:
    """The body of GET /keysSession (Figure 9): export of the RSA key, JSON. The key exists already."""
    return KeySessionRequest(public_pem(device.rsa_key), device.object_id).encode()


def accept_key_session(device: Device, answer: bytes) -> SessionKey:
    """The session key out of Figure 10's answer. Nothing tells the slave who made it.

    Raises:
        MalformedMessage: the answer is something else or for another key.
    """
    return unwrap_session_key(KeySessionAnswer.decode(answer).encrypted_aes_key, device.rsa_key)


def prepare_ticket_request(device: Device) -> bytes:
    """The body of GET /getTicket (Figure 11): identifiers in JSON, no cryptography, no proof of possession."""
    return TicketRequest(device.object_id, device.public_key).encode()


def accept_ticket(session: SessionKey, answer: bytes) -> Ticket:
    """The ticket out of Figure 12's answer. The slave has no key of the master to verify it with.

    Raises:
        MalformedMessage: the answer is something else or under another key.
    """
    return Ticket.decode(decrypt(session, TicketAnswer.decode(answer).encrypted))


def prepare_association_request(device: Device, session: SessionKey, ticket: Ticket) -> bytes:
    """The body of GET /assoc (Figure 13): the quantity "Assoc Time" of Table 2.

    Contains: one Keccak and one ECDSA signature over the ticket (section 4.2 b.4 i), JSON of both, AES-256-CBC,
    base64, JSON. Contains neither the making of keys, nor RSA, nor the steps before, nor network or chain.
    """
    signed = association_message(ticket.group_id, ticket.object_id, ticket.address, ticket.token)
    clear = SignedTicket(ticket, sign(device.private_key, signed)).encode()
    return AssociationRequest(device.object_id, encrypt(session, clear)).encode()


def prepare_data_message(
    device: Device, session: SessionKey, ticket: Ticket, reading: bytes, form: DataForm = DataForm.SECTION_5_2
) -> bytes:
    """The body of GET /data (section 5.2, end): the quantity "Data time" of Table 2.

    Contains: AES-256-CBC of the reading, base64, JSON; in the form of section 4.2 also Keccak, an ECDSA signature and
    the JSON inside. Table 2's data message took an eighth of an association request on the laptop (0.13 of 1.03 ms).
    """
    clear = reading
    if form is DataForm.SECTION_4_2:
        signature = sign(device.private_key, exchange_message(reading, ticket.group_id, ticket.object_id))
        clear = SignedReading(reading, ticket.group_id, ticket.object_id, signature).encode()
    return DataMessage(device.object_id, encrypt(session, clear)).encode()
