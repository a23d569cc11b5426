"""Files that only their owner may read, written whole or not at all."""

import os
import stat
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount

from group_protocol.errors import ConfigurationError

_SECRET_BYTES = 32
_KEY_REMEDY = "Put the private key of an account that may spend ether there, as 64 hex digits, and chmod 600 it."


def write_private(path: Path, text: str) -> None:
    """Write with mode 0600, flush, and rename."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_relayer(path: Path) -> LocalAccount:
    """The account whose private key a file holds.

    Raises:
        ConfigurationError: No such file, others than its owner may read or write it, or it holds no key.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"the relayer's key file {path} cannot be read: {exc}", remedy=_KEY_REMEDY) from exc
    if mode & 0o077:
        raise ConfigurationError(f"{path} has mode {mode:04o}: others can reach the key", remedy=f"chmod 600 {path}")
    try:
        secret = bytes.fromhex(text.removeprefix("0x"))
        if len(secret) != _SECRET_BYTES:
            raise ValueError(f"{len(secret)} bytes")  # noqa: TRY301 - as fromhex's own
        account: LocalAccount = Account.from_key(secret)
    except ValueError:
        # The cause would show what the file holds.
        raise ConfigurationError(f"{path} does not hold a private key", remedy=_KEY_REMEDY) from None
    return account
