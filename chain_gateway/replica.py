"""The event replica: every event of the contract, folded into the membership that the whole system asks.

It remembers the hash of the block that it stands on. Where the chain has replaced that block (a reorganisation, or a
node with another view), it goes back to the newest block that both still share, and takes the events from there again.
A node that merely tells of fewer blocks, none of them another than the known ones, is behind, or wants old state to be
believed: it takes nothing back, so that no revocation is forgotten on the word of a shorter chain.

Every event counts as soon as its block is there, but for Associated: an association counts once so many blocks stand
above its own (``confirmations``), so that a short fork makes and unmakes no member. What counted once goes on counting
as long as its block stands. When a fork takes a counted association away all the same, AssociationUndone tells of it.
While blocks are replaced, :attr:`EventReplica.membership` stays as it was until the new branch is read to its head.
"""

import asyncio
import contextlib
import itertools
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from chain_gateway.chain_reader import ChainReader, ManyNodes
from chain_gateway.config import ReplicaTimes
from chain_gateway.errors import LogRangeRefused
from chain_gateway.events import EventDecoder
from chain_gateway.node_answers import Block, RawLog
from chain_gateway.replica_store import Position, ReplicaStore
from chain_gateway.subscriptions import EventFeed, Subscription
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import RegistryInconsistent, RegistryUnavailable
from group_protocol.identifiers import HASH_BYTES
from group_protocol.membership import (
    Associated,
    AssociationUndone,
    ChainEvent,
    ChainPosition,
    Membership,
    ObjectState,
    fold,
)
from group_protocol.ports import RegistryIdentity

_T = TypeVar("_T")

_logger = logging.getLogger(__name__)


