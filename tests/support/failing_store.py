"""A store whose commits fail while it is told so, as with a full disk."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from master_api.store.store import Store


@contextmanager
def failing_commits(store: Store) -> Iterator[None]:
    """Within this, every write of the store fails at its commit and nothing of its transaction is kept."""
    engine = store._engine

    def fail(connection: Connection) -> None:
        if not connection.get_execution_options().get("vgroup_reader"):
            raise OperationalError("COMMIT", {}, Exception("disk I/O error"))

    event.listen(engine, "commit", fail)
    try:
        yield
    finally:
        event.remove(engine, "commit", fail)


@contextmanager
def held_commits(store: Store, release: Callable[[], object]) -> Iterator[None]:
    """Within this, every write waits in its commit until ``release`` returns.

    Leave only when nothing waits any more.
    """

    def wait(connection: Connection) -> None:
        if not connection.get_execution_options().get("vgroup_reader"):
            release()

    event.listen(store._engine, "commit", wait)
    try:
        yield
    finally:
        event.remove(store._engine, "commit", wait)
