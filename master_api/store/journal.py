"""SQLite's journal (WAL) is worked into the database beside the commits, not within one.

SQLite does it in the commit that finds the journal long: with a thousand devices some 20 to 40 ms every two seconds, in
which nobody is acknowledged. Here a thread does it. What is committed meanwhile is left over, and a journal begins anew
only when nothing is: so the thread goes over it again until little is left, and the writer does that little between two
commits (``docs/adr/0030-the-stores-journal.md``).
"""

import contextlib
import logging
import queue
import threading
from collections.abc import Iterable
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine

from master_api.store.engine import connect_alone, driver_of
from master_api.store.record_writes import RecordsWrite

KEPT_PAGES: Final = 8_192
"""The journal is worked in at some 32 MiB. A thousand devices change the same thousand pages each second: at SQLite's
4 MiB they would be written, and synced, five times a second."""
REST_PAGES_MAX: Final = 256
"""So little the writer does itself: some milliseconds, most of them for the disk to sync."""
RETRY_PAGES: Final = 1_024
"""So much later it is tried again where somebody who read just then kept the journal from beginning anew."""
_PASSES_MAX: Final = 4
"""Each leaves what was committed while it ran; where that does not shrink, commits are faster than the disk."""

_PAGES_PER_JOB: Final = 8
_ROWS_PER_PAGE: Final = 12
_CHECKPOINT: Final = "PRAGMA wal_checkpoint(PASSIVE)"

_log = logging.getLogger("vgroup.master.store")


class _Order(Enum):
    SHORTEN = auto()
    END = auto()


class _Found(NamedTuple):
    """What a pass over the journal found, in pages: how long it was, and how much of it is in the database now."""

    pages: int
    worked_in: int

    @property
    def left(self) -> int:
        return self.pages - self.worked_in


def count_pages(batch: Iterable[object]) -> int:
    """About how many pages a commit adds to the journal.

    Records of a device take its page of an index, its checkpoints those of two, and rows of some hundred bytes share a
    page. Any other job is taken for some rows in several tables. Only an estimate, which SQLite's own bound stands
    behind.
    """
    pages, rows = 2, 0  # the tables' last pages, whatever comes
    for item in batch:
        if not isinstance(item, RecordsWrite):
            pages += _PAGES_PER_JOB
            continue
        pages += 1 if item.companion is None else _PAGES_PER_JOB
        rows += len(item.records)
        if item.checkpoints:
            pages += 2
            rows += len(item.checkpoints)
    return pages + rows // _ROWS_PER_PAGE


class Journal:
    """Keeps an SQLite database's journal short.

    :meth:`note_commit` is called by the thread that writes, between its commits; :meth:`close` when it has ended.
    """

    def __init__(self, engine: Engine) -> None:
        """Nothing is connected or started before there is something to do."""
        self._engine = engine
        self._pages = 0
        self._is_under_way = False  # from the writer's order to the thread's end of it; then the writer's turn
        self._is_rest_left = False
        self._orders: queue.SimpleQueue[_Order] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._connections: list[Connection] = []

    def note_commit(self, pages: int) -> None:
        """So many pages were committed, by estimate. Raises nothing: what cannot be done now is tried later."""
        self._pages += pages
        if self._is_under_way:
            return
        if self._is_rest_left:
            self._is_rest_left = False
            found = self._work_in()
            # The next commit begins anew, unless somebody reads the journal just then: the next look tells it by its
            # length.
            is_done = found is not None and found.left == 0 and found.pages < 2 * KEPT_PAGES
            self._pages = 0 if is_done else KEPT_PAGES - RETRY_PAGES
        elif self._pages >= KEPT_PAGES:
            self._pages = 0
            self._order()

    def close(self) -> None:
        """Stop the thread; what it is doing it finishes first."""
        if self._thread is not None:
            self._orders.put(_Order.END)
            self._thread.join()
        self._disconnect()

    def _order(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="store-journal", daemon=True)
            try:
                thread.start()
            except RuntimeError as exc:  # no more threads for this process
                _log.warning("no thread for the store's journal yet", extra={"fields": {"error": str(exc)}})
                return
            self._thread = thread
        self._is_under_way = True
        self._orders.put(_Order.SHORTEN)

    def _run(self) -> None:
        while self._orders.get() is _Order.SHORTEN:
            self._is_rest_left = self._shorten()
            self._is_under_way = False

    def _shorten(self) -> bool:
        """Go over it until little is left. Answers whether the rest is for the writer to do."""
        before = _Found(0, 0)
        for _ in range(_PASSES_MAX):
            found = self._work_in()
            if found is None:
                return False
            if found.left <= REST_PAGES_MAX and found.pages - before.pages <= REST_PAGES_MAX:
                return True
            if found.worked_in == before.worked_in:
                return False  # somebody still reads the database as it was: later
            before = found
        return True  # whoever commits faster than the disk works in has to wait for it

    def _work_in(self) -> _Found | None:
        """One pass, in whichever thread's turn it is; waits for nobody. Answers None where it failed."""
        try:
            while len(self._connections) < 2:
                self._connections.append(connect_alone(self._engine))
            holder, worker = map(driver_of, self._connections)
            return _checkpoint(holder, worker)
        except Exception as exc:  # noqa: BLE001 - neither thread may end by it; commits tell whoever waits
            _log.warning("the store's journal waits to be worked in", extra={"fields": {"error": str(exc)}})
            self._disconnect()
            return None

    def _disconnect(self) -> None:
        while self._connections:
            with contextlib.suppress(Exception):  # whatever is wrong with it, the next one will tell
                self._connections.pop().close()


def _checkpoint(holder: Any, worker: Any) -> _Found | None:  # noqa: ANN401 - sqlite3.Connection
    """Work in what is there, while another connection holds on to it.

    SQLite before 3.51.3 loses pages when the journal begins anew in the instant in which a pass over it begins
    (https://sqlite.org/wal.html#walresetbug), as it may where one thread writes and another works in. Whoever reads
    from the journal keeps it from beginning anew; and if it was worked in already, that same reader reads from the
    database alone, and keeps the pass from writing there.
    """
    holder.execute("BEGIN")
    try:
        holder.execute("SELECT version FROM schema_version").fetchall()  # only this takes hold
        is_refused, pages, worked_in = worker.execute(_CHECKPOINT).fetchall()[0]
    finally:
        holder.execute("ROLLBACK")
    return None if is_refused else _Found(pages, worked_in)
