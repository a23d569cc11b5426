"""What can go wrong when an embedded chain is opened or asked."""

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, RegistryUnavailable


class ChainLocked(ConfigurationError):
    """Another process has the chain's directory open; two writers would break it."""

    default_code = ErrorCode.FOLDER_IN_USE


class ChainIdMismatch(ConfigurationError):
    """The chain in the directory was created with another chain id than the one asked for."""

    default_code = ErrorCode.WRONG_CHAIN


class ChainFileRefused(ConfigurationError):
    """A file in the chain's directory is damaged, of a later format, foreign, or open to other users."""

    default_code = ErrorCode.CHAIN_FILE_DAMAGED


class ChainClosed(RegistryUnavailable):
    """The chain was closed; it answers nothing any more."""


class RpcError(Exception):
    """A JSON-RPC error object, as a node would answer it.

    Attributes:
        code: JSON-RPC 2.0 code, or 3 for a revert and -32000 for a refused transaction, as geth has them.
        revert_output: What the EVM returned with REVERT; None for every other error.
    """

    def __init__(self, code: int, message: str, *, revert_output: bytes | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.revert_output = revert_output
