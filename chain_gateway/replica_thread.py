"""The event replica's file on the one thread that may touch it, so that the event loop never waits for the medium."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from chain_gateway.replica_store import ReplicaStore
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import RegistryUnavailable
from group_protocol.ports import RegistryIdentity

_T = TypeVar("_T")


class ReplicaThread:
    """One file. :meth:`open` it, and :meth:`close` it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="event-replica")
        self._store: ReplicaStore | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a file to work on."""
        return self._store is not None

    async def open(self, identity: RegistryIdentity) -> None:
        """Open or create the file. Raises ConfigurationError if it cannot be used."""
        self._store = await self._run(lambda: ReplicaStore.open(self._path, identity))

    async def do(self, work: Callable[[ReplicaStore], _T]) -> _T:
        """Work on the file.

        Raises:
            RegistryUnavailable: It is closed, or the medium refuses.
        """
        store = self._store
        if store is None:
            raise RegistryUnavailable("the registry is closed")
        return await self._run(lambda: work(store))

    async def close(self) -> None:
        """Close the file, after what is being done to it. Idempotent. Raises RegistryUnavailable."""
        store, self._store = self._store, None
        try:
            if store is not None:
                await self._run(store.close)
        finally:
            self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as exc:
            raise RegistryUnavailable(
                f"the event replica {self._path} cannot be read or written: {exc}",
                remedy="Check the disk; the file may be removed, it is read from the chain again.",
                code=ErrorCode.DISK_REFUSES,
            ) from exc
