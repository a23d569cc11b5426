"""Devices that the operator shuts out for a while: the master's own word, which the contract knows nothing of.

A ban is lifted again, and its device goes on as if nothing had been: its key, its id, its membership and what waits on
both sides stay. To shut out whoever has a device's key for good, its membership is revoked in the contract.
"""

from sqlalchemy import Connection

from group_protocol.errors import Reason
from group_protocol.identifiers import ObjectId
from group_protocol.ports import Clock
from master_api.audit import AuditKind, AuditLog, Detail
from master_api.sessions import LiveSessions
from master_api.store.standings import fetch_bans, keep_ban, lift_ban
from master_api.store.store import Store


class Bans:
    """In memory as on the disk.

    Attributes:
        banned: Who is shut out now.
    """

    def __init__(self, store: Store, audit: AuditLog, clock: Clock, live: LiveSessions) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._live = live
        self.banned: set[ObjectId] = set()

    async def load(self) -> None:
        """What an earlier run left. Raises StoreError."""
        self.banned = await self._store.read(fetch_bans)

    async def ban(self, oid: ObjectId) -> None:
        """Shut a device out, and end what it has open. Raises StoreError: nothing was done."""
        detail: Detail = {"oid": oid.hex()}

        def keep(connection: Connection) -> None:
            keep_ban(connection, oid, self._clock.now_unix_s())
            self._audit.append(connection, AuditKind.DEVICE_BANNED, detail)

        await self._store.write(keep)
        self.banned.add(oid)
        live = self._live.of_device(oid)
        if live is not None:
            self._live.end(live, Reason.NOT_A_MEMBER)

    async def lift(self, oid: ObjectId) -> bool:
        """Let it in again. Answers whether it was banned. Raises StoreError: nothing was done."""
        if oid not in self.banned:
            return False
        detail: Detail = {"oid": oid.hex()}

        def lift(connection: Connection) -> None:
            lift_ban(connection, oid)
            self._audit.append(connection, AuditKind.BAN_LIFTED, detail)

        await self._store.write(lift)
        self.banned.discard(oid)
        return True
