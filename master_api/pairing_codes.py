"""Pairing codes at rest.

To check a proof the master needs the code itself. It is kept sealed under a key derived from the master's own, one
key per code (so a fixed nonce is safe), with the code id as associated bytes: whoever copies the database alone
cannot pair a device.
"""

from group_protocol.crypto.aead import Aead, SealingKey
from group_protocol.crypto.kdf import derive
from group_protocol.crypto.keys import PrivateKey
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import StoreError, VerificationError


def seal_code(key: PrivateKey, code_id: bytes, code: bytes) -> bytes:
    """32 bytes: 16 of ciphertext, 16 of tag."""
    return _sealing_key(key, code_id).seal(0, code_id, code)


def open_code(key: PrivateKey, code_id: bytes, sealed_code: bytes) -> bytes:
    """The 16-byte code.

    Raises:
        StoreError: It was sealed by another master's key, or altered.
    """
    try:
        return _sealing_key(key, code_id).open(0, code_id, sealed_code)
    except VerificationError as exc:
        raise StoreError(
            "an invitation in the store was not made with this master's key", code=ErrorCode.KEY_FILE_DAMAGED
        ) from exc


def _sealing_key(key: PrivateKey, code_id: bytes) -> SealingKey:
    return SealingKey(Aead.A256GCM, derive(key.secret, "pairing code at rest", code_id))
