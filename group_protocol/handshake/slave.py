"""The slave's side of M1–M4 (``docs/protocol.md`` §3)."""

from enum import Enum, auto
from typing import Final

from group_protocol.channels import Channel, Direction, SlaveSession
from group_protocol.crypto.aead import Aead
from group_protocol.crypto.exchange import SlaveShare, make_slave_share
from group_protocol.crypto.kdf import is_equal
from group_protocol.crypto.keys import PrivateKey, verify_signature
from group_protocol.errors import LocalProtocolError, UnexpectedMessageError, UnknownMasterError, VerificationError
from group_protocol.extensions import Standing, TurnedAwayError
from group_protocol.handshake.transcript import HandshakeSecrets, compute_th1, master_digest, slave_digest
from group_protocol.identifiers import HASH_BYTES, Address, GroupId, ObjectId, derive_object_id
from group_protocol.key_changes import KeyChange, KeyHistory
from group_protocol.messages import CookieChallenge, KeysSessionAnswer, KeysSessionRequest, SealedAnswer, SealedRequest
from group_protocol.pairing import derive_code_id, make_pairing_proof
from group_protocol.ports import Random
from group_protocol.suites import Suite
from group_protocol.tickets import IdentityProof, PairingProof, Ticket
from group_protocol.tokens import verify_token


class SlaveState(Enum):
    """Where the slave stands in the exchange."""

    START = auto()
    AWAIT_KEYS = auto()
    AWAIT_KEYS_AFTER_COOKIE = auto()
    AWAIT_TICKET = auto()
    ESTABLISHED = auto()
    FAILED = auto()


TRANSITIONS: Final = {
    (SlaveState.START, None): SlaveState.AWAIT_KEYS,
    (SlaveState.AWAIT_KEYS, CookieChallenge): SlaveState.AWAIT_KEYS_AFTER_COOKIE,
    (SlaveState.AWAIT_KEYS, KeysSessionAnswer): SlaveState.AWAIT_TICKET,
    (SlaveState.AWAIT_KEYS_AFTER_COOKIE, KeysSessionAnswer): SlaveState.AWAIT_TICKET,
    (SlaveState.AWAIT_TICKET, SealedAnswer): SlaveState.ESTABLISHED,
}
"""All that is legal; None is our own ``start``. Whatever fails ends in FAILED, and a new exchange begins from
nothing."""


