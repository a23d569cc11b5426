"""SHA-256, HMAC and HKDF with this protocol's labels (``docs/protocol.md`` §0, RFC 2104, RFC 5869)."""

import hashlib
import hmac
from functools import lru_cache

from group_protocol.encoding import lp

_SHA256_BYTES = 32


def sha256(message: bytes) -> bytes:
    """32 bytes."""
    return hashlib.sha256(message).digest()


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """32 bytes."""
    return hmac.digest(key, message, "sha256")


def hkdf_extract(salt: bytes, ikm: bytes) -> bytes:
    """HKDF-Extract (RFC 5869 §2.2): 32 bytes."""
    return hmac.digest(salt or bytes(_SHA256_BYTES), ikm, "sha256")


def hkdf_expand_one_block(prk: bytes, context: bytes) -> bytes:
    """HKDF-Expand (RFC 5869 §2.3) for an output of exactly one block, 32 bytes, which is all this protocol needs."""
    return hmac.digest(prk, context + b"\x01", "sha256")


def derive(key: bytes, label: str, context: bytes = b"") -> bytes:
    """``Derive`` of §0: a 32-byte key bound to a label and a context."""
    return hkdf_expand_one_block(key, _label_prefix(label) + lp(context))


@lru_cache(maxsize=64)  # there are some twenty labels, all of them constants of ours
def _label_prefix(label: str) -> bytes:
    return lp(b"vgroup/1 " + label.encode("ascii"))


def is_equal(left: bytes, right: bytes) -> bool:
    """Compare two secrets in time that does not depend on where they differ."""
    return hmac.compare_digest(left, right)
