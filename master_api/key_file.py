"""The master's key on disk: an encrypted key store, or a plain file that only its owner may read.

The key store is Web3 Secret Storage version 3 (scrypt, AES-128-CTR, keccak MAC), so other wallets can open it.
"""

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from group_protocol.crypto.keys import PrivateKey
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.ports import Random
from master_api.private_files import refuse_if_readable_by_others, write_private_file
from system_ports.credentials import find_credential
from system_ports.private_files import sync_folder

KEYSTORE_NAME = "master.key.json"
PLAIN_KEY_NAME = "master.key"
NEXT_KEYSTORE_NAME = "master.next.key.json"
NEXT_PLAIN_KEY_NAME = "master.next.key"
"""The second slot: the key that is on its way in (``docs/adr/0019-master-key-rotation.md``)."""
KEY_FILES = (KEYSTORE_NAME, PLAIN_KEY_NAME, NEXT_KEYSTORE_NAME, NEXT_PLAIN_KEY_NAME)
PASSPHRASE_VARIABLE = "VGROUP_PASSPHRASE"  # noqa: S105 - the name of a variable, not a passphrase
PASSPHRASE_CREDENTIAL = "master.passphrase"  # noqa: S105 - the name of a credential
"""The service unit hands it over (``LoadCredential=``)."""
KEY_CREDENTIAL = "master.key"
"""Instead of a key file: 64 hex digits."""
SCRYPT_COST = 2**18
"""N of scrypt: about a second and 256 MB here, geth's default."""

AskPassphrase = Callable[[], str]


def find_passphrase(environment: Mapping[str, str], file: str, ask: AskPassphrase) -> str:
    """The passphrase, from the first place that has one: file, credential of the service, environment, prompt.

    Raises:
        ConfigurationError: The file cannot be read, is open to others, or the passphrase is empty.
    """
    if file:
        refuse_if_readable_by_others(Path(file))
        passphrase = Path(file).read_text("utf-8").split("\n", 1)[0]
    elif credential := find_credential(PASSPHRASE_CREDENTIAL, environment):
        # Not looked at for its mode: systemd lets the service in by an access list, which shows as group permissions.
        passphrase = credential.read_text("utf-8").split("\n", 1)[0]
    elif PASSPHRASE_VARIABLE in environment:
        passphrase = environment[PASSPHRASE_VARIABLE]
    else:
        passphrase = ask()
    if not passphrase:
        raise ConfigurationError(
            "the passphrase is empty",
            remedy=f"Set {PASSPHRASE_VARIABLE} or passphrase_file.",
            code=ErrorCode.PASSPHRASE_MISSING,
        )
    return passphrase


def create_key(random: Random) -> PrivateKey:
    """A new secp256k1 key; draws again in the 2^-128 case that the bytes are no valid secret."""
    while True:
        try:
            return PrivateKey.from_secret(random.token_bytes(32))
        except ConfigurationError:
            continue


def has_key(data_dir: Path) -> bool:
    """Whether a master key is there, in either form."""
    return (data_dir / KEYSTORE_NAME).exists() or (data_dir / PLAIN_KEY_NAME).exists()


def write_keystore(
    data_dir: Path, key: PrivateKey, passphrase: str, *, scrypt_cost: int = SCRYPT_COST, name: str = KEYSTORE_NAME
) -> Path:
    """Keep the key encrypted. Raises ConfigurationError if a file is there already."""
    from eth_account import Account  # noqa: PLC0415 - half a second to import, and few commands need it

    path = data_dir / name
    keystore = Account.encrypt(key.secret, passphrase, kdf="scrypt", iterations=scrypt_cost)
    write_private_file(path, json.dumps(keystore, sort_keys=True).encode("ascii"))
    return path


def write_plain_key(data_dir: Path, key: PrivateKey, *, name: str = PLAIN_KEY_NAME) -> Path:
    """Keep the key in clear, 64 hex digits, mode 0600. Raises ConfigurationError if a file is there already."""
    path = data_dir / name
    write_private_file(path, key.secret.hex().encode("ascii") + b"\n")
    return path


