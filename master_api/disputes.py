"""Devices of which the register says what nobody here ordered or proved (``docs/adr/0028-disputed-membership.md``).

A node that lies can invent ``Revoked`` and ``Rotated``. What it says shuts a device out for as long as it says so, for
it may be true: somebody else has this master's key, or this store was put back from a backup. For good is only what
the operator ordered here, and a new key only what the device proved. A dispute ends when the register takes it back,
when the operator evicts the device, or when the device shows its proof.
"""

import asyncio
import logging

from sqlalchemy import Connection

from group_protocol.identifiers import ObjectId
from group_protocol.membership import ChainPosition, ObjectState, ObjectView
from group_protocol.ports import Clock
from group_protocol.tickets import MembershipState
from master_api.audit import AuditKind, AuditLog, Detail
from master_api.descriptions import JsonObject, iso_time
from master_api.peer_post import PeerPost
from master_api.store.devices import DeviceRow
from master_api.store.disputes import Claim, DisputeRow, drop_dispute, fetch_disputes, keep_dispute
from master_api.store.peer_queue import requeue
from master_api.store.store import Store

_log = logging.getLogger("vgroup.master.membership")


def claim_of(device: DeviceRow, view: ObjectView | None) -> Claim | None:
    """What the register says against the store; None if the two agree, or the operator's order outweighs both."""
    if view is None or view.gid != device.gid or device.state is MembershipState.REVOKED:
        return None
    if view.state is ObjectState.REVOKED:
        return Claim.REVOKED
    return Claim.OTHER_KEY if view.account != device.address else None


class Disputes:
    """In memory as on the disk. Who is let in is decided by :func:`claim_of` alone: this is for people and the log.

    Attributes:
        open: By device, the oldest first.
    """

    def __init__(self, store: Store, audit: AuditLog, clock: Clock, post: PeerPost) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._post = post
        self._changing = asyncio.Lock()
        self.open: dict[ObjectId, DisputeRow] = {}

    async def load(self) -> None:
        """What an earlier run left. Raises StoreError."""
        self.open = await self._store.read(fetch_disputes)

    async def judge(self, device: DeviceRow, view: ObjectView | None, at: ChainPosition | None = None) -> None:
        """Begin or end a device's dispute; no I/O where nothing changes.

        Args:
            device: As the store has it.
            view: As the register has it.
            at: Where the event stands that tells of it, if one was heard.

        Raises:
            StoreError: Nothing was noted.
        """
        claim = claim_of(device, view)
        if claim is None and device.oid not in self.open:
            return
        async with self._changing:
            known = self.open.get(device.oid)
            if claim is None or view is None:
                if known is not None:
                    await self._end(device)
            elif known is None or (known.claim, known.account) != (claim, view.account):
                place = (None, None) if at is None else (at.transaction_hash, at.block_number)
                await self._begin(DisputeRow(device.oid, claim, view.account, self._clock.now_unix_s(), *place))

    async def _begin(self, dispute: DisputeRow) -> None:
        detail: Detail = {"oid": dispute.oid.hex(), **_place(dispute)}

        def begin(connection: Connection) -> None:
            keep_dispute(connection, dispute)
            self._audit.append(connection, AuditKind.DEVICE_DISPUTED, detail)

        await self._store.write(begin)
        self.open[dispute.oid] = dispute
        _log.error(
            "the register says of a device what nobody ordered or proved here: vgroup explain membership-disputed",
            extra={"fields": dict(detail)},
        )

    async def _end(self, device: DeviceRow) -> None:
        by = "order" if device.state is MembershipState.REVOKED else "register or proof"
        detail: Detail = {"oid": device.oid.hex(), "by": by}

        def end(connection: Connection) -> set[ObjectId]:
            drop_dispute(connection, device.oid)
            self._audit.append(connection, AuditKind.DISPUTE_ENDED, detail)
            return requeue(connection, device.oid)

        self._post.announce(await self._store.write(end))
        self.open.pop(device.oid, None)
        _log.warning("a dispute with the register is over", extra={"fields": dict(detail)})


def describe_dispute(dispute: DisputeRow, device: DeviceRow) -> JsonObject:
    """For an operator: both sides, so that they can be compared."""
    return {
        "oid": dispute.oid.hex(),
        "name": device.name,
        **_place(dispute),
        "address_here": "0x" + device.address.hex(),
        "since": iso_time(dispute.since_unix_s),
    }


def _place(dispute: DisputeRow) -> dict[str, str | int | None]:
    transaction = dispute.transaction_hash
    return {
        "register_says": dispute.claim.value,
        "address_there": "0x" + dispute.account.hex(),
        "transaction": None if transaction is None else "0x" + transaction.hex(),
        "block": dispute.block,
    }
