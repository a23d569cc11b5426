"""The one thread that writes: group commit.

Jobs wait in a queue. The thread takes all that are there, up to a bound, runs each in a savepoint of one transaction,
commits, and only then tells who waits. Many devices share one fsync, and nothing is acknowledged before it is on the
disk.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from group_protocol.errors import StoreError, VirtualGroupError
from master_api.store.engine import translated_errors

T = TypeVar("T")
Job = Callable[[Connection], T]
_Waiting = tuple[Job[Any], Future[Any]]

JOBS_PER_COMMIT_MAX = 512
"""Bounds how long the first job of a batch waits for the last."""
QUEUE_MAX = 8_192
"""Jobs waiting. More is refused: whoever hands jobs in waits for them, so only a stuck disk gets here."""


class StoreWriter:
    """Owns the writing connection. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(QUEUE_MAX)
        self._lock = threading.Lock()
        self._closed = False
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
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            try:
                self._queue.put_nowait((job, future))
            except queue.Full as exc:
                raise StoreError("too many writes wait for the disk") from exc
        return future

    def close(self) -> None:
        """Write what is queued, then stop the thread."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._next_batch()
            if batch:
                self._commit(batch)

    def _next_batch(self) -> tuple[list[_Waiting], bool]:
        batch: list[_Waiting] = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == JOBS_PER_COMMIT_MAX:
                return batch, True
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _commit(self, batch: list[_Waiting]) -> None:
        # From here on a waiter can no longer cancel its future under our hands.
        batch = [(job, future) for job, future in batch if future.set_running_or_notify_cancel()]
        answers: list[tuple[Future[Any], Any]] = []
        try:
            with translated_errors("write to the store"), self._engine.begin() as connection:
                for job, future in batch:
                    _run_job(connection, job, future, answers)
        except Exception as exc:  # noqa: BLE001 - every waiter must hear of it, whatever it is
            failure = exc if isinstance(exc, StoreError) else StoreError(f"the store failed: {exc!r}")
            for _, future in batch:
                if not future.done():
                    future.set_exception(failure)
            return
        # The last first: who waits for the first of many then finds all of them done, and says so once.
        for future, answer in reversed(answers):
            future.set_result(answer)


def _run_job(
    connection: Connection, job: Job[Any], future: Future[Any], answers: list[tuple[Future[Any], Any]]
) -> None:
    """Run one job in a savepoint. What the job refuses, or a constraint does, concerns this job alone."""
    try:
        with connection.begin_nested():
            answer = job(connection)
    except VirtualGroupError as exc:
        future.set_exception(exc)
    except IntegrityError as exc:
        future.set_exception(StoreError(f"the store holds something that contradicts this: {exc.orig}"))
    else:
        answers.append((future, answer))
