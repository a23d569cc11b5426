"""secp256k1 keys, addresses and EIP-2098 signatures (``docs/protocol.md`` §0, §1)."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Self

import coincurve

from group_protocol.crypto.kdf import is_equal
from group_protocol.crypto.keccak import keccak256
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, DecodingError, VerificationError
from group_protocol.identifiers import (
    ADDRESS_BYTES,
    HASH_BYTES,
    PUBLIC_KEY_BYTES,
    SIGNATURE_BYTES,
    Address,
    Signature,
)

SECRET_BYTES: Final = 32
CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_HALF_ORDER: Final = CURVE_ORDER // 2
_PARITY_BIT: Final = 1 << 255
_COMPRESSED_BYTES: Final = 33


@dataclass(frozen=True)
class PrivateKey:
    """A signing key. Its secret never prints.

    Attributes:
        secret: 32 bytes, between 1 and the order of the curve less one.
    """

    secret: bytes = field(repr=False)

    @classmethod
    def from_secret(cls, secret: bytes) -> Self:
        """Take 32 bytes as a key.

        Raises:
            ConfigurationError: Another length, zero, or not below the order of the curve.
        """
        if len(secret) != SECRET_BYTES or not 0 < int.from_bytes(secret, "big") < CURVE_ORDER:
            raise ConfigurationError("not a secp256k1 private key of 32 bytes", code=ErrorCode.KEY_FILE_DAMAGED)
        return cls(secret)

    @cached_property
    def _key(self) -> coincurve.PrivateKey:
        return coincurve.PrivateKey(self.secret)

    @cached_property
    def public_key(self) -> bytes:
        """65 bytes, uncompressed."""
        return self._key.public_key.format(compressed=False)

    @cached_property
    def address(self) -> Address:
        """20 bytes."""
        return derive_address(self.public_key)

    def sign_digest(self, digest: bytes) -> Signature:
        """Sign 32 bytes: RFC 6979 nonce, low s, EIP-2098 form, 64 bytes."""
        raw = self._key.sign_recoverable(digest, hasher=None)
        if raw[64] & 1:
            return Signature(raw[:32] + bytes([raw[32] | 0x80]) + raw[33:64])
        return Signature(raw[:64])


def parse_public_key(raw: bytes) -> bytes:
    """Take a public key of 65 bytes (04…) or 33 (02/03…) and answer its 65 bytes.

    Raises:
        DecodingError: Another length or prefix (hybrid 06/07 among them), or no point of the curve.
    """
    is_uncompressed = len(raw) == PUBLIC_KEY_BYTES and raw[0] == 0x04
    is_compressed = len(raw) == _COMPRESSED_BYTES and raw[0] in (0x02, 0x03)
    if not (is_uncompressed or is_compressed):
        raise DecodingError("public key is neither 65 bytes 04… nor 33 bytes 02/03…")
    try:
        return coincurve.PublicKey(raw).format(compressed=False)
    except ValueError as exc:
        raise DecodingError("public key is no point of secp256k1") from exc


def derive_address(public_key: bytes) -> Address:
    """The last 20 bytes of keccak256 of a 65-byte public key without its prefix."""
    return Address(keccak256(public_key[1:])[-ADDRESS_BYTES:])


def recover_address(digest: bytes, signature: bytes) -> Address:
    """Who signed this 32-byte digest, as the contract's ``ecrecover`` says.

    Raises:
        VerificationError: Not 64 bytes, r or s zero or out of range, high s (malleable; libsecp256k1 would recover
        it), or no key.
    """
    if len(signature) != SIGNATURE_BYTES or len(digest) != HASH_BYTES:
        raise VerificationError("signature or digest has the wrong length")
    packed = int.from_bytes(signature[32:], "big")
    s = packed & (_PARITY_BIT - 1)
    if not 0 < s <= _HALF_ORDER or not 0 < int.from_bytes(signature[:32], "big") < CURVE_ORDER:
        raise VerificationError("signature is out of range or has a high s")
    recoverable = signature[:32] + s.to_bytes(32, "big") + bytes([packed >> 255])
    try:
        public_key = coincurve.PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
    except Exception as exc:
        raise VerificationError("no key can be recovered from the signature") from exc
    return derive_address(public_key.format(compressed=False))


def verify_signature(digest: bytes, signature: bytes, signer: Address) -> None:
    """Check that ``signer`` signed this 32-byte digest.

    Raises:
        VerificationError: It did not, or the signature is malformed (see recover_address).
    """
    if not is_equal(recover_address(digest, signature), signer):
        raise VerificationError("signature is another key's")