class EventReplica:
    """Follows one contract. :meth:`start` it, and :meth:`close` it."""

    def __init__(
        self,
        node: ChainReader,
        decoder: EventDecoder,
        identity: RegistryIdentity,
        *,
        path: Path,
        first_block: int,
        times: ReplicaTimes,
        confirmations: int = 0,
        verify: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._node = node
        self._reader = node
        self._decoder = decoder
        self._identity = identity
        self._path = path
        self._first_block = first_block
        self._times = times
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="event-replica")
        self._store: ReplicaStore | None = None
        self._feed = EventFeed()
        self._position: Position | None = None
        self._blocks_per_request = times.blocks_per_request
        self._task: asyncio.Task[None] | None = None
        self._poke = asyncio.Event()
        self._moved = asyncio.Event()
        self._failure: RegistryInconsistent | None = None
        self._confirmations = confirmations
        self._verify = verify
        self._counted_up_to = -1
        self._uncounted: list[Associated] = []
        self._reads_anew = False
        self._folded = Membership()
        self._before_fork: Membership | None = None
        self._held: list[ChainEvent] = []
        self._membership = Membership()

    @property
    def membership(self) -> Membership:
        """The fold of all events that count. Raises RegistryInconsistent once they have contradicted each other."""
        if self._failure is not None:
            raise RegistryInconsistent(str(self._failure)) from self._failure
        return self._membership

    async def start(self, *, may_be_away: bool = False) -> None:
        """Read the file, catch up with the chain, then follow it.

        Args:
            may_be_away: If the chain cannot be reached, begin with what is in the file, and catch up later.

        Raises:
            ConfigurationError: The file cannot be used.
            RegistryUnavailable: The node cannot be reached.
            RegistryInconsistent: The events contradict each other.
        """
        self._store = await self._run(lambda: ReplicaStore.open(self._path, self._identity))
        await self._load(-1)
        self._membership = self._without_uncounted()
        try:
            await self._catch_up()
        except RegistryUnavailable as exc:
            if not may_be_away:
                raise
            _logger.warning("beginning with what is known: %s", exc)
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """End the subscriptions and close the file. Idempotent."""
        task, self._task = self._task, None
        try:
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        finally:
            self._feed.close()
            store, self._store = self._store, None
            self._tell_waiters()
            if store is not None:
                await self._run(store.close)
            self._thread.shutdown(wait=False)

    def subscribe(self) -> Subscription:
        """Events from now on, each after it is in :attr:`membership`."""
        return self._feed.subscribe()

    def look_now(self) -> None:
        """Something happened on the chain: do not wait for the next poll."""
        self._poke.set()

    def read_anew(self) -> None:
        """Take nothing in the file for granted: read all events from the chain again, as soon as the node answers.

        For when its contract says otherwise than the events that it gave. :attr:`membership` stays as it is meanwhile,
        and for good if the node tells the same again, contradicts itself, or is behind.
        """
        self._reads_anew = True
        self.look_now()

    async def find_logs(self, topic: bytes, word: bytes) -> list[RawLog]:
        """Logs of one event (its topic, 32 bytes) that hold these bytes, oldest first; those that do not count yet too.

        Raises:
            RegistryUnavailable: The file cannot be read.
        """
        return await self._in_thread(lambda store: store.logs_with(topic, word))

    async def fetch_events(self) -> list[ChainEvent]:
        """Every event so far, in chain order. Raises RegistryUnavailable."""
        return [self._decoder.decode(log) for log in await self._in_thread(lambda store: store.logs())]

    async def wait_for_block(self, number: int) -> None:
        """Return when the block's events are in :attr:`membership`; its associations may not count yet.

        Raises:
            RegistryUnavailable: That took too long.
            RegistryInconsistent: The events contradict each other: :attr:`membership` is lost.
        """
        await self._wait_until(lambda: self._before_fork is None and self._next_block() > number, number)

    async def wait_until_counted(self, number: int) -> None:
        """Return when the block's associations count too. Raises what :meth:`wait_for_block` does."""
        await self._wait_until(lambda: self._before_fork is None and self._counted_up_to >= number, number)

    async def _wait_until(self, is_reached: Callable[[], bool], number: int) -> None:
        try:
            async with asyncio.timeout(self._times.catch_up_timeout_s):
                while self._failure is None and not is_reached():
                    if self._store is None:
                        raise RegistryUnavailable("the registry is closed")
                    self._poke.set()
                    await self._moved.wait()
        except TimeoutError as exc:
            raise RegistryUnavailable(
                f"the transaction stands in block {number}, but the node does not give that block's events",
                remedy="Check the node; the membership is brought up to date when it answers again.",
            ) from exc
        if self._failure is not None:
            raise RegistryInconsistent(str(self._failure)) from self._failure

    async def _follow(self) -> None:
        pause_s = self._times.poll_interval_s
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._poke.wait()
            self._poke.clear()
            try:
                await self._catch_up()
            except RegistryUnavailable as exc:
                pause_s = min(2 * pause_s, self._times.longest_backoff_s)
                _logger.warning("cannot follow the chain, next try in %.1f s: %s", pause_s, exc)
            except RegistryInconsistent as exc:
                _logger.exception("the chain's node contradicts itself; the replica stops")
                self._failure = exc
                self._feed.close(exc)
                self._tell_waiters()
                return
            else:
                pause_s = self._times.poll_interval_s

    async def _catch_up(self) -> None:
        """Take every block up to the head; where the events contradict each other, once more from the first one."""
        try:
            await self._advance()
        except RegistryInconsistent as exc:
            if isinstance(self._reader, ManyNodes) and self._reader.blame(str(exc)):
                raise RegistryUnavailable(f"a node contradicts itself, another is asked next: {exc}") from exc
            if self._position is None:
                raise
            _logger.warning("the events contradict what is stored; reading all of them again", exc_info=True)
            await self._roll_back(None)
            await self._advance()

    async def _require_verified(self) -> None:
        """Before the first event is believed: that it is our contract's. Raises RegistryInconsistent if it is not."""
        if self._verify is not None:
            await self._verify()
            self._verify = None

    async def _advance(self) -> None:
        # One node from first to last: another's head may be lower, or another branch's.
        self._reader = self._node.pinned() if isinstance(self._node, ManyNodes) else self._node
        await self._require_verified()
        head = await self._reader.fetch_head()
        if self._position is not None and not await self._is_canonical(self._position, head):
            if await self._is_behind(self._position, head):
                _logger.warning("the node tells of no block above %d, known are %d", head.number, self._position.number)
                return
            await self._roll_back(await self._find_common_block())
        elif self._position is not None and self._reads_anew:
            self._reads_anew = False
            if await self._are_told_otherwise(self._position):
                await self._roll_back(None)
        while (first := self._next_block()) <= head.number:
            last = min(first + self._blocks_per_request - 1, head.number)
            try:
                await self._take(first, last, head)
            except LogRangeRefused:
                self._blocks_per_request = max(1, (last - first + 1) // 2)
        if self._before_fork is not None:
            self._end_fork(self._before_fork)

    async def _are_told_otherwise(self, position: Position) -> bool:
        """Whether the node gives other logs than the file has up to its block, and such as can be believed.

        Nothing is forgotten before that is known: a node that goes away in the middle takes no membership with it.
        """
        told: list[RawLog] = []
        first = self._first_block
        while first <= position.number:
            last = min(first + self._blocks_per_request - 1, position.number)
            try:
                logs = await self._reader.fetch_logs(self._identity.contract, first, last)
            except LogRangeRefused:
                self._blocks_per_request = max(1, (last - first + 1) // 2)
                continue
            told += logs
            first = last + 1
        if told == await self._in_thread(lambda store: store.logs()):
            return False
        try:
            _check_order(told, self._first_block, position.number)
            fold(self._decoder.decode(log) for log in told)
        except RegistryInconsistent as exc:
            _logger.warning("read again, the events contradict each other; the known ones stay: %s", exc)
            return False
        return True

    async def _take(self, first: int, last: int, head: Block) -> None:
        # The hash is asked for before the logs: if the chain changes in between, the next step sees it.
        block = head if last == head.number else await self._reader.fetch_block(last)
        if block is None:
            raise RegistryUnavailable(f"the chain's node has a block {head.number} but no block {last}")
        logs = await self._reader.fetch_logs(self._identity.contract, first, last)
        _check_order(logs, first, last)
        position = Position(block.number, block.block_hash)
        events, self._folded = await self._in_thread(lambda store: self._digest(store, logs, position))
        self._position = position
        self._publish(self._count(events, head.number))

    def _count(self, events: Sequence[ChainEvent], head_number: int) -> list[ChainEvent]:
        """Hold back associations that do not count yet; what counts now, in order."""
        self._counted_up_to = max(self._counted_up_to, min(head_number - self._confirmations, self._next_block() - 1))
        waiting = [*self._uncounted, *(event for event in events if isinstance(event, Associated))]
        self._uncounted = [event for event in waiting if event.at.block_number > self._counted_up_to]
        counted = [event for event in waiting if event.at.block_number <= self._counted_up_to]
        return sorted(
            [*counted, *(event for event in events if not isinstance(event, Associated))], key=lambda event: event.at
        )

    def _publish(self, events: Sequence[ChainEvent]) -> None:
        """Let everybody see what counts; while a fork is read, not before its end."""
        if self._before_fork is not None:
            self._held.extend(events)
            return
        self._membership = self._without_uncounted()
        self._feed.emit(events)
        self._tell_waiters()

    def _without_uncounted(self) -> Membership:
        """All that is folded, but for slaves whose association does not count yet; a revoked one shows as revoked."""
        hidden = {event.oid for event in self._uncounted if self._folded.objects[event.oid].state is ObjectState.SLAVE}
        if not hidden:
            return self._folded
        objects = {oid: view for oid, view in self._folded.objects.items() if oid not in hidden}
        return Membership(self._folded.groups, objects)

    def _end_fork(self, before: Membership) -> None:
        """The new branch is read to its head: tell what it took away, then what it brought."""
        held, self._held, self._before_fork = self._held, [], None
        after, at = self._without_uncounted(), self._here()
        undone = [
            AssociationUndone(view.gid, view.oid, view.account, at)
            for view in before.objects.values()
            if view.state is ObjectState.SLAVE and view.oid not in after.objects
        ]
        for event in undone:
            _logger.warning("a fork took the association of 0x%s away", event.oid.hex())
        self._publish([*undone, *held])

    def _here(self) -> ChainPosition:
        number, block_hash = (0, bytes(HASH_BYTES))
        if self._position is not None:
            number, block_hash = self._position.number, self._position.block_hash
        return ChainPosition(number, 0, block_hash, bytes(HASH_BYTES))

    def _digest(
        self, store: ReplicaStore, logs: Sequence[RawLog], position: Position
    ) -> tuple[list[ChainEvent], Membership]:
        """In the thread: decode, fold, commit."""
        events = [self._decoder.decode(log) for log in logs]
        membership = fold(events, self._folded)
        store.append(logs, position)
        return events, membership

    def _next_block(self) -> int:
        return self._first_block if self._position is None else self._position.number + 1

    def _tell_waiters(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    async def _is_canonical(self, position: Position, head: Block) -> bool:
        if position.number == head.number:
            return position.block_hash == head.block_hash
        if position.number + 1 == head.number:
            return position.block_hash == head.parent_hash
        block = await self._reader.fetch_block(position.number)
        return block is not None and block.block_hash == position.block_hash

    async def _is_behind(self, position: Position, head: Block) -> bool:
        """Whether the node's chain is the known one, cut short: no known block up to its head is another there."""
        if head.number >= position.number:
            return False
        known = await self._in_thread(
            lambda store: next((block for block in store.positions() if block.number <= head.number), None)
        )
        return known is None or await self._is_canonical(known, head)

    async def _find_common_block(self) -> Position | None:
        """The newest block that the file and the chain share. Every block below a shared one is shared too: bisect."""
        known = await self._in_thread(lambda store: list(store.positions()))
        head = await self._reader.fetch_head()
        shared_from, unshared_below = len(known), 0
        while unshared_below < shared_from:
            middle = (unshared_below + shared_from) // 2
            if await self._is_canonical(known[middle], head):
                shared_from = middle
            else:
                unshared_below = middle + 1
        return known[shared_from] if shared_from < len(known) else None

    async def _roll_back(self, to: Position | None) -> None:
        number = -1 if to is None else to.number
        _logger.warning("the chain was reorganised: going back to block %d", number)
        await self._in_thread(lambda store: store.roll_back(number))
        if self._before_fork is None:
            self._before_fork = self._membership
        self._held.clear()
        await self._load(min(self._counted_up_to, number))

    async def _load(self, counted_up_to: int) -> None:
        events, self._folded, self._position = await self._in_thread(self._read)
        self._counted_up_to, self._uncounted = counted_up_to, []
        self._count(events, self._next_block() - 1)

    def _read(self, store: ReplicaStore) -> tuple[list[ChainEvent], Membership, Position | None]:
        """In the thread: fold what is stored. A file whose events contradict each other is emptied."""
        try:
            events = [self._decoder.decode(log) for log in store.logs()]
            return events, fold(events), store.position()
        except RegistryInconsistent:
            _logger.warning("the replica's file contradicts itself; reading the chain again", exc_info=True)
            store.roll_back(-1)
            return [], Membership(), None

    async def _in_thread(self, work: Callable[[ReplicaStore], _T]) -> _T:
        """Run blocking work in the one thread that may touch the file."""
        store = self._store
        if store is None:
            raise RegistryUnavailable("the registry is closed")
        return await self._run(lambda: work(store))

    async def _run(self, work: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as exc:
            raise RegistryUnavailable(
                f"the event replica {self._path} cannot be read or written: {exc}",
                remedy="Check the disk; the file may be removed, it is read from the chain again.",
                code=ErrorCode.DISK_REFUSES,
            ) from exc


def _check_order(logs: Sequence[RawLog], first: int, last: int) -> None:
    places = [(log.block_number, log.log_index) for log in logs]
    rising = all(before < after for before, after in itertools.pairwise(places))
    if not rising or any(not first <= number <= last for number, _ in places):
        raise RegistryInconsistent(f"the chain's node gave logs out of order for the blocks {first} to {last}")
