"""What waits for the chain, in memory as on the disk, so that a chain that is away loses nobody's request."""

import asyncio

from sqlalchemy import Connection

from group_protocol.identifiers import ObjectId
from group_protocol.ports import Clock
from master_api.audit import AuditKind, AuditLog, Detail
from master_api.store.store import Store
from master_api.store.waiting_acts import (
    WaitingAssociation,
    drop_association,
    fetch_settled_revocations,
    fetch_waiting_associations,
    fetch_waiting_revocations,
    keep_association,
    order_revocation,
    settle_revocation,
    unsettle_revocation,
)


class WaitingActs:
    """Associations and revocations that are not on the chain yet, and the revocations that have to stay there.

    Attributes:
        associations: By device.
        revocations: Devices whose revocation was ordered; the oldest first.
        settled: Devices whose ordered revocation was seen on the chain. A fork may undo it without a word.
        changed: Set whenever something new waits.
    """

    def __init__(self, store: Store, audit: AuditLog, clock: Clock) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self.associations: dict[ObjectId, WaitingAssociation] = {}
        self.revocations: dict[ObjectId, None] = {}
        self.settled: set[ObjectId] = set()
        self.changed = asyncio.Event()

    async def load(self) -> None:
        """What an earlier run left. Raises StoreError."""
        associations = await self._store.read(fetch_waiting_associations)
        self.associations = {waiting.oid: waiting for waiting in associations}
        self.revocations = dict.fromkeys(await self._store.read(fetch_waiting_revocations))
        self.settled = set(await self._store.read(fetch_settled_revocations))
        if self.associations or self.revocations:
            self.changed.set()

    async def keep_association(self, waiting: WaitingAssociation) -> None:
        """On the disk when this returns. Raises StoreError."""
        if self.associations.get(waiting.oid) != waiting:
            await self._store.write(lambda connection: keep_association(connection, waiting))
            self.associations[waiting.oid] = waiting
            self.changed.set()

    async def drop_association(self, oid: ObjectId) -> None:
        """It is on the chain, or refused for good. Raises StoreError."""
        if oid in self.associations:
            await self._store.write(lambda connection: drop_association(connection, oid))
            self.associations.pop(oid, None)

    def note_order(self, connection: Connection, oid: ObjectId) -> None:
        """In a transaction of the caller's: the operator revokes a device. Call :meth:`take_order` after its commit."""
        order_revocation(connection, oid, self._clock.now_unix_s())
        drop_association(connection, oid)

    def take_order(self, oid: ObjectId) -> None:
        """The order is on the disk."""
        self.associations.pop(oid, None)
        self.revocations[oid] = None
        self.settled.discard(oid)
        self.changed.set()

    def is_ordered(self, oid: ObjectId) -> bool:
        """Whether this master's operator ordered the device's revocation."""
        return oid in self.revocations or oid in self.settled

    async def settle_revocation(self, oid: ObjectId, block: int) -> None:
        """The chain has it. Raises StoreError."""

        def settle(connection: Connection) -> None:
            if settle_revocation(connection, oid, block):
                detail: Detail = {"oid": oid.hex(), "block": block}
                self._audit.append(connection, AuditKind.REVOCATION_SETTLED, detail)

        if oid in self.revocations:
            await self._store.write(settle)
            self.revocations.pop(oid, None)
            self.settled.add(oid)

    async def renew_revocation(self, oid: ObjectId) -> None:
        """The chain does not have it any more: it waits again, if it was ordered here. Raises StoreError."""
        if oid not in self.revocations and await self._store.write(
            lambda connection: unsettle_revocation(connection, oid)
        ):
            self.settled.discard(oid)
            self.revocations[oid] = None
            self.changed.set()
