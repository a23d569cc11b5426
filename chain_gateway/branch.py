"""One branch of the chain, as the node that is asked holds it: from its head down to its first block.

It says where it parts from the blocks that are known, and gives a contract's logs in parts as large as the node allows.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from chain_gateway.chain_reader import ChainReader
from chain_gateway.errors import LogRangeRefused
from chain_gateway.node_answers import Block, RawLog
from chain_gateway.replica_store import Position
from group_protocol.errors import RegistryInconsistent, RegistryUnavailable
from group_protocol.identifiers import Address


@dataclass(slots=True)
class RangeSize:
    """How many blocks are asked for at once: half as many each time that the node refuses."""

    blocks: int


@dataclass(frozen=True, slots=True)
class Part:
    """All logs of some successive blocks, in the chain's order; ``end`` is the last of the blocks."""

    logs: list[RawLog]
    end: Position


class Branch:
    """What one node holds at one look. Every coroutine may raise RegistryUnavailable.

    Args:
        reader: Asks the same node from first to last: another's head may be lower, or another branch's.
        contract: Whose logs are read.
        head: What the node told as its newest block.
        size: Shared by all looks, so that what the node refuses is asked once.
    """

    def __init__(self, reader: ChainReader, contract: Address, head: Block, size: RangeSize) -> None:
        self._reader = reader
        self._contract = contract
        self._size = size
        self.head = head

    async def holds(self, position: Position) -> bool:
        """Whether the block stands on this branch."""
        if position.number == self.head.number:
            return position.block_hash == self.head.block_hash
        if position.number + 1 == self.head.number:
            return position.block_hash == self.head.parent_hash
        return await self._holds_now(position)

    async def is_cut_short(self, known: Sequence[Position]) -> bool:
        """Whether it is the known branch with its newest blocks missing: up to its head no known block is another here.

        Args:
            known: At least one block, the newest first.
        """
        if self.head.number >= known[0].number:
            return False
        reached = next((position for position in known if position.number <= self.head.number), None)
        return reached is None or await self.holds(reached)

    async def find_shared(self, known: Sequence[Position]) -> Position | None:
        """The newest known block that stands here too. Every block below a shared one is shared as well: bisect."""
        shared_from, unshared_below = len(known), 0
        while unshared_below < shared_from:
            middle = (unshared_below + shared_from) // 2
            if await self.holds(known[middle]):
                shared_from = middle
            else:
                unshared_below = middle + 1
        return known[shared_from] if shared_from < len(known) else None

    async def read(self, first: int, last: int, *, above: Position | None) -> list[RawLog]:
        """Every log from one block to another, both included. Raises what :meth:`read_part` does."""
        logs: list[RawLog] = []
        while first <= last:
            part = await self.read_part(first, last, above=above)
            logs += part.logs
            first, above = part.end.number + 1, part.end
        return logs

    async def read_part(self, first: int, last: int, *, above: Position | None) -> Part:
        """The logs from ``first`` on: up to ``last``, or as far as the node lists at once.

        Args:
            first: Block number.
            last: Block number, at most the head's.
            above: The block below ``first`` whose logs were read before; None if there were none.

        Raises:
            RegistryUnavailable: The chain was reorganised meanwhile, or the node does not answer.
            RegistryInconsistent: The logs are out of order.
        """
        while True:
            end = min(first + self._size.blocks - 1, last)
            try:
                return await self._read_run(first, end, above)
            except LogRangeRefused:
                self._size.blocks = max(1, (end - first + 1) // 2)

    async def _read_run(self, first: int, last: int, above: Position | None) -> Part:
        # The hash is asked for before the logs: if the chain changes in between, the next look sees it.
        block = self.head if last == self.head.number else await self._reader.fetch_block(last)
        if block is None:
            raise RegistryUnavailable(f"the chain's node has a block {self.head.number} but no block {last}")
        logs = await self._reader.fetch_logs(self._contract, first, last)
        _require_order(logs, first, last)
        # No later look would see that blocks below these were replaced before these were read.
        is_next = above is not None and above.number + 1 == last and above.block_hash == block.parent_hash
        if above is not None and not is_next and not await self._holds_now(above):
            raise RegistryUnavailable(
                f"the chain was reorganised below block {first} while its events were read",
                remedy="Nothing has to be done: they are read again.",
            )
        return Part(logs, Position(block.number, block.block_hash))

    async def _holds_now(self, position: Position) -> bool:
        block = await self._reader.fetch_block(position.number)
        return block is not None and block.block_hash == position.block_hash


def _require_order(logs: Sequence[RawLog], first: int, last: int) -> None:
    places = [(log.block_number, log.log_index) for log in logs]
    rising = all(before < after for before, after in itertools.pairwise(places))
    if not rising or any(not first <= number <= last for number, _ in places):
        raise RegistryInconsistent(f"the chain's node gave logs out of order for the blocks {first} to {last}")
