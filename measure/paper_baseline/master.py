"""The master's steps: request body in, answer body out. It reaches the chain through the register's port, nothing else.

What it lacks is the paper's: sessions are found by the two bytes of object id that a request claims, a later
/keysSession under the same id takes the session over, and whoever asks for a ticket gets one.
"""

from dataclasses import dataclass, field
from typing import Self

from coincurve import PrivateKey
from Crypto.PublicKey import RSA

from measure.paper_baseline.ciphers import (
    RandomBytes,
    SessionKey,
    decrypt,
    encrypt,
    generate_rsa_key,
    new_session_key,
    public_pem,
    read_public_pem,
    wrap_session_key,
)
from measure.paper_baseline.clear_texts import SignedReading, SignedTicket, Ticket
from measure.paper_baseline.errors import MalformedMessage, Reason, Refused
from measure.paper_baseline.messages import (
    TRUE,
    AssociationRequest,
    DataMessage,
    KeySessionAnswer,
    KeySessionRequest,
    TicketAnswer,
    TicketRequest,
)
from measure.paper_baseline.register import AssociationRegister, Candidate, Exchange, Role
from measure.paper_baseline.signatures import GROUP_ID_BYTES, derive_address, derive_object_id, sign, token_message
from measure.paper_baseline.slave import DataForm


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """The pair that signs tokens (section 4.2 b.1), the RSA pair of Figure 10, and the group that it forms."""

    private_key: PrivateKey = field(repr=False)
    rsa_key: RSA.RsaKey = field(repr=False)
    group_id: bytes

    @classmethod
    def generate(cls, random_bytes: RandomBytes) -> Self:
        """New keys and a new group id; it takes tenths of a second, nearly all of them for the RSA key."""
        return cls(PrivateKey(random_bytes(32)), generate_rsa_key(random_bytes), random_bytes(GROUP_ID_BYTES))

    @property
    def public_key(self) -> bytes:
        """65 bytes, 04 ‖ x ‖ y."""
        return self.private_key.public_key.format(compressed=False)

    @property
    def object_id(self) -> bytes:
        """2 bytes."""
        return derive_object_id(self.public_key)


@dataclass(frozen=True, slots=True)
class Received:
    """A reading that the master took, and the object id that the message claimed."""

    object_id: bytes
    reading: bytes


def issue_ticket(keys: MasterKeys, request: TicketRequest) -> Ticket:
    """Sign (gid, oid, address) for whoever asks (section 4.2 b.5); the object id is taken as claimed."""
    address = derive_address(request.public_key)
    token = sign(keys.private_key, token_message(keys.group_id, request.object_id, address))
    return Ticket(keys.group_id, request.object_id, address, token)


class PaperMaster:
    """The master of sections 4.2 b.3 to b.6 and 5.2, without HTTP.

    Args:
        keys: who it is.
        register: the chain's place.
        random_bytes: for session keys and OAEP.
        form: which of the paper's two data messages it takes.
    """

    def __init__(
        self,
        keys: MasterKeys,
        register: AssociationRegister,
        random_bytes: RandomBytes,
        form: DataForm = DataForm.SECTION_5_2,
    ) -> None:
        self.received: list[Received] = []
        self._keys = keys
        self._register = register
        self._random_bytes = random_bytes
        self._form = form
        self._sessions: dict[bytes, SessionKey] = {}
        self._public_keys: dict[bytes, bytes] = {}

    async def create_group(self) -> None:
        """Form the group (section 4.2 b.3, Figure 6).

        Raises:
            Refused: the group id or this master is in the register already.
        """
        keys = self._keys
        address = derive_address(keys.public_key)
        await self._register.associate(Candidate(Role.MASTER, keys.group_id, keys.object_id, address, keys.public_key))

    async def answer_key_session(self, body: bytes) -> bytes:
        """Figures 9 and 10: a new AES key for whatever RSA key came.

        Raises:
            MalformedMessage: the body is something else.
        """
        request = KeySessionRequest.decode(body)
        session = new_session_key(self._random_bytes)
        try:
            wrapped = wrap_session_key(session, read_public_pem(request.slave_rsa_pem), self._random_bytes)
        except ValueError as exc:
            raise MalformedMessage("the RSA key is too short to wrap a session key") from exc
        self._sessions[request.object_id] = session
        return KeySessionAnswer(public_pem(self._keys.rsa_key), wrapped).encode()

    async def answer_ticket(self, body: bytes) -> bytes:
        """Figures 11 and 12: a signed token, under the session key, for anyone.

        Raises:
            MalformedMessage: the body is something else.
            Refused: no session key was shared under this object id.
        """
        request = TicketRequest.decode(body)
        session = self._session(request.object_id)
        self._public_keys[request.object_id] = request.public_key
        return TicketAnswer(encrypt(session, issue_ticket(self._keys, request).encode())).encode()

    async def answer_association(self, body: bytes) -> bytes:
        """Figure 13: decrypt the token and let the register decide (section 4.2 b.4).

        Raises:
            MalformedMessage: the body, or what it encrypts, is something else.
            Refused: by the register, or since no session or ticket came before.
        """
        request = AssociationRequest.decode(body)
        signed = SignedTicket.decode(decrypt(self._session(request.object_id), request.encrypted))
        ticket = signed.ticket
        if ticket.object_id not in self._public_keys:
            raise Refused(Reason.NO_TICKET)
        await self._register.associate(
            Candidate(
                Role.SLAVE,
                ticket.group_id,
                ticket.object_id,
                ticket.address,
                self._public_keys[ticket.object_id],
                ticket.token,
                signed.slave_signature,
            )
        )
        return TRUE

    async def answer_data(self, body: bytes) -> bytes:
        """Section 5.2, end: check that the object id is a member's, decrypt, keep.

        Raises:
            MalformedMessage: the body is something else, or does not decrypt to anything padded.
            Refused: not a member; in the form of section 4.2, not signed by the sender either.
        """
        message = DataMessage.decode(body)
        session = self._session(message.object_id)
        await self._register.check_membership(self._keys.group_id, message.object_id)
        reading = decrypt(session, message.encrypted)
        if self._form is DataForm.SECTION_4_2:
            reading = await self._check_signed(message.object_id, SignedReading.decode(reading))
        self.received.append(Received(message.object_id, reading))
        return TRUE

    async def _check_signed(self, sender_id: bytes, signed: SignedReading) -> bytes:
        """Algorithm 3; the sender is who signed, so the clear text's object id has to be the message's."""
        if signed.object_id != sender_id:
            raise Refused(Reason.SIGNATURE_INVALID)
        await self._register.check_exchange(
            Exchange(signed.group_id, sender_id, self._keys.object_id, signed.reading, signed.signature)
        )
        return signed.reading

    def _session(self, object_id: bytes) -> SessionKey:
        if object_id not in self._sessions:
            raise Refused(Reason.NO_SESSION)
        return self._sessions[object_id]
