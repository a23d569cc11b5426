"""Keys at rest under a secret that does not lie beside them: a credential of the service (``LoadCredential=``).

Whoever copies the state directory, by a backup for instance, then has no key. Where no secret is given, the files are
protected by their mode alone.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from group_protocol.crypto.aead import Aead, SealingKey
from group_protocol.crypto.kdf import derive, hkdf_extract
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import VerificationError
from group_protocol.ports import Random
from slave_client.errors import KeyStoreError
from system_ports.credentials import find_credential

CREDENTIAL: Final = "slave.key"
SECRET_VARIABLE: Final = "VGROUP_KEYSTORE_SECRET"  # noqa: S105 - the name of a variable
_SALT_BYTES: Final = 32
_SECRET_MIN_CHARACTERS: Final = 32
_REMEDY: Final = f"Start it with the credential {CREDENTIAL}, or set {SECRET_VARIABLE} to what that file holds."


class KeySealer:
    """Seals the fields of a key file, each time under a key of its own.

    Args:
        secret: At least 32 characters that nobody can guess.
        random: For salts.
    """

    def __init__(self, secret: bytes, random: Random) -> None:
        self._key = hkdf_extract(b"", secret)
        self._random = random

    def seal(self, name: str, fields: Mapping[str, object]) -> dict[str, object]:
        """The fields of a file, to be opened again only under its own name: a salt of 32 bytes, AES-256-GCM."""
        salt = self._random.token_bytes(_SALT_BYTES)
        sealed = self._sealing_key(name, salt).seal(0, name.encode(), json.dumps(fields).encode())
        return {"salt": salt.hex(), "sealed": sealed.hex()}

    def open(self, name: str, fields: Mapping[str, object]) -> dict[str, object]:
        """The fields as they were. Raises VerificationError under another secret, KeyError or ValueError if damaged."""
        salt, sealed = bytes.fromhex(str(fields["salt"])), bytes.fromhex(str(fields["sealed"]))
        opened: dict[str, object] = json.loads(self._sealing_key(name, salt).open(0, name.encode(), sealed))
        return opened

    def _sealing_key(self, name: str, salt: bytes) -> SealingKey:
        return SealingKey(Aead.A256GCM, derive(self._key, "slave key file", salt + name.encode()))


def find_sealer(random: Random, environment: Mapping[str, str] | None = None) -> KeySealer | None:
    """The sealer of this machine: from the service's credential, else from the environment; None if there is neither.

    Raises:
        KeyStoreError: The secret is too short to be one.
    """
    environment = os.environ if environment is None else environment
    credential = find_credential(CREDENTIAL, environment)
    secret = _read(credential) if credential else environment.get(SECRET_VARIABLE, "").strip()
    if not secret:
        return None
    if len(secret) < _SECRET_MIN_CHARACTERS:
        raise KeyStoreError(
            f"the secret of the key store has under {_SECRET_MIN_CHARACTERS} characters",
            remedy="Make one: head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \\n'",
            code=ErrorCode.DEVICE_KEY_SEALED,
        )
    return KeySealer(secret.encode(), random)


def open_fields(sealer: KeySealer | None, path: Path, fields: dict[str, object]) -> dict[str, object]:
    """The fields of a key file, sealed or not.

    Raises:
        KeyStoreError: It is sealed, and the secret is missing or another one.
        KeyError, ValueError: It is damaged.
    """
    if "sealed" not in fields:
        return fields
    if sealer is None:
        raise KeyStoreError(
            f"{path} is sealed, and its secret is not at hand", remedy=_REMEDY, code=ErrorCode.DEVICE_KEY_SEALED
        )
    try:
        return sealer.open(path.name, fields)
    except VerificationError as exc:
        raise KeyStoreError(
            f"{path} was sealed with another secret", remedy=_REMEDY, code=ErrorCode.DEVICE_KEY_SEALED
        ) from exc


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise KeyStoreError(
            f"the credential {path.name} cannot be read: {exc}", remedy=_REMEDY, code=ErrorCode.DEVICE_KEY_SEALED
        ) from exc
