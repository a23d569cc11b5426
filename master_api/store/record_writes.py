"""Judged records on their way to the disk: many devices' records in one statement, one word to the event loop a commit.

A frame of one record costs the store some microseconds this way. A job, a savepoint and a future of its own took more
than all the rest of its way through the master (``docs/benchmarks.md``).
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from time import monotonic
from typing import Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from group_protocol.errors import StoreError, VirtualGroupError
from group_protocol.identifiers import ObjectId, SessionId
from group_protocol.intake import AcceptedRecord
from group_protocol.records import Checkpoint
from master_api.store.engine import savepoint
from master_api.store.records import StoredFrom, insert_checkpoints, insert_records


@dataclass(slots=True)
class WriteChain:
    """Writes of which each counts on those before it; see :mod:`master_api.record_intake`."""

    is_broken: bool = False


class Companion(Protocol):
    """What else belongs into the transaction of some records; called in the store's thread."""

    def put_in(self, connection: Connection, records: Sequence[AcceptedRecord], now_unix_s: float) -> None:
        """Write it, behind the records. Raises VirtualGroupError: then the records are not stored either."""
        ...

    def settle(self, *, is_stored: bool) -> None:
        """The transaction has ended, either way."""
        ...


@dataclass(slots=True, eq=False)
class RecordsWrite:
    """What one device's judged frames bring, to be stored as a whole or not at all.

    Made and waited for on the event loop; written by the store's thread.

    Attributes:
        chain: The writes of this device that count on each other; a failure breaks it before the next write runs.
        queued_at_s: On the monotonic clock.
        on_settled: Called on the event loop once it is done, when all writes of the same commit are; raises nothing.
        is_done: Committed, or failed with ``error``.
    """

    chain: WriteChain
    oid: ObjectId
    sid: SessionId
    records: Sequence[AcceptedRecord]
    checkpoints: Sequence[Checkpoint]
    received_at_unix_s: float
    companion: Companion | None = None
    queued_at_s: float = field(default_factory=monotonic)
    on_settled: Callable[[], None] | None = None
    is_done: bool = False
    error: StoreError | None = None
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _waiting: asyncio.Future[None] | None = None

    @property
    def is_committed(self) -> bool:
        """Whether it is known to be on the disk."""
        return self.is_done and self.error is None

    async def wait(self) -> None:
        """Return when it is committed; for one waiter. Giving up the wait does not take the write back.

        Raises:
            StoreError: It failed, or one that it counts on did.
        """
        if not self.is_done:
            self._waiting = self._loop.create_future()
            await self._waiting
        if self.error is not None:
            raise self.error

    def fail(self, error: StoreError) -> None:
        """In the store's thread: it is not stored, nor will be what counts on it."""
        self.chain.is_broken = True
        self.error = error

    def settle(self) -> None:
        """On the event loop: its fate is sealed."""
        self.is_done = True

    def wake(self) -> None:
        """On the event loop: whoever waits goes on."""
        if self.on_settled is not None:
            self.on_settled()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


def store_together(connection: Connection, writes: Sequence[RecordsWrite]) -> None:
    """Write them within the open transaction, in their order; each that cannot be stored has failed afterwards.

    Raises:
        SQLAlchemyError: The database failed altogether.
    """
    # One with a companion is written alone: the companion's part must not be done twice.
    for has_companion, group in groupby(writes, lambda write: write.companion is not None):
        together = list(group)
        if not has_companion:
            try:
                with savepoint(connection):
                    _insert(connection, [write for write in together if not _counts_on_failure(write)])
                continue
            except IntegrityError:
                pass  # one of them; the others are good
        for write in together:
            _store_alone(connection, write)


def tell(writes: Iterable[RecordsWrite]) -> None:
    """Say on each write's event loop that it is done: once for all of a loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[RecordsWrite]] = {}
    for write in writes:
        if write.companion is not None:
            write.companion.settle(is_stored=write.error is None)
        by_loop.setdefault(write._loop, []).append(write)  # noqa: SLF001 - of this module
    for loop, told in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle_all, told)


def _settle_all(writes: Sequence[RecordsWrite]) -> None:
    # All before the first waiter runs: it then finds every frame of its stream done, and acknowledges them at once.
    for write in writes:
        write.settle()
    for write in writes:
        write.wake()


def _counts_on_failure(write: RecordsWrite) -> bool:
    if write.chain.is_broken and write.error is None:
        write.fail(StoreError("a write that this one counts on has failed"))
    return write.error is not None


def _store_alone(connection: Connection, write: RecordsWrite) -> None:
    if _counts_on_failure(write):
        return
    try:
        with savepoint(connection):
            _insert(connection, [write])
            if write.companion is not None:
                write.companion.put_in(connection, write.records, write.received_at_unix_s)
    except IntegrityError as exc:
        write.fail(StoreError(f"the store holds something that contradicts this: {exc.orig}"))
    except VirtualGroupError as exc:
        write.fail(exc if isinstance(exc, StoreError) else StoreError(str(exc)))


def _insert(connection: Connection, writes: Sequence[RecordsWrite]) -> None:
    sources = [(StoredFrom(write.oid, write.sid, write.received_at_unix_s), write) for write in writes]
    insert_records(connection, [(source, write.records) for source, write in sources if write.records])
    insert_checkpoints(connection, [(source, write.checkpoints) for source, write in sources if write.checkpoints])
