"""M1 to M6 with the protocol's own machines on both sides, body by body: no store, no registry, no chain."""

from benchmarks.fixtures import (
    DOMAIN,
    GID,
    MASTER_KEY,
    PAIRING_CODE,
    POLICY,
    RANDOM,
    begin_join,
    make_ticket,
)
from group_protocol.channels import MasterSession, OpenedRequest, SlaveSession
from group_protocol.crypto.keys import PrivateKey, verify_signature
from group_protocol.errors import Reason, UnexpectedMessageError
from group_protocol.handshake import MasterHandshake, SlaveHandshake
from group_protocol.identifiers import HASH_BYTES, Address, Token
from group_protocol.messages import KeysSessionRequest, SealedAnswer, SealedRequest, parse_keys_session_answer
from group_protocol.suites import Suite
from group_protocol.tickets import AssociationCall, MembershipState, RegistryResult, Ticket

STEPS = ("/keysSession", "/getTicket", "/assoc")


class CoreMaster:
    """The master's computation in a join of one device, from body to body."""

    def __init__(self) -> None:
        self._handshake: MasterHandshake
        self._session: MasterSession
        self._address: Address
        self._token: Token

    def answer(self, path: str, body: bytes) -> bytes:
        """The body that answers this one."""
        if path == "/keysSession":
            return self._answer_keys_session(body)
        if path == "/getTicket":
            return self._answer_ticket(body)
        return self._answer_association(body)

    def _answer_keys_session(self, body: bytes) -> bytes:
        m1 = KeysSessionRequest.from_body(body)
        self._handshake, m2 = MasterHandshake.answer(m1, key=MASTER_KEY, policy=POLICY, random=RANDOM)
        return m2.to_body()

    def _answer_ticket(self, body: bytes) -> bytes:
        identity = self._handshake.receive_identity(SealedRequest.from_body(body))
        self._handshake.verify_pairing(PAIRING_CODE)
        self._address = identity.address
        ticket = make_ticket(identity.address)
        self._token = ticket.token
        self._session, m4 = self._handshake.admit(ticket)
        return m4.to_body()

    def _answer_association(self, body: bytes) -> bytes:
        """What the master itself checks (``master_api.control``); the contract's checks are the chain's."""
        opened = self._session.control.open_request(SealedRequest.from_body(body))
        if not isinstance(opened, OpenedRequest):
            raise UnexpectedMessageError("an association came twice")
        call = AssociationCall.decode(opened.plaintext)
        if call.token != self._token:
            raise UnexpectedMessageError("a token that the master did not issue")
        digest = DOMAIN.association_digest(GID, call.token, call.deadline_unix_s)
        verify_signature(digest, call.request, self._address)
        result = RegistryResult(MembershipState.ACTIVE, Reason.NONE, bytes(HASH_BYTES), 1, 1)
        return self._session.control.seal_answer(opened.seq, result.encode()).to_body()


class CoreSlave:
    """The device's computation, from body to body.

    Attributes:
        path: Where the body goes that :meth:`first` or :meth:`take` gave last; empty when the join is over.
        state: What the master says of the device at the end.
    """

    def __init__(self, suite: Suite, key: PrivateKey, code: bytes = PAIRING_CODE) -> None:
        self._suite = suite
        self._key = key
        self._code = code
        self._handshake: SlaveHandshake
        self._ticket: Ticket
        self._seq = 0
        self.path = ""
        self.state = MembershipState.NOT_ASSOCIATED

    @property
    def established(self) -> tuple[SlaveSession, Ticket]:
        """Session and ticket, once the answer of ``/getTicket`` was taken."""
        return self._handshake.session, self._ticket

    def first(self) -> bytes:
        """M1, with fresh ephemeral keys."""
        self._handshake = begin_join(self._suite, self._key, self._code)
        self.path = STEPS[0]
        return self._handshake.start().to_body()

    def take(self, answer: bytes) -> bytes:
        """What to send after this answer; empty after the last."""
        if self.path == STEPS[0]:
            following = self._handshake.receive_keys_session(parse_keys_session_answer(answer))
            if isinstance(following, SealedRequest):
                self.path = STEPS[1]
            return following.to_body()
        if self.path == STEPS[1]:
            return self._associate(answer)
        plaintext = self._handshake.session.control.open_answer(self._seq, SealedAnswer.from_body(answer))
        self.state = RegistryResult.decode(plaintext).state
        self.path = ""
        return b""

    def _associate(self, answer: bytes) -> bytes:
        self._ticket = ticket = self._handshake.receive_ticket(SealedAnswer.from_body(answer))
        digest = DOMAIN.association_digest(ticket.gid, ticket.token, ticket.deadline_unix_s)
        call = AssociationCall(ticket.token, self._key.sign_digest(digest), ticket.deadline_unix_s)
        request = self._handshake.session.control.seal_request(call.encode())
        self._seq = request.seq
        self.path = STEPS[2]
        return request.to_body()
