"""What the event replica and the check of the contract ask of a chain, whoever answers: a node, or a remote gateway."""

from typing import Protocol, runtime_checkable

from chain_gateway.node_answers import Block, RawLog
from group_protocol.identifiers import Address


class ChainReader(Protocol):
    """Blocks and one contract's logs. Every method may raise RegistryUnavailable."""

    async def fetch_head(self) -> Block:
        """The newest block."""
        ...

    async def fetch_block(self, number: int) -> Block | None:
        """The canonical block of that height; None above the head."""
        ...

    async def fetch_logs(self, contract: Address, first_block: int, last_block: int) -> list[RawLog]:
        """The contract's logs of a range of blocks, both ends included.

        Raises:
            LogRangeRefused: A smaller range may do.
        """
        ...


@runtime_checkable
class ManyNodes(Protocol):
    """A reader that chooses between several nodes, which may stand at different heads."""

    def pinned(self) -> ChainReader:
        """One whose answers all come from the same node."""
        ...

    def blame(self, why: str) -> bool:
        """The node that was asked contradicts itself. Answers whether there is another to ask."""
        ...


class CodeReader(Protocol):
    """Which chain it is, and what stands at an address of it."""

    async def fetch_chain_id(self) -> int:
        """EIP-155 chain id."""
        ...

    async def fetch_code(self, contract: Address) -> bytes:
        """Runtime code at an address; empty where there is no contract."""
        ...
