"""Shares of the three suites and the secret both sides get from them (``docs/protocol.md`` §3.1).

X25519 keys and ML-KEM key pairs come from the ``Random`` port. ML-KEM encapsulation, RSA key generation and OAEP
draw from the
operating system inside ``cryptography``, which offers no other way: tests that need fixed values hand in an
``Encapsulator``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from group_protocol.errors import DecodingError, LocalProtocolError, VerificationError
from group_protocol.ports import Random
from group_protocol.suites import Suite

X25519_BYTES: Final = 32
MLKEM_SEED_BYTES: Final = 64
MLKEM_KEY_BYTES: Final = 1_184
MLKEM_CIPHERTEXT_BYTES: Final = 1_088
RSA_MIN_BITS: Final = 2_048
RSA_MAX_BITS: Final = 3_072
RSA_EXPONENT: Final = 65_537
RSA_SECRET_BYTES: Final = 32
_RSA_DER_MAX_BYTES: Final = 422  # SubjectPublicKeyInfo of a 3,072-bit key

Encapsulator = Callable[[bytes], tuple[bytes, bytes]]
"""Takes an ML-KEM-768 encapsulation key (R1: an RSA public key in DER), answers (secret, ciphertext)."""


class SlaveShare(Protocol):
    """The slave's half of an exchange, good for one session."""

    @property
    def wire(self) -> bytes:
        """What M1 carries."""
        ...

    def agree(self, suite: Suite, master_share: bytes) -> bytes:
        """The input keying material, 32 or 64 bytes. Raises DecodingError or VerificationError for a bad share."""
        ...


@dataclass(frozen=True, slots=True)
class EphemeralShare:
    """E1 and H1. ``mlkem_key`` is None when only E1 is offered."""

    x25519_key: X25519PrivateKey = field(repr=False)
    mlkem_key: MLKEM768PrivateKey | None = field(repr=False)

    @property
    def wire(self) -> bytes:
        """32 bytes, and 1,184 more where H1 is offered."""
        public = self.x25519_key.public_key().public_bytes_raw()
        return public if self.mlkem_key is None else public + self.mlkem_key.public_key().public_bytes_raw()

    def agree(self, suite: Suite, master_share: bytes) -> bytes:
        """``ss_x`` for E1, ``ss_kem ‖ ss_x`` for H1."""
        if suite is Suite.E1:
            _require_length(master_share, X25519_BYTES)
            return _x25519(self.x25519_key, master_share)
        if suite is not Suite.H1 or self.mlkem_key is None:
            raise LocalProtocolError(f"suite {suite} was not offered with this share")
        _require_length(master_share, X25519_BYTES + MLKEM_CIPHERTEXT_BYTES)
        ss_x = _x25519(self.x25519_key, master_share[:X25519_BYTES])
        return self.mlkem_key.decapsulate(master_share[X25519_BYTES:]) + ss_x


@dataclass(frozen=True, slots=True)
class RsaShare:
    """R1: the paper's ``slavePubRSAKey``, fresh for one session."""

    rsa_key: rsa.RSAPrivateKey = field(repr=False)

    @property
    def wire(self) -> bytes:
        """SubjectPublicKeyInfo in DER."""
        return self.rsa_key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def agree(self, suite: Suite, master_share: bytes) -> bytes:
        """The 32-byte secret in ``encryptedAESKey``."""
        if suite is not Suite.R1:
            raise LocalProtocolError(f"suite {suite} was not offered with this share")
        try:
            secret = self.rsa_key.decrypt(master_share, _oaep())
        except ValueError as exc:
            raise VerificationError("encryptedAESKey does not decrypt") from exc
        _require_length(secret, RSA_SECRET_BYTES)
        return secret


