"""The event replica: every event of the contract, folded into the membership that the whole system asks.

It remembers the hash of the block that it stands on. Where the chain has replaced that block (a reorganisation, or a
node with another view), it reads the new branch from the newest block that both still share up to its head, and only
then puts it, whole, in the old one's place: in its file and in :attr:`EventReplica.membership` alike. Until then both
stay as they were, so that nobody is cut off, and no revocation forgotten, for a branch that nobody has read to its end.
A node that merely tells of fewer blocks, none of them another than the known ones, is behind, or wants old state to be
believed: it takes nothing back, so that no revocation is forgotten on the word of a shorter chain.

Which events count, and from when on: :mod:`chain_gateway.counted_membership`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from chain_gateway.branch import Branch, RangeSize
from chain_gateway.chain_reader import ChainReader, ManyNodes
from chain_gateway.config import ReplicaTimes
from chain_gateway.counted_membership import CountedMembership
from chain_gateway.events import EventDecoder
from chain_gateway.node_answers import RawLog
from chain_gateway.replica_store import Position, ReplicaStore
from chain_gateway.replica_thread import ReplicaThread
from chain_gateway.subscriptions import EventFeed, Subscription
from group_protocol.errors import RegistryInconsistent, RegistryUnavailable
from group_protocol.membership import ChainEvent, Membership, fold
from group_protocol.ports import RegistryIdentity

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
        self._first_block = first_block
        self._times = times
        self._file = ReplicaThread(path)
        self._feed = EventFeed()
        self._position: Position | None = None
        self._range_size = RangeSize(times.blocks_per_request)
        self._task: asyncio.Task[None] | None = None
        self._poke = asyncio.Event()
        self._moved = asyncio.Event()
        self._failure: RegistryInconsistent | None = None
        self._verify = verify
        self._counted = CountedMembership(confirmations)
        self._is_replaced = False
        self._reads_anew = False

    @property
    def membership(self) -> Membership:
        """The fold of all events that count. Raises RegistryInconsistent once they have contradicted each other."""
        if self._failure is not None:
            raise RegistryInconsistent(str(self._failure)) from self._failure
        return self._counted.shown

    async def start(self, *, may_be_away: bool = False) -> None:
        """Read the file, catch up with the chain, then follow it.

        Args:
            may_be_away: If the chain cannot be reached, begin with what is in the file, and catch up later.

        Raises:
            ConfigurationError: The file cannot be used.
            RegistryUnavailable: The node cannot be reached.
            RegistryInconsistent: The events contradict each other.
        """
        await self._file.open(self._identity)
        await self._load()
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
            try:
                await self._file.close()
            finally:
                self._tell_waiters()

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
        return await self._file.do(lambda store: store.logs_with(topic, word))

    async def fetch_events(self) -> list[ChainEvent]:
        """Every event so far, in chain order. Raises RegistryUnavailable."""
        return [self._decoder.decode(log) for log in await self._file.do(ReplicaStore.logs)]

    async def wait_for_block(self, number: int) -> None:
        """Return when the block's events are in :attr:`membership`; its associations may not count yet.

        Raises:
            RegistryUnavailable: That took too long.
            RegistryInconsistent: The events contradict each other: :attr:`membership` is lost.
        """
        await self._wait_until(lambda: not self._is_replaced and self._next_block() > number, number)

    async def wait_until_counted(self, number: int) -> None:
        """Return when the block's associations count too. Raises what :meth:`wait_for_block` does."""
        await self._wait_until(lambda: not self._is_replaced and self._counted.counted_up_to >= number, number)

    async def _wait_until(self, is_reached: Callable[[], bool], number: int) -> None:
        try:
            async with asyncio.timeout(self._times.catch_up_timeout_s):
                while self._failure is None and not is_reached():
                    if not self._file.is_open:
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
            await self._replace(await self._look(), shared=None)

    async def _look(self) -> Branch:
        return Branch(self._reader, self._identity.contract, await self._reader.fetch_head(), self._range_size)

    async def _require_verified(self) -> None:
        """Before the first event is believed: that it is our contract's. Raises RegistryInconsistent if it is not."""
        if self._verify is not None:
            await self._verify()
            self._verify = None

    async def _advance(self) -> None:
        # One node from first to last: another's head may be lower, or another branch's.
        self._reader = self._node.pinned() if isinstance(self._node, ManyNodes) else self._node
        await self._require_verified()
        branch = await self._look()
        position = self._position
        if position is not None and not await branch.holds(position):
            known = await self._file.do(lambda store: list(store.positions()))
            if await branch.is_cut_short(known):
                _logger.warning(
                    "the node tells of no block above %d, known are %d", branch.head.number, position.number
                )
                return
            await self._replace(branch, shared=await branch.find_shared(known))
        elif position is not None and self._reads_anew:
            await self._read_anew(branch, position)
        if self._is_replaced:  # and the chain has come back to the known branch, before the other was read
            self._is_replaced = False
            self._tell_waiters()
        while self._next_block() <= branch.head.number:
            await self._take_part(branch)

    async def _read_anew(self, branch: Branch, position: Position) -> None:
        self._reads_anew = False
        try:
            if await self._is_told_otherwise(branch, position):
                await self._replace(branch, shared=None)
        except RegistryUnavailable:
            self._reads_anew = True
            raise

    async def _is_told_otherwise(self, branch: Branch, position: Position) -> bool:
        """Whether the node gives other logs than the file has up to its block, and such as can be believed."""
        try:
            told = await branch.read(self._first_block, position.number, above=None)
            if told == await self._file.do(ReplicaStore.logs):
                return False
            fold(self._decoder.decode(log) for log in told)
        except RegistryInconsistent as exc:
            _logger.warning("read again, the events contradict each other; the known ones stay: %s", exc)
            return False
        return True

    async def _take_part(self, branch: Branch) -> None:
        """More blocks on top of the known ones, into the file and then into the membership."""
        part = await branch.read_part(self._next_block(), branch.head.number, above=self._position)
        before = self._counted.folded

        def commit(store: ReplicaStore) -> tuple[list[ChainEvent], Membership]:
            events = [self._decoder.decode(log) for log in part.logs]
            folded = fold(events, before)
            store.append(part.logs, part.end)
            return events, folded

        events, folded = await self._file.do(commit)
        self._position = part.end
        self._publish(self._counted.take(events, folded, part.end, branch.head.number))

    async def _replace(self, branch: Branch, *, shared: Position | None) -> None:
        """Read the branch from the newest shared block to its head, and put it in place of what was above that."""
        self._is_replaced = True
        shared_number = -1 if shared is None else shared.number
        _logger.warning("the chain was reorganised: going back to block %d", shared_number)
        first = self._first_block if shared is None else shared.number + 1
        logs = await branch.read(first, branch.head.number, above=shared)
        head = Position(branch.head.number, branch.head.block_hash)

        def commit(store: ReplicaStore) -> tuple[list[ChainEvent], list[ChainEvent], Membership]:
            kept = [self._decoder.decode(log) for log in store.logs_up_to(shared_number)]
            events = [self._decoder.decode(log) for log in logs]
            folded = fold(events, fold(kept))
            store.replace_above(shared_number, logs, head)
            return kept, events, folded

        kept, events, folded = await self._file.do(commit)
        self._position, self._is_replaced = head, False
        self._publish(self._counted.take_branch(kept, events, folded, shared=shared, head=head))

    def _publish(self, events: Sequence[ChainEvent]) -> None:
        """The membership shows them by now: let everybody see what counts."""
        self._feed.emit(events)
        self._tell_waiters()

    def _next_block(self) -> int:
        return self._first_block if self._position is None else self._position.number + 1

    def _tell_waiters(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    async def _load(self) -> None:
        """Begin with what is in the file. One whose events contradict each other is emptied."""

        def read(store: ReplicaStore) -> tuple[list[ChainEvent], Membership, Position | None]:
            try:
                events = [self._decoder.decode(log) for log in store.logs()]
                return events, fold(events), store.position()
            except RegistryInconsistent:
                _logger.warning("the replica's file contradicts itself; reading the chain again", exc_info=True)
                store.empty()
                return [], Membership(), None

        events, folded, self._position = await self._file.do(read)
        if self._position is not None:
            self._counted.take(events, folded, self._position, self._position.number)
