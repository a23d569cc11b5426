"""What goes wrong between the gateway and its node, before it is one of the system's errors.

These never leave ``chain_gateway``: :mod:`chain_gateway.translate` and :mod:`chain_gateway.sender` turn every one into
ContractRefusal, RegistryUnavailable or RegistryInconsistent (:mod:`group_protocol.errors`).
"""


class NodeError(Exception):
    """A JSON-RPC error object.

    Attributes:
        code: JSON-RPC's or the node's own; -1 where there was none.
        message: The node's words, at most 200 characters of them.
        output: What came with it as DATA; empty where nothing did.
    """

    def __init__(self, code: int, message: str, output: bytes) -> None:
        super().__init__(f"{message} (code {code})")
        self.code = code
        self.message = message
        self.output = output


class CallReverted(Exception):
    """The EVM reverted a call.

    Attributes:
        output: What it returned: the selector (4 bytes) and arguments of the contract's error; empty for a bare revert.
    """

    def __init__(self, output: bytes) -> None:
        super().__init__(f"reverted with 0x{output.hex()[:80]}")
        self.output = output


class LogRangeRefused(Exception):
    """The node does not list the logs of so many blocks at once."""


class TransactionRefused(Exception):
    """The node did not take a raw transaction, for a reason of its pool."""


class NonceUsed(TransactionRefused):
    """Another transaction with this tx_nonce stands in a block already ("nonce too low")."""


class NonceTaken(TransactionRefused):
    """Another transaction with this tx_nonce waits in the node's pool ("replacement transaction underpriced")."""


class NonceAhead(TransactionRefused):
    """This node keeps no queue and wants a lower tx_nonce first ("nonce too high")."""


class AlreadyKnown(TransactionRefused):
    """The node has this very transaction."""


class Underpriced(TransactionRefused):
    """The transaction offers less than the node or the next block wants ("transaction underpriced")."""


class CannotPay(TransactionRefused):
    """The relayer's account cannot pay for the gas."""
