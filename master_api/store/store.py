"""The store as the rest of the master sees it: reads, and writes that return after their commit."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from sqlalchemy import Connection, text

from master_api.store.engine import open_engine, translated_errors
from master_api.store.record_writes import RecordsWrite
from master_api.store.writer import StoreWriter

T = TypeVar("T")


async def wait_for_commit(written: Future[T]) -> T:
    """Wait for a queued write. Giving up the wait does not take the write back: later ones may count on it."""
    waiting = asyncio.wrap_future(written)
    waiting.add_done_callback(_take_note)
    return await asyncio.shield(waiting)


def _take_note(waiting: asyncio.Future[T]) -> None:
    # Nobody may be left to hear of a failure; asyncio wants somebody to.
    if not waiting.cancelled():
        waiting.exception()


class Store:
    """One open database.

    Jobs are plain functions of a connection (see this package's other modules); they run outside the event loop.
    """

    def __init__(self, url: str, *, may_create: bool = True, commit_delay_s: float = 0.0) -> None:
        """Open, and make the tables where there are none. Raises ConfigurationError or StoreError.

        Args:
            url: SQLAlchemy URL.
            may_create: Whether an SQLite file may be made where there is none.
            commit_delay_s: How long records wait for others with which they can share a commit.
        """
        self._engine = open_engine(url, may_create=may_create)
        snapshot = {} if self._engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        self._readers = self._engine.execution_options(vgroup_reader=True, **snapshot)
        self._writer = StoreWriter(self._engine, commit_delay_s=commit_delay_s)

    async def write(self, job: Callable[[Connection], T]) -> T:
        """Run a job in the writer's next transaction and answer when that has committed.

        Raises:
            StoreError: Nothing of it was kept.
        """
        return await wait_for_commit(self.submit(job))

    def submit(self, job: Callable[[Connection], T]) -> Future[T]:
        """Queue a writing job; jobs run in the order in which they were queued.

        Raises StoreError as :meth:`write` does.
        """
        return self._writer.submit(job)

    def submit_records(self, write: RecordsWrite) -> None:
        """Queue judged records; ``write.wait()`` returns after their commit. Raises StoreError."""
        self._writer.submit_records(write)

    async def read(self, job: Callable[[Connection], T]) -> T:
        """Run a reading job on a snapshot of what was committed. Raises StoreError."""
        return await asyncio.to_thread(self.read_now, job)

    def read_now(self, job: Callable[[Connection], T]) -> T:
        """The same in the caller's thread, for commands and tests."""
        with translated_errors("read the store"), self._readers.begin() as connection:
            return job(connection)

    def write_now(self, job: Callable[[Connection], T]) -> T:
        """Like :meth:`write`, in commands and tests that have no event loop."""
        return self.submit(job).result()

    @property
    def has_gapless_numbers(self) -> bool:
        """Whether the database gives row numbers without gaps; a sequence loses some when a write fails."""
        return self._engine.dialect.name == "sqlite"

    async def check(self) -> None:
        """Whether the database answers. Raises StoreError."""
        await self.read(lambda connection: connection.execute(text("SELECT 1")).scalar_one())

    def close(self) -> None:
        """Finish the queued writes and let go of the files."""
        self._writer.close()
        self._engine.dispose()