class SlaveHandshake:
    """One key exchange with a master whose address is pinned.

    Args:
        key: The device's key.
        master: The pinned address, from the pairing string.
        gid: The group, once known; None before the first ticket.
        oid: The device's own id, once known: it differs from the address after a rotation.
        suites: One of ``ALLOWED_OFFERS``, the preferred first.
        aeads: The preferred first.
        pairing_code: 16 bytes on the first join, else None.
        random: Source of nonces and ephemeral keys.
        share: In place of fresh ephemeral keys, for fixed test values.
        software: The program's version, told to the proven master.
        key_changes: How the device came to its key, for a master that does not know it; at most 32. Needs ``oid``.
    """

    def __init__(  # noqa: PLR0913 - keyword-only settings of one exchange
        self,
        *,
        key: PrivateKey,
        master: Address,
        gid: GroupId | None,
        suites: tuple[Suite, ...],
        aeads: tuple[Aead, ...],
        pairing_code: bytes | None,
        random: Random,
        oid: ObjectId | None = None,
        share: SlaveShare | None = None,
        software: str = "",
        key_changes: tuple[KeyChange, ...] = (),
    ) -> None:
        self._key_history = KeyHistory(oid, key_changes) if oid is not None and key_changes else None
        self._software = software
        self._key = key
        self._master = master
        self._gid = gid
        self._oid = oid or derive_object_id(key.address)
        self._pairing_code = pairing_code
        self._share = share or make_slave_share(suites, random)
        self._m1 = KeysSessionRequest(suites, aeads, gid or b"", random.token_bytes(HASH_BYTES), self._share.wire)
        self._state = SlaveState.START
        self._session: SlaveSession | None = None

    @property
    def state(self) -> SlaveState:
        """Where the exchange stands."""
        return self._state

    @property
    def session(self) -> SlaveSession:
        """The session, once established.

        Raises:
            LocalProtocolError: It is not established.
        """
        if self._state is not SlaveState.ESTABLISHED or self._session is None:
            raise LocalProtocolError("there is no session before the ticket was received")
        return self._session

    def start(self) -> KeysSessionRequest:
        """M1."""
        if self._state is not SlaveState.START:
            raise LocalProtocolError("the exchange was started before")
        self._state = SlaveState.AWAIT_KEYS
        return self._m1

    def receive_keys_session(self, answer: KeysSessionAnswer | CookieChallenge) -> SealedRequest | KeysSessionRequest:
        """Take M2 and answer M3; take M1R (once) and answer M1 with its cookie.

        Raises:
            UnexpectedMessageError: Not now.
            UnknownMasterError: The peer is not the pinned master; nothing of ours was sent.
            VerificationError: It has not our key, or picked what was not offered; nothing of ours was sent.
            DecodingError: The master's share is malformed.
        """
        next_state = self._next_state(answer)
        if isinstance(answer, CookieChallenge):
            self._state = next_state
            return KeysSessionRequest(
                self._m1.suites, self._m1.aeads, self._m1.gid, self._m1.sn, self._m1.share, answer.cookie
            )
        self._state = SlaveState.FAILED
        m3 = self._verify_master(answer)
        self._state = next_state
        return m3

    def _verify_master(self, m2: KeysSessionAnswer) -> SealedRequest:
        if m2.suite not in self._m1.suites or m2.aead not in self._m1.aeads:
            raise VerificationError("master picked what was not offered")
        th1 = compute_th1(self._m1, suite=m2.suite, aead=m2.aead, sid=m2.sid, mn=m2.mn, share_m=m2.share)
        try:
            verify_signature(master_digest(th1, self._master), m2.sig, self._master)
        except VerificationError as exc:
            raise UnknownMasterError(f"whoever answers is not the master 0x{self._master.hex()}") from exc
        secrets = HandshakeSecrets.from_agreement(th1, self._share.agree(m2.suite, m2.share))
        if not is_equal(secrets.confirmation(m2.sig), m2.fin):
            raise VerificationError("master has not the key that its share promises")
        th2 = secrets.compute_th2(m2.sig, m2.fin)
        identity = self._prove_identity(th2).encode()
        sealed = secrets.identity_ratchet(m2.aead, m2.sid, th2).seal(0, identity)
        keys = secrets.session_keys(m2.aead, m2.sid, th2, identity)
        self._ticket_opener = keys.ratchet(Direction.M2S, Channel.CONTROL)
        self._session = SlaveSession(m2.sid, keys)
        return SealedRequest(m2.sid, 0, sealed)

    def _prove_identity(self, th2: bytes) -> IdentityProof:
        address = self._key.address
        pairing = None
        if self._pairing_code is not None:
            pairing = PairingProof(
                derive_code_id(self._pairing_code), make_pairing_proof(self._pairing_code, th2, address)
            )
        signature = self._key.sign_digest(slave_digest(th2, self._master, address))
        return IdentityProof(self._key.public_key, signature, pairing, self._software, key_history=self._key_history)

    def receive_ticket(self, m4: SealedAnswer) -> Ticket:
        """Take M4; the session is established.

        Raises:
            UnexpectedMessageError: Not now.
            VerificationError: It does not open, is another device's or group's, or its token is not the master's.
            UnknownExtensionError: The master asks for something that we do not know.
            DecodingError: Its layout is wrong.
            TurnedAwayError: The master knows us, and does not let us in; says why.
        """
        next_state = self._next_state(m4)
        self._state = SlaveState.FAILED
        ticket = Ticket.decode(self._ticket_opener.open(0, m4.sealed))
        if ticket.oid != self._oid or ticket.address != self._key.address:
            raise VerificationError("ticket is for another device")
        if self._gid is not None and ticket.gid != self._gid:
            raise VerificationError("ticket is for another group")
        if ticket.standing is not Standing.GOOD:
            raise TurnedAwayError(ticket.standing, ticket.software)
        verify_token(ticket.token, ticket.gid, ticket.oid, ticket.address, self._master)
        self._state = next_state
        return ticket

    def _next_state(self, message: KeysSessionAnswer | CookieChallenge | SealedAnswer) -> SlaveState:
        next_state = TRANSITIONS.get((self._state, type(message)))
        if next_state is None:
            self._state = SlaveState.FAILED
            raise UnexpectedMessageError(f"{type(message).__name__} does not belong here")
        return next_state
