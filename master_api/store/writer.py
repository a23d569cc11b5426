"""The one thread that writes: group commit.

Jobs wait in a queue. The thread takes all that are there, up to a bound, runs each in a savepoint of one transaction,
commits, and only then tells who waits. Many devices share one fsync, and nothing is acknowledged before it is on the
disk. Records are no jobs: those that stand one behind the other in the queue are stored together
(:mod:`master_api.store.record_writes`), and a batch that begins with records waits a moment for more of them, unless a
job comes.
"""

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from group_protocol.errors import StoreError, VirtualGroupError
from master_api.store.engine import connect_writer, savepoint, translated_errors
from master_api.store.journal import Journal, count_pages
from master_api.store.record_writes import RecordsWrite, store_together, tell

T = TypeVar("T")
Job = Callable[[Connection], T]
_Waiting = tuple[Job[Any], Future[Any]]
_Answers = list[tuple[Future[Any], Any]]

JOBS_PER_COMMIT_MAX = 512
"""Bounds how long the first job of a batch waits for the last."""
RECORDS_PER_COMMIT_MAX = 8_192
"""The same for records: some 50 ms of inserting."""
_GLANCES = 5
"""How often, while records wait for others, the thread looks whether any came."""
QUEUE_MAX = 8_192
"""Jobs waiting. More is refused: whoever hands jobs in waits for them, so only a stuck disk gets here."""


class StoreWriter:
    """Owns the writing connection. Thread-safe."""

    def __init__(self, engine: Engine, *, commit_delay_s: float = 0.0) -> None:
        """Start the thread.

        Args:
            engine: The database.
            commit_delay_s: How long records wait for more of them, counted from when the first was queued: one that has
                waited behind another commit waits no longer.
        """
        self._engine = engine
        self._connection: Connection | None = None  # the thread's own, from its first commit to one that fails
        self._journal = Journal(engine) if engine.dialect.name == "sqlite" else None
        self._commit_delay_s = commit_delay_s
        self._queue: queue.SimpleQueue[_Waiting | RecordsWrite | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job[T]) -> Future[T]:
        """Queue a job. The future answers after the commit; jobs run in the order in which they came.

        The future raises StoreError if the database failed, or the VirtualGroupError that the job raised; of such a job
        nothing is kept, of the others in its batch everything.

        Raises:
            StoreError: The writer is closed, or too much waits.
        """
        future: Future[T] = Future()
        self._put((job, future))
        self._hurry.set()
        return future

    def submit_records(self, write: RecordsWrite) -> None:
        """Queue judged records; they are stored behind everything that was queued before.

        Raises:
            StoreError: As :meth:`submit`.
        """
        self._put(write)

    def _put(self, item: _Waiting | RecordsWrite) -> None:
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            if self._queue.qsize() >= QUEUE_MAX:
                raise StoreError("too many writes wait for the disk")
            self._queue.put(item)

    def close(self) -> None:
        """Write what is queued, then stop the thread."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._queue.put(None)
        self._hurry.set()
        self._thread.join()
        if self._journal is not None:
            self._journal.close()

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._next_batch()
            if batch:
                self._commit(batch)
        self._let_go()

    def _next_batch(self) -> tuple[list[_Waiting | RecordsWrite], bool]:
        batch: list[_Waiting | RecordsWrite] = []
        item = self._queue.get()
        if isinstance(item, RecordsWrite) and self._commit_delay_s:
            waited_s = max(0.0, monotonic() - item.queued_at_s)
            self._wait_for_more(self._commit_delay_s - waited_s)
        self._hurry.clear()
        jobs = records = 0
        while item is not None:
            batch.append(item)
            if isinstance(item, RecordsWrite):
                records += len(item.records)
            jobs += 1
            if jobs == JOBS_PER_COMMIT_MAX or records >= RECORDS_PER_COMMIT_MAX:
                return batch, True
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _wait_for_more(self, left_s: float) -> None:
        """As long as more records come, so long: devices that wait for their ACKs send nothing before those."""
        glance_s = self._commit_delay_s / _GLANCES
        while left_s > 0:
            waiting = self._queue.qsize()
            if waiting >= JOBS_PER_COMMIT_MAX:
                return
            # An event, not time.sleep, which raises where somebody moves the clock under it (libfaketime).
            if self._hurry.wait(min(glance_s, left_s)) or self._queue.qsize() == waiting:
                return  # somebody waits for a job's answer, or nothing came
            left_s -= glance_s

    def _commit(self, batch: list[_Waiting | RecordsWrite]) -> None:
        # From here on a waiter can no longer cancel its future under our hands.
        batch = [item for item in batch if isinstance(item, RecordsWrite) or item[1].set_running_or_notify_cancel()]
        answers: _Answers = []
        try:
            with translated_errors("write to the store"):
                connection = self._connect()
                with connection.begin():
                    _run_batch(connection, batch, answers)
        except Exception as exc:  # noqa: BLE001 - every waiter must hear of it, whatever it is
            self._let_go()
            failure = exc if isinstance(exc, StoreError) else StoreError(f"the store failed: {exc!r}")
            for item in batch:
                if isinstance(item, RecordsWrite):
                    item.fail(failure)
                elif not item[1].done():
                    item[1].set_exception(failure)
            answers = []
        for future, answer in answers:
            future.set_result(answer)
        tell(item for item in batch if isinstance(item, RecordsWrite))
        if self._journal is not None and self._connection is not None:
            self._journal.note_commit(count_pages(batch))

    def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = connect_writer(self._engine)
        return self._connection

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):  # whatever is wrong with it, the next one will tell
                connection.close()


def _run_batch(connection: Connection, batch: list[_Waiting | RecordsWrite], answers: _Answers) -> None:
    """In the order of the queue; records that follow each other together."""
    together: list[RecordsWrite] = []
    for item in batch:
        if isinstance(item, RecordsWrite):
            together.append(item)
            continue
        if together:
            store_together(connection, together)
            together = []
        _run_job(connection, *item, answers)
    if together:
        store_together(connection, together)


def _run_job(connection: Connection, job: Job[Any], future: Future[Any], answers: _Answers) -> None:
    """Run one job in a savepoint. What the job refuses, or a constraint does, concerns this job alone."""
    try:
        with savepoint(connection):
            answer = job(connection)
    except VirtualGroupError as exc:
        future.set_exception(exc)
    except IntegrityError as exc:
        future.set_exception(StoreError(f"the store holds something that contradicts this: {exc.orig}"))
    else:
        answers.append((future, answer))
