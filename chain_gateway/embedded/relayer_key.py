"""The relayer's private key: 32 bytes, in hex, in a file that only its owner can read."""

import secrets
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount

from chain_gateway.embedded.errors import ChainFileRefused
from group_protocol.error_codes import ErrorCode
from system_ports.private_files import mode_open_to_others, replace_private_file


def load_or_create_relayer(path: Path) -> LocalAccount:
    """The account whose key is in ``path``; on first use a random key is written there with mode 0600.

    Raises:
        ChainFileRefused: the file holds no key, or others than its owner may read or write it.
    """
    if not path.exists():
        replace_private_file(path, f"0x{secrets.token_bytes(32).hex()}\n".encode("ascii"))
    mode = mode_open_to_others(path)
    if mode is not None:
        raise ChainFileRefused(
            f"{path} has mode {mode:04o}: others can reach the key",
            remedy=f"chmod 600 {path}",
            code=ErrorCode.FILE_OPEN_TO_OTHERS,
        )
    try:
        return account_of(bytes.fromhex(path.read_text("ascii").strip().removeprefix("0x")))
    except ValueError as exc:
        raise ChainFileRefused(
            f"{path} does not hold a private key",
            remedy="Restore it from a backup, or remove it: a new key relays just as well.",
            code=ErrorCode.KEY_FILE_DAMAGED,
        ) from exc


def account_of(private_key: bytes) -> LocalAccount:
    """The account of a 32-byte secp256k1 key. Raises ValueError for a key of another length or out of range."""
    if len(private_key) != 32:
        raise ValueError(f"a private key has 32 bytes, not {len(private_key)}")
    account: LocalAccount = Account.from_key(private_key)
    return account
