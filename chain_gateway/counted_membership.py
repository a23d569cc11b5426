"""Which of the folded events count, and the membership that follows from those that do. No I/O.

Every event counts as soon as its block is there, but for Associated: an association counts once so many blocks stand
above its own (``confirmations``), so that a short fork makes and unmakes no member. What counted once goes on counting
as long as its block stands. When a fork takes a counted association away all the same, AssociationUndone tells of it.
"""

import logging
from collections.abc import Sequence

from chain_gateway.replica_store import Position
from group_protocol.identifiers import HASH_BYTES
from group_protocol.membership import (
    Associated,
    AssociationUndone,
    ChainEvent,
    ChainPosition,
    Membership,
    ObjectState,
)

_logger = logging.getLogger(__name__)


class CountedMembership:
    """What counts of one branch of the chain, and of the branch that replaces it.

    Attributes:
        folded: The fold of all events of the branch, those that do not count yet too.
        shown: The fold of those that count.
        counted_up_to: Associations up to this block count; -1 before the first.
    """

    def __init__(self, confirmations: int) -> None:
        self._confirmations = confirmations
        self._uncounted: list[Associated] = []
        self.folded = Membership()
        self.shown = Membership()
        self.counted_up_to = -1

    def take(
        self, events: Sequence[ChainEvent], folded: Membership, position: Position, head_number: int
    ) -> list[ChainEvent]:
        """More blocks of the same branch. Answers what counts from now on, in the chain's order.

        Args:
            events: Theirs.
            folded: All events, these included.
            position: The last of the blocks.
            head_number: The branch's newest block.
        """
        self.folded = folded
        self.counted_up_to = max(self.counted_up_to, min(head_number - self._confirmations, position.number))
        waiting = [*self._uncounted, *(event for event in events if isinstance(event, Associated))]
        self._uncounted = [event for event in waiting if event.at.block_number > self.counted_up_to]
        counted = [event for event in waiting if event.at.block_number <= self.counted_up_to]
        self.shown = self._without_uncounted()
        return sorted(
            [*counted, *(event for event in events if not isinstance(event, Associated))], key=lambda event: event.at
        )

    def take_branch(
        self,
        kept: Sequence[ChainEvent],
        events: Sequence[ChainEvent],
        folded: Membership,
        *,
        shared: Position | None,
        head: Position,
    ) -> list[ChainEvent]:
        """Another branch in place of the one that was known, whole.

        Answers what it took away, then what counts of it from now on.

        Args:
            kept: Events up to the newest shared block.
            events: Those above it, on the new branch.
            folded: Both.
            shared: The newest shared block; None if there is none.
            head: The new branch's newest block.
        """
        before = self.shown
        self.counted_up_to, self._uncounted = min(self.counted_up_to, -1 if shared is None else shared.number), []
        if shared is not None:
            self.take(kept, folded, shared, shared.number)
        counted = self.take(events, folded, head, head.number)
        at = ChainPosition(head.number, 0, head.block_hash, bytes(HASH_BYTES))
        undone = [
            AssociationUndone(view.gid, view.oid, view.account, at)
            for view in before.objects.values()
            if view.state is ObjectState.SLAVE and view.oid not in self.shown.objects
        ]
        for event in undone:
            _logger.warning("a fork took the association of 0x%s away", event.oid.hex())
        return [*undone, *counted]

    def _without_uncounted(self) -> Membership:
        """All that is folded, but for slaves whose association does not count yet; a revoked one shows as revoked."""
        hidden = {event.oid for event in self._uncounted if self.folded.objects[event.oid].state is ObjectState.SLAVE}
        if not hidden:
            return self.folded
        objects = {oid: view for oid, view in self.folded.objects.items() if oid not in hidden}
        return Membership(self.folded.groups, objects)
