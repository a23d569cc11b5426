"""Calls to the registry that outlive the request which began them (``docs/protocol.md`` §7: PENDING after 20 s)."""

import asyncio
from collections.abc import Awaitable, Callable

from group_protocol.identifiers import ObjectId
from group_protocol.ports import Receipt

StartCall = Callable[[], Awaitable[Receipt]]


class RegistryCalls:
    """At most one running call per device; who asks meanwhile waits for the same one."""

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._running: dict[ObjectId, asyncio.Task[Receipt]] = {}

    def is_running(self, oid: ObjectId) -> bool:
        """Whether a call for this device waits for its receipt."""
        return oid in self._running

    async def run(self, oid: ObjectId, start: StartCall) -> Receipt | None:
        """Begin the call, or join the one that runs, and wait.

        Returns:
            The receipt, or None if it is still to come: the call goes on.

        Raises:
            VirtualGroupError: What the call raised.
        """
        task = self._running.get(oid)
        if task is None:
            task = self._running[oid] = asyncio.create_task(_as_coroutine(start), name=f"registry call {oid.hex()}")
            task.add_done_callback(lambda done: self._forget(oid, done))
        done, _ = await asyncio.wait({task}, timeout=self._wait_s)
        return task.result() if done else None

    def _forget(self, oid: ObjectId, task: asyncio.Task[Receipt]) -> None:
        del self._running[oid]
        if not task.cancelled():
            task.exception()  # taken note of, should nobody wait any more; the registry's events tell what became of it

    async def close(self) -> None:
        """Give up what still runs. What was sent to the chain stays sent."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _as_coroutine(start: StartCall) -> Receipt:
    return await start()
