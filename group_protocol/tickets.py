"""The inner plaintexts of M3–M6, in fixed layouts (``docs/protocol.md`` §3.4, §7)."""

import struct
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final, Self, TypeVar

from group_protocol.encoding import Reader, u8, u16, u64
from group_protocol.errors import DecodingError, Reason, UnknownExtensionError
from group_protocol.extensions import (
    KEY_HISTORY,
    SOFTWARE,
    STANDING,
    Standing,
    encode_extensions,
    parse_key_history,
    parse_software,
    parse_standing,
)
from group_protocol.identifiers import (
    ADDRESS_BYTES,
    GROUP_ID_BYTES,
    HASH_BYTES,
    OBJECT_ID_BYTES,
    PUBLIC_KEY_BYTES,
    SIGNATURE_BYTES,
    TOKEN_BYTES,
    Address,
    GroupId,
    ObjectId,
    Signature,
    Token,
)
from group_protocol.key_changes import KeyHistory

CODE_ID_BYTES: Final = 8
PROOF_BYTES: Final = 32
_E = TypeVar("_E", bound=IntEnum)
_LIMITS: Final = struct.Struct(">BIIII")


class MembershipState(IntEnum):
    """What a device is to the group, as M4 and M6 say it (§9)."""

    NOT_ASSOCIATED = 0
    PENDING = 1
    ACTIVE = 2
    REVOKED = 3


class EvidencePolicy(IntEnum):
    """Which evidence of origin a master takes (§6)."""

    SIGNED = 1
    """Every record carries a signature."""
    CHECKPOINTS = 2
    """A record may wait for a checkpoint's signature."""


@dataclass(frozen=True, slots=True)
class PairingProof:
    """The part of M3 that shows knowledge of a pairing code: its id (8 bytes) and the proof (32 bytes)."""

    code_id: bytes
    proof: bytes


@dataclass(frozen=True, slots=True)
class IdentityProof:
    """Plaintext of M3. ``public_key`` has 65 bytes; ``pairing`` is None for a device that is enrolled.

    Attributes:
        software: The program's version, for people; empty if it does not say.
        unsupported: The type of a critical extension that we do not know; None: there is none. Only when decoded.
        key_history: How the device came to this key, unchecked; None if it does not say.
    """

    public_key: bytes
    signature: Signature
    pairing: PairingProof | None
    software: str = ""
    unsupported: int | None = None
    key_history: KeyHistory | None = None

    def encode(self) -> bytes:
        """130 bytes, or 170 with a pairing proof; then the extensions."""
        proof = b"" if self.pairing is None else self.pairing.code_id + self.pairing.proof
        extensions = encode_extensions(self.software, key_history=self.key_history)
        return self.public_key + self.signature + u8(len(proof)) + proof + extensions

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Parse; raises DecodingError. The public key is checked where it is used."""
        reader = Reader(raw)
        public_key = reader.take(PUBLIC_KEY_BYTES)
        signature = Signature(reader.take(SIGNATURE_BYTES))
        pairing = None
        if length_bytes := reader.u8():
            if length_bytes != CODE_ID_BYTES + PROOF_BYTES:
                raise DecodingError("pairing proof has the wrong length")
            pairing = PairingProof(reader.take(CODE_ID_BYTES), reader.take(PROOF_BYTES))
        try:
            found = reader.extensions(frozenset({SOFTWARE, KEY_HISTORY}))
        except UnknownExtensionError as exc:
            # Who asks has to be proven before it may hear that we do not know this.
            return cls(public_key, signature, pairing, unsupported=exc.extension_type)
        software, history = parse_software(found.get(SOFTWARE)), parse_key_history(found.get(KEY_HISTORY))
        return cls(public_key, signature, pairing, software, key_history=history)


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """What the master asks of a session.

    Attributes:
        checkpoint_records: At most so many records before a checkpoint.
        checkpoint_s: At most so many seconds before a checkpoint.
        payload_max_bytes: Largest payload of one record.
        session_lifetime_s: After this the slave makes a fresh exchange.
    """

    evidence_policy: EvidencePolicy
    checkpoint_records: int
    checkpoint_s: int
    payload_max_bytes: int
    session_lifetime_s: int

    def encode(self) -> bytes:
        """17 bytes."""
        return _LIMITS.pack(
            self.evidence_policy,
            self.checkpoint_records,
            self.checkpoint_s,
            self.payload_max_bytes,
            self.session_lifetime_s,
        )

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Parse from a reader; raises DecodingError."""
        policy, records, seconds, payload, lifetime = _LIMITS.unpack(reader.take(_LIMITS.size))
        if not records or not seconds or not payload or not lifetime:
            raise DecodingError("a term of the session is zero")
        return cls(_parse_enum(EvidencePolicy, policy), records, seconds, payload, lifetime)