def make_slave_share(suites: tuple[Suite, ...], random: Random) -> SlaveShare:
    """Fresh keys for what M1 offers. R1 makes an RSA-2048 key: about 25 ms on a laptop, several hundred on a Pi."""
    if suites == (Suite.R1,):
        return RsaShare(rsa.generate_private_key(RSA_EXPONENT, RSA_MIN_BITS))
    x25519_key = X25519PrivateKey.from_private_bytes(random.token_bytes(X25519_BYTES))
    if Suite.H1 not in suites:
        return EphemeralShare(x25519_key, None)
    return EphemeralShare(x25519_key, MLKEM768PrivateKey.from_seed_bytes(random.token_bytes(MLKEM_SEED_BYTES)))


def answer_share(
    suite: Suite, slave_share: bytes, *, offers_h1: bool, random: Random, encapsulate: Encapsulator | None = None
) -> tuple[bytes, bytes]:
    """The master's share and the input keying material.

    Args:
        suite: The suite picked.
        slave_share: As M1 carried it.
        offers_h1: Whether M1 offered H1, which makes the share 1,184 bytes longer whatever is picked.
        random: For the X25519 key and R1's secret.
        encapsulate: In place of the library's, for fixed test values.

    Raises:
        DecodingError: The share has the wrong length or is no key that is allowed.
        VerificationError: The X25519 secret is all zero.
    """
    if suite is Suite.R1:
        secret, ciphertext = (encapsulate or _rsa_encapsulator(random))(slave_share)
        return ciphertext, secret
    _require_length(slave_share, X25519_BYTES + (MLKEM_KEY_BYTES if offers_h1 else 0))
    own_key = X25519PrivateKey.from_private_bytes(random.token_bytes(X25519_BYTES))
    public = own_key.public_key().public_bytes_raw()
    ss_x = _x25519(own_key, slave_share[:X25519_BYTES])
    if suite is Suite.E1:
        return public, ss_x
    ss_kem, ciphertext = (encapsulate or _mlkem_encapsulate)(slave_share[X25519_BYTES:])
    return public + ciphertext, ss_kem + ss_x


def _mlkem_encapsulate(encapsulation_key: bytes) -> tuple[bytes, bytes]:
    try:
        public_key = MLKEM768PublicKey.from_public_bytes(encapsulation_key)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise DecodingError("not an ML-KEM-768 encapsulation key") from exc
    return public_key.encapsulate()


def _rsa_encapsulator(random: Random) -> Encapsulator:
    def encapsulate(der: bytes) -> tuple[bytes, bytes]:
        secret = random.token_bytes(RSA_SECRET_BYTES)
        public_key = parse_rsa_public_key(der)
        try:
            return secret, public_key.encrypt(secret, _oaep())
        except ValueError as exc:  # an even modulus, say
            raise DecodingError("RSA key does not encrypt") from exc

    return encapsulate


def parse_rsa_public_key(der: bytes) -> rsa.RSAPublicKey:
    """Take SubjectPublicKeyInfo DER as a key this protocol allows.

    Raises:
        DecodingError: Not DER of an RSA key, not canonical, size outside 2,048–3,072 bits, or exponent other than
        65,537.
    """
    if len(der) > _RSA_DER_MAX_BYTES:
        raise DecodingError("RSA key is too long")
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise DecodingError("not a public key in DER") from exc
    if not isinstance(key, rsa.RSAPublicKey) or not RSA_MIN_BITS <= key.key_size <= RSA_MAX_BITS:
        raise DecodingError("not an RSA key of 2,048 to 3,072 bits")
    if key.public_numbers().e != RSA_EXPONENT:
        raise DecodingError("RSA exponent is not 65,537")
    return key


def _x25519(own_key: X25519PrivateKey, peer_public: bytes) -> bytes:
    try:
        return own_key.exchange(X25519PublicKey.from_public_bytes(peer_public))
    except ValueError as exc:  # the library refuses an all-zero secret (RFC 7748 §6.1)
        raise VerificationError("X25519 share gives an all-zero secret") from exc


def _oaep() -> padding.OAEP:
    return padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


def _require_length(raw: bytes, length_bytes: int) -> None:
    if len(raw) != length_bytes:
        raise DecodingError(f"share has {len(raw)} bytes, not {length_bytes}")
