"""The master's side of M1–M4 (``docs/protocol.md`` §3)."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from group_protocol.channels import Channel, Direction, MasterSession
from group_protocol.crypto.aead import Aead
from group_protocol.crypto.exchange import Encapsulator, answer_share
from group_protocol.crypto.kdf import is_equal
from group_protocol.crypto.keys import PrivateKey, derive_address, parse_public_key, verify_signature
from group_protocol.errors import (
    LocalProtocolError,
    PairingError,
    UnexpectedMessageError,
    VerificationError,
)
from group_protocol.handshake.transcript import HandshakeSecrets, compute_th1, master_digest, slave_digest
from group_protocol.identifiers import HASH_BYTES, SESSION_ID_BYTES, Address, GroupId, SessionId
from group_protocol.key_changes import KeyHistory
from group_protocol.messages import KeysSessionAnswer, KeysSessionRequest, SealedAnswer, SealedRequest
from group_protocol.pairing import make_pairing_proof
from group_protocol.ports import Random
from group_protocol.suites import DEFAULT_SUITES, Suite
from group_protocol.tickets import IdentityProof, PairingProof, Ticket


class MasterState(Enum):
    """Where the master stands in one exchange."""

    AWAIT_IDENTITY = auto()
    AWAIT_ADMISSION = auto()
    ESTABLISHED = auto()
    FAILED = auto()


TRANSITIONS: Final = {
    (MasterState.AWAIT_IDENTITY, SealedRequest): MasterState.AWAIT_ADMISSION,
    (MasterState.AWAIT_ADMISSION, Ticket): MasterState.ESTABLISHED,
}
"""All that is legal. An M3 that does not open changes nothing: anybody can send one who saw the sid."""


@dataclass(frozen=True, slots=True)
class MasterPolicy:
    """What a master takes in M1.

    Attributes:
        gid: The master's group; M1 names it or none.
        suites: Allowed suites; R1 only where the configuration names it.
        aeads: Allowed AEADs.
    """

    gid: GroupId
    suites: frozenset[Suite] = frozenset(DEFAULT_SUITES)
    aeads: frozenset[Aead] = frozenset(Aead)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who M3 proved to be: the holder of a key, not yet admitted.

    Attributes:
        public_key: 65 bytes.
        pairing: The pairing proof it brought, unchecked, or None.
        software: Its program's version, as it says.
        unsupported: A critical extension in its M3 that we do not know: it must not be let in.
        key_history: How it came to this key, unchecked; None if it does not say.
    """

    address: Address
    public_key: bytes
    pairing: PairingProof | None
    software: str = ""
    unsupported: int | None = None
    key_history: KeyHistory | None = None


class MasterHandshake:
    """One key exchange.

    Made by :meth:`answer`; then ``receive_identity``, for a new device ``verify_pairing``, then ``admit``.
    """

    def __init__(self, *, master: Address, sid: SessionId, aead: Aead, secrets: HandshakeSecrets, th2: bytes) -> None:
        self._master = master
        self._sid = sid
        self._aead = aead
        self._secrets = secrets
        self._th2 = th2
        self._opener = secrets.identity_ratchet(aead, sid, th2)
        self._state = MasterState.AWAIT_IDENTITY
        self._identity: Identity | None = None
        self._identity_plaintext = b""

    @property
    def state(self) -> MasterState:
        """Where the exchange stands."""
        return self._state

    @property
    def sid(self) -> SessionId:
        """The session's name."""
        return self._sid

    @classmethod
    def answer(
        cls,
        m1: KeysSessionRequest,
        *,
        key: PrivateKey,
        policy: MasterPolicy,
        random: Random,
        encapsulate: Encapsulator | None = None,
    ) -> tuple["MasterHandshake", KeysSessionAnswer]:
        """Take M1, answer M2. ``encapsulate`` replaces the library's for fixed test values.

        Raises:
            VerificationError: Another group's gid, no suite or AEAD in common, or a share that gives no secret.
            DecodingError: The share is malformed.
        """
        if m1.gid not in (b"", policy.gid):
            raise VerificationError("M1 names another group")
        suite = next((suite for suite in m1.suites if suite in policy.suites), None)
        aead = next((aead for aead in m1.aeads if aead in policy.aeads), None)
        if suite is None or aead is None:
            raise VerificationError("no suite or AEAD in common")
        sid = SessionId(random.token_bytes(SESSION_ID_BYTES))
        mn = random.token_bytes(HASH_BYTES)
        share_m, ikm = answer_share(
            suite, m1.share, offers_h1=Suite.H1 in m1.suites, random=random, encapsulate=encapsulate
        )
        th1 = compute_th1(m1, suite=suite, aead=aead, sid=sid, mn=mn, share_m=share_m)
        sig = key.sign_digest(master_digest(th1, key.address))
        secrets = HandshakeSecrets.from_agreement(th1, ikm)
        fin = secrets.confirmation(sig)
        handshake = cls(master=key.address, sid=sid, aead=aead, secrets=secrets, th2=secrets.compute_th2(sig, fin))
        return handshake, KeysSessionAnswer(suite, aead, sid, mn, share_m, sig, fin)

    def receive_identity(self, m3: SealedRequest) -> Identity:
        """Take M3.

        Raises:
            UnexpectedMessageError: Not now.
            VerificationError: It does not open (nothing changes), or its signature is not the key's (the exchange
            has failed).
            DecodingError: Its layout or public key is malformed (the exchange has failed).
        """
        next_state = TRANSITIONS.get((self._state, type(m3)))
        if next_state is None or m3.seq != 0 or m3.sid != self._sid:
            raise UnexpectedMessageError("M3 does not belong here")
        plaintext = self._opener.open(0, m3.sealed)
        self._state = MasterState.FAILED
        proof = IdentityProof.decode(plaintext)
        public_key = parse_public_key(proof.public_key)
        address = derive_address(public_key)
        verify_signature(slave_digest(self._th2, self._master, address), proof.signature, address)
        self._identity = Identity(
            address, public_key, proof.pairing, proof.software, proof.unsupported, proof.key_history
        )
        self._identity_plaintext = plaintext
        self._state = next_state
        return self._identity

    def verify_pairing(self, code: bytes) -> None:
        """Check the pairing proof that M3 brought against the code that its id names.

        Raises:
            PairingError: There is none, or it is wrong.
        """
        identity = self._require_identity()
        if identity.pairing is None:
            raise PairingError("device brought no pairing proof")
        if not is_equal(make_pairing_proof(code, self._th2, identity.address), identity.pairing.proof):
            raise PairingError("pairing proof is wrong")

    def admit(self, ticket: Ticket) -> tuple[MasterSession, SealedAnswer]:
        """Let the device in: answers the session and M4.

        Raises:
            LocalProtocolError: No verified M3 waits, or the ticket is for another device.
        """
        identity = self._require_identity()
        if ticket.address != identity.address:
            raise LocalProtocolError("ticket is for another device")
        keys = self._secrets.session_keys(self._aead, self._sid, self._th2, self._identity_plaintext)
        m4 = SealedAnswer(keys.ratchet(Direction.M2S, Channel.CONTROL).seal(0, ticket.encode()))
        self._state = TRANSITIONS[self._state, Ticket]
        return MasterSession(self._sid, keys), m4

    def _require_identity(self) -> Identity:
        if self._state is not MasterState.AWAIT_ADMISSION or self._identity is None:
            raise LocalProtocolError("no verified M3 waits for admission")
        return self._identity