def read_key(data_dir: Path, passphrase: AskPassphrase) -> PrivateKey:
    """Open the master's key; ``passphrase`` is called only for a key store.

    Raises:
        ConfigurationError: No key or two, a mode too loose, a wrong passphrase, or a damaged file.
    """
    keystore, plain = data_dir / KEYSTORE_NAME, data_dir / PLAIN_KEY_NAME
    if keystore.exists() and plain.exists():
        raise ConfigurationError(
            f"{data_dir} holds two keys",
            remedy=f"Move {KEYSTORE_NAME} or {PLAIN_KEY_NAME} away.",
            code=ErrorCode.KEY_FILE_DAMAGED,
        )
    if key := _read_slot(keystore, plain, passphrase):
        return key
    if credential := find_credential(KEY_CREDENTIAL):
        return _parse_plain_key(credential)
    raise ConfigurationError(
        f"{data_dir} holds no master key", remedy="Run: vgroup master init", code=ErrorCode.NO_MASTER_HERE
    )


def read_next_key(data_dir: Path, passphrase: AskPassphrase) -> PrivateKey | None:
    """The key in the second slot, or None. Raises ConfigurationError as :func:`read_key`."""
    return _read_slot(data_dir / NEXT_KEYSTORE_NAME, data_dir / NEXT_PLAIN_KEY_NAME, passphrase)


def write_next_key(data_dir: Path, key: PrivateKey, passphrase: AskPassphrase) -> None:
    """Put a key into the second slot, in the form of the first and under the same passphrase.

    Raises:
        ConfigurationError: The key is no file of the folder, or the passphrase does not open it.
    """
    if (data_dir / KEYSTORE_NAME).exists():
        opened_by = passphrase()
        _open_keystore(data_dir / KEYSTORE_NAME, opened_by)  # a mistyped passphrase must not seal the new key
        write_keystore(data_dir, key, opened_by, name=NEXT_KEYSTORE_NAME)
    elif (data_dir / PLAIN_KEY_NAME).exists():
        write_plain_key(data_dir, key, name=NEXT_PLAIN_KEY_NAME)
    else:
        raise ConfigurationError(
            f"the master's key is a credential ({KEY_CREDENTIAL}), no file of {data_dir}: it cannot be replaced here",
            remedy=f"Write it to {data_dir / PLAIN_KEY_NAME} (mode 0600), take the credential out, and run this again.",
            code=ErrorCode.SETTING_WRONG,
        )


def promote_next_key(data_dir: Path) -> None:
    """The second slot becomes the first, in one step; the old key is gone. Nothing where there is no second."""
    for name, next_name in ((KEYSTORE_NAME, NEXT_KEYSTORE_NAME), (PLAIN_KEY_NAME, NEXT_PLAIN_KEY_NAME)):
        with contextlib.suppress(FileNotFoundError):
            (data_dir / next_name).replace(data_dir / name)
    sync_folder(data_dir)


def discard_next_key(data_dir: Path) -> None:
    """Empty the second slot, durably."""
    for next_name in (NEXT_KEYSTORE_NAME, NEXT_PLAIN_KEY_NAME):
        (data_dir / next_name).unlink(missing_ok=True)
    sync_folder(data_dir)


def _read_slot(keystore: Path, plain: Path, passphrase: AskPassphrase) -> PrivateKey | None:
    if keystore.exists():
        refuse_if_readable_by_others(keystore)
        return _open_keystore(keystore, passphrase())
    if plain.exists():
        refuse_if_readable_by_others(plain)
        return _parse_plain_key(plain)
    return None


def _open_keystore(path: Path, passphrase: str) -> PrivateKey:
    from eth_account import Account  # noqa: PLC0415 - as above

    try:
        keystore = json.loads(path.read_text("ascii"))
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"the key store {path} is damaged", code=ErrorCode.KEY_FILE_DAMAGED) from exc
    try:
        return PrivateKey.from_secret(bytes(Account.decrypt(keystore, passphrase)))
    except ValueError as exc:
        raise ConfigurationError(f"the passphrase does not open {path}", code=ErrorCode.PASSPHRASE_WRONG) from exc
    except (KeyError, TypeError, NotImplementedError, ConfigurationError) as exc:
        raise ConfigurationError(f"the key store {path} is damaged", code=ErrorCode.KEY_FILE_DAMAGED) from exc


def _parse_plain_key(path: Path) -> PrivateKey:
    try:
        return PrivateKey.from_secret(bytes.fromhex(path.read_text("ascii").strip()))
    except (OSError, ValueError, ConfigurationError) as exc:
        raise ConfigurationError(
            f"the key file {path} is damaged: it should hold 64 hex digits", code=ErrorCode.KEY_FILE_DAMAGED
        ) from exc
