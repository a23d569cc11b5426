"""Transcript hashes and the secrets that stand on them (``docs/protocol.md`` §3.3)."""

from dataclasses import dataclass, field

from group_protocol.channels import Channel, Direction, KeyRatchet, Lane, SessionKeys
from group_protocol.crypto.aead import Aead
from group_protocol.crypto.kdf import derive, hkdf_extract, hmac_sha256, sha256
from group_protocol.encoding import lp, lp_list
from group_protocol.identifiers import Address, SessionId
from group_protocol.messages import KeysSessionRequest
from group_protocol.suites import Suite


def compute_th1(
    m1: KeysSessionRequest, *, suite: Suite, aead: Aead, sid: SessionId, mn: bytes, share_m: bytes
) -> bytes:
    """TH1 over the decoded fields of M1 and M2, 32 bytes."""
    return sha256(
        lp(
            b"vgroup/1",
            suite.encode("ascii"),
            aead.encode("ascii"),
            lp_list(m1.suites),
            lp_list(m1.aeads),
            m1.gid,
            m1.sn,
            m1.share,
            sid,
            mn,
            share_m,
        )
    )


def master_digest(th1: bytes, master: Address) -> bytes:
    """What ``sig`` of M2 signs, 32 bytes."""
    return sha256(lp(b"vgroup/1 master", th1, master))


def slave_digest(th2: bytes, master: Address, slave: Address) -> bytes:
    """What the signature in M3 signs, 32 bytes."""
    return sha256(lp(b"vgroup/1 slave", th2, master, slave))


@dataclass(frozen=True, slots=True)
class HandshakeSecrets:
    """What both sides know once the shares met: TH1 and ``hs``."""

    th1: bytes
    secret: bytes = field(repr=False)

    @classmethod
    def from_agreement(cls, th1: bytes, ikm: bytes) -> "HandshakeSecrets":
        """``hs = Extract(TH1, ikm)``."""
        return cls(th1, hkdf_extract(th1, ikm))

    def confirmation(self, sig: bytes) -> bytes:
        """``fin`` of M2, 32 bytes."""
        return hmac_sha256(derive(self.secret, "m fin", self.th1), sig)

    def compute_th2(self, sig: bytes, fin: bytes) -> bytes:
        """TH2, 32 bytes."""
        return sha256(lp(self.th1, sig, fin))

    def identity_ratchet(self, aead: Aead, sid: SessionId, th2: bytes) -> KeyRatchet:
        """K3, which seals M3 alone."""
        return KeyRatchet(aead, derive(self.secret, "s hs", th2), Lane(Channel.CONTROL, Direction.S2M, sid))

    def session_keys(self, aead: Aead, sid: SessionId, th2: bytes, identity_plaintext: bytes) -> SessionKeys:
        """Keys of the session, over TH3."""
        return SessionKeys(aead, sid, self.secret, th2, sha256(lp(th2, identity_plaintext)))
