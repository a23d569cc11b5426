"""The session key's transport by RSA, and AES, with pycryptodome in the place of Node's `crypto`.

Three things here are assumed, each since the paper is silent (reasons in `docs/paper_baseline.md`):
AES-256-CBC with PKCS#7; one IV per session, wrapped together with the key; RSA-OAEP with SHA-1.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from Crypto.Cipher import AES, PKCS1_OAEP
from Crypto.PublicKey import RSA
from Crypto.Util.Padding import pad, unpad

from measure.paper_baseline.errors import MalformedMessage

RandomBytes = Callable[[int], bytes]
"""Gives so many random bytes; `os.urandom` where it is for real, a seeded generator in tests."""

RSA_BITS = 2048
"""A 2,048-bit key's PEM as a JSON array fits the captured 1,727 and 2,122 bytes; a PKCS#1 or 1,024-bit one does not."""

AES_KEY_BYTES = 32
IV_BYTES = 16
BLOCK_BYTES = 16


@dataclass(frozen=True, slots=True)
class SessionKey:
    """What `encryptedAESKey` carries: the AES key (32 bytes) and the IV (16 bytes) of the whole session.

    One IV for every message makes the encryption deterministic. Figures 12 and 13 suggest it: two ciphertexts of
    different lengths that begin with the same characters.
    """

    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)


def generate_rsa_key(random_bytes: RandomBytes) -> RSA.RsaKey:
    """A new RSA-2048 key. It takes tenths of a second: no time in the paper's Table 2 can contain it."""
    return RSA.generate(RSA_BITS, randfunc=random_bytes)


def public_pem(key: RSA.RsaKey) -> bytes:
    """The public half as PEM (SubjectPublicKeyInfo, 451 bytes) with a final newline, as Node exports it."""
    return key.public_key().export_key("PEM") + b"\n"


def read_public_pem(pem: bytes) -> RSA.RsaKey:
    """The key of a PEM. Whose it is, nobody checks: neither RSA key of the paper's flow is authenticated.

    Raises:
        MalformedMessage: it is no RSA key.
    """
    try:
        return RSA.import_key(pem)
    except (ValueError, IndexError, TypeError) as exc:
        raise MalformedMessage("not an RSA key in PEM") from exc


def new_session_key(random_bytes: RandomBytes) -> SessionKey:
    """A session key as the master makes one for each /keysSession."""
    return SessionKey(random_bytes(AES_KEY_BYTES), random_bytes(IV_BYTES))


def wrap_session_key(session: SessionKey, recipient: RSA.RsaKey, random_bytes: RandomBytes) -> bytes:
    """`encryptedAESKey` (256 bytes): key ‖ IV under RSA-OAEP with SHA-1, the default of Node's `publicEncrypt`."""
    return PKCS1_OAEP.new(recipient, randfunc=random_bytes).encrypt(session.key + session.iv)


def unwrap_session_key(wrapped: bytes, private_key: RSA.RsaKey) -> SessionKey:
    """The session key out of `encryptedAESKey`.

    Raises:
        MalformedMessage: it was not wrapped for this key, or holds something else.
    """
    try:
        secret = PKCS1_OAEP.new(private_key).decrypt(wrapped)
    except (ValueError, TypeError) as exc:
        raise MalformedMessage("the session key was not wrapped for this RSA key") from exc
    if len(secret) != AES_KEY_BYTES + IV_BYTES:
        raise MalformedMessage("the wrapped session key has a wrong length")
    return SessionKey(secret[:AES_KEY_BYTES], secret[AES_KEY_BYTES:])


def encrypt(session: SessionKey, clear: bytes) -> bytes:
    """AES-256-CBC with PKCS#7: nothing authenticates the outcome."""
    return AES.new(session.key, AES.MODE_CBC, iv=session.iv).encrypt(pad(clear, BLOCK_BYTES))


def decrypt(session: SessionKey, encrypted: bytes) -> bytes:
    """Undo `encrypt`. Only the padding is checked, so most changes on the way go through.

    Raises:
        MalformedMessage: not whole blocks, or no padding at the end.
    """
    try:
        return unpad(AES.new(session.key, AES.MODE_CBC, iv=session.iv).decrypt(encrypted), BLOCK_BYTES)
    except ValueError as exc:
        raise MalformedMessage("not AES-CBC with PKCS#7 under this session's key") from exc
