"""Authenticated encryption of sealed units (``docs/protocol.md`` §5.1)."""

import struct
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from group_protocol.errors import VerificationError

TAG_BYTES: Final = 16
_NONCE: Final = struct.Struct(">IQ")


class Aead(StrEnum):
    """Names on the wire."""

    A256GCM = "A256GCM"
    """AES-256-GCM (NIST SP 800-38D) with 12-byte nonces."""
    C20P1305 = "C20P1305"
    """ChaCha20-Poly1305 (RFC 8439), for processors without AES instructions."""


class SealingKey:
    """One 32-byte key of one direction and generation, ready to seal and open.

    The cipher object is made once: building it costs more than sealing a small unit.
    """

    __slots__ = ("_cipher",)

    def __init__(self, aead: Aead, key: bytes) -> None:
        self._cipher = AESGCM(key) if aead is Aead.A256GCM else ChaCha20Poly1305(key)

    def seal(self, seq: int, associated: bytes, plaintext: bytes) -> bytes:
        """Ciphertext with its 16-byte tag, under nonce ``0^4 ‖ u64(seq)``. The caller never uses a seq twice."""
        return self._cipher.encrypt(_NONCE.pack(0, seq), plaintext, associated)

    def open(self, seq: int, associated: bytes, sealed: bytes) -> bytes:
        """The plaintext.

        Raises:
            VerificationError: The unit was not sealed with this key, seq and associated bytes.
        """
        try:
            return self._cipher.decrypt(_NONCE.pack(0, seq), sealed, associated)
        except InvalidTag as exc:
            raise VerificationError("sealed unit does not open") from exc
