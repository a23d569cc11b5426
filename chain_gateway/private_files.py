"""The key file of the account that pays on a chain by URL."""

from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from system_ports.private_files import mode_open_to_others

_SECRET_BYTES = 32
_KEY_REMEDY = "Put the private key of an account that may spend ether there, as 64 hex digits, and chmod 600 it."


def read_relayer(path: Path) -> LocalAccount:
    """The account whose private key a file holds.

    Raises:
        ConfigurationError: No such file, others than its owner may read or write it, or it holds no key.
    """
    try:
        mode = mode_open_to_others(path)
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(
            f"the relayer's key file {path} cannot be read: {exc}", remedy=_KEY_REMEDY, code=ErrorCode.KEY_FILE_DAMAGED
        ) from exc
    if mode is not None:
        raise ConfigurationError(
            f"{path} has mode {mode:04o}: others can reach the key",
            remedy=f"chmod 600 {path}",
            code=ErrorCode.FILE_OPEN_TO_OTHERS,
        )
    try:
        secret = bytes.fromhex(text.removeprefix("0x"))
        if len(secret) != _SECRET_BYTES:
            raise ValueError(f"{len(secret)} bytes")  # noqa: TRY301 - as fromhex's own
        account: LocalAccount = Account.from_key(secret)
    except ValueError:
        # The cause would show what the file holds.
        raise ConfigurationError(
            f"{path} does not hold a private key", remedy=_KEY_REMEDY, code=ErrorCode.KEY_FILE_DAMAGED
        ) from None
    return account
