"""Looks after open disputes: whether the register still says so, and whether its contract does.

The events of a node that lied lie in the replica's file, and no honest node contradicts them by itself: it is never
asked about old blocks again. So the contract is asked about each disputed device directly. Where it says otherwise
than its own events, all events are read anew, and what was invented is gone with that.
"""

import asyncio
import logging

from sqlalchemy import Connection

from group_protocol.errors import RegistryInconsistent, RegistryUnavailable, StoreError
from group_protocol.identifiers import ObjectId
from group_protocol.membership import ObjectView
from master_api.context import MasterContext
from master_api.store.devices import DeviceRow, fetch_device

LOOK_S = 1.0
"""Pause between two looks at the membership; without a dispute they cost nothing."""
ASK_S = 2.0
"""Pause before the contract is asked about a dispute for the first time. Each pause is twice as long as the last..."""
LONGEST_ASK_S = 300.0
"""...up to this: a node that goes on lying makes us read all events at most so often."""

_log = logging.getLogger("vgroup.master.membership")


class DisputeWatch:
    """One task of the membership follower's."""

    def __init__(self, context: MasterContext) -> None:
        self._context = context
        self._pause_s = ASK_S
        self._asks_next_s: float | None = None

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except (RegistryInconsistent, RegistryUnavailable, StoreError) as exc:
                _log.warning("disputes were not looked at", extra={"fields": {"message": str(exc), "code": exc.code}})

    async def look(self) -> None:
        """End what is over; ask the contract about the rest when its time has come.

        Raises:
            RegistryUnavailable, RegistryInconsistent, StoreError: As they say.
        """
        disputes, now_s = self._context.disputes, self._context.clock.monotonic_s()
        for oid in list(disputes.open):
            device = await self._fetch_device(oid)
            if device is not None:
                await disputes.judge(device, self._view(oid))
        if not disputes.open:
            self._pause_s, self._asks_next_s = ASK_S, None
        elif self._asks_next_s is None:
            self._asks_next_s = now_s + self._pause_s
        elif now_s >= self._asks_next_s:
            self._pause_s = min(2 * self._pause_s, LONGEST_ASK_S)
            self._asks_next_s = now_s + self._pause_s
            await self._ask_contract()

    async def _ask_contract(self) -> None:
        registry, gid = self._context.registry, self._context.group.require().gid
        for oid in list(self._context.disputes.open):
            told = await registry.fetch_object(gid, oid)
            if told == self._view(oid):
                continue
            await registry.check()  # the membership may have been a block behind
            if await registry.fetch_object(gid, oid) != self._view(oid):
                _log.error(
                    "the contract and its events contradict each other; all events are read again",
                    extra={"fields": {"oid": oid.hex()}},
                )
                registry.read_anew()
                return

    def _view(self, oid: ObjectId) -> ObjectView | None:
        return self._context.registry.membership().objects.get(oid)

    async def _fetch_device(self, oid: ObjectId) -> DeviceRow | None:
        def fetch(connection: Connection) -> DeviceRow | None:
            return fetch_device(connection, oid)

        return await self._context.store.read(fetch)