@dataclass(frozen=True, slots=True)
class Ticket:
    """Plaintext of M4: what the master says of the device and asks of it.

    Attributes:
        deadline_unix_s: Latest deadline the master suggests for what the slave signs for the contract.
        last_seq: Highest record seq of this device that the master has stored; 0 if none.
        software: The master's version, for people; empty if it does not say.
        standing: Unless GOOD, the ticket admits nobody: its token is 64 zero bytes, and no session follows.
    """

    gid: GroupId
    oid: ObjectId
    address: Address
    token: Token = field(repr=False)
    master_oid: ObjectId
    chain_id: int
    contract: Address
    state: MembershipState
    epoch: int
    deadline_unix_s: int
    last_seq: int
    terms: SessionTerms
    software: str = ""
    standing: Standing = Standing.GOOD

    def encode(self) -> bytes:
        """202 bytes, then the extensions."""
        return b"".join(
            (
                self.gid,
                self.oid,
                self.address,
                self.token,
                self.master_oid,
                u64(self.chain_id),
                self.contract,
                u8(self.state),
                u64(self.epoch),
                u64(self.deadline_unix_s),
                u64(self.last_seq),
                self.terms.encode(),
                encode_extensions(self.software, self.standing),
            )
        )

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Parse; raises DecodingError."""
        reader = Reader(raw)
        ticket = cls(
            gid=GroupId(reader.take(GROUP_ID_BYTES)),
            oid=ObjectId(reader.take(OBJECT_ID_BYTES)),
            address=Address(reader.take(ADDRESS_BYTES)),
            token=Token(reader.take(TOKEN_BYTES)),
            master_oid=ObjectId(reader.take(OBJECT_ID_BYTES)),
            chain_id=reader.u64(),
            contract=Address(reader.take(ADDRESS_BYTES)),
            state=_parse_enum(MembershipState, reader.u8()),
            epoch=reader.u64(),
            deadline_unix_s=reader.u64(),
            last_seq=reader.u64(),
            terms=SessionTerms.read(reader),
        )
        found = reader.extensions(frozenset({SOFTWARE, STANDING}))
        return replace(
            ticket, software=parse_software(found.get(SOFTWARE)), standing=parse_standing(found.get(STANDING))
        )


@dataclass(frozen=True, slots=True)
class AssociationCall:
    """Plaintext of M5: the slave's wish to associate, as the contract will see it."""

    token: Token = field(repr=False)
    request: Signature
    deadline_unix_s: int

    def encode(self) -> bytes:
        """136 bytes."""
        return self.token + self.request + u64(self.deadline_unix_s)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Parse; raises DecodingError."""
        reader = Reader(raw)
        call = cls(Token(reader.take(TOKEN_BYTES)), Signature(reader.take(SIGNATURE_BYTES)), reader.u64())
        reader.extensions()
        return call


@dataclass(frozen=True, slots=True)
class RegistryResult:
    """Plaintext of M6: how the register answered. Hash and number are zero unless a receipt stands."""

    state: MembershipState
    reason: Reason
    transaction_hash: bytes
    block_number: int
    epoch: int

    def encode(self) -> bytes:
        """51 bytes."""
        return u8(self.state) + u16(self.reason) + self.transaction_hash + u64(self.block_number) + u64(self.epoch)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Parse; raises DecodingError."""
        reader = Reader(raw)
        result = cls(
            state=_parse_enum(MembershipState, reader.u8()),
            reason=_parse_enum(Reason, reader.u16()),
            transaction_hash=reader.take(HASH_BYTES),
            block_number=reader.u64(),
            epoch=reader.u64(),
        )
        reader.extensions()
        return result


def _parse_enum(kind: type[_E], value: int) -> _E:
    try:
        return kind(value)
    except ValueError as exc:
        raise DecodingError(f"{value} is no {kind.__name__}") from exc
