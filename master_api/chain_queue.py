"""Sends to the chain what waits for it: at once where it can, and when it is back where it cannot.

Revocations go first. An association that the contract refuses is dropped: its device hears why when it asks again.
"""

import asyncio
import contextlib
import logging

from sqlalchemy import Connection

from group_protocol.errors import (
    Reason,
    RefusedError,
    RegistryInconsistent,
    RegistryUnavailable,
    StoreError,
    VirtualGroupError,
)
from group_protocol.identifiers import ObjectId
from group_protocol.membership import ObjectState
from group_protocol.ports import AssociationRequest, Receipt, RevocationRequest
from group_protocol.tickets import MembershipState
from master_api.audit import AuditKind, Detail
from master_api.context import MasterContext
from master_api.membership_follower import MembershipFollower
from master_api.registry_calls import RegistryCalls
from master_api.store.devices import DeviceRow, set_state
from master_api.store.peer_queue import drop_messages_of
from master_api.store.waiting_acts import WaitingAssociation

RETRY_S = 1.0
"""Between two attempts while something waits."""
SIDE_BY_SIDE = 64
"""Associations that are sent at once when the chain is back."""
_SIGNED_FOR_AT_LEAST_S = 60
"""A signed revocation whose deadline is nearer is signed anew."""

_log = logging.getLogger("vgroup.master.chain")


class ChainQueue:
    """One task, and the sending that it shares with those who can wait for an answer."""

    def __init__(self, context: MasterContext, follower: MembershipFollower) -> None:
        self._context = context
        self._follower = follower
        self._revocations = RegistryCalls(context.config.association_wait_s)
        self._signed: dict[ObjectId, RevocationRequest] = {}

    async def run(self) -> None:
        """Send what waits, for ever."""
        context = self._context
        while True:
            await context.waiting.changed.wait()
            context.waiting.changed.clear()
            while context.waiting.associations or context.waiting.revocations:
                await context.watch.came_back.wait()
                if context.group.formed is not None:
                    await self._send_all()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RETRY_S):
                        await context.waiting.changed.wait()
                context.waiting.changed.clear()

    async def close(self) -> None:
        """Give up what still runs; it waits on the disk."""
        await self._revocations.close()

    async def send_association(self, waiting: WaitingAssociation) -> Receipt:
        """Send a device's request, and return when the store shows what came of it.

        Raises:
            RefusedError, RegistryUnavailable, RegistryInconsistent, StoreError: As they say.
        """
        group = self._context.group.require()
        receipt = await self._context.registry.associate(
            AssociationRequest(group.gid, waiting.token, waiting.request, waiting.deadline_unix_s)
        )
        await self._follower.wait_for_device(
            waiting.oid, lambda device: device.state is not MembershipState.NOT_ASSOCIATED
        )
        await self._context.waiting.drop_association(waiting.oid)
        return receipt

    async def order_revocation(self, device: DeviceRow) -> None:
        """Cut the device off here, now and for good; the chain is told next. Raises StoreError: nothing was done."""
        waiting = self._context.waiting

        def order(connection: Connection) -> None:
            waiting.note_order(connection, device.oid)
            if device.state is not MembershipState.REVOKED:
                set_state(connection, device.oid, MembershipState.REVOKED)
                detail: Detail = {"oid": device.oid.hex()}
                self._context.audit.append(connection, AuditKind.DEVICE_REVOKED, detail)
            if dropped := drop_messages_of(connection, device.oid):
                messages: Detail = {"oid": device.oid.hex(), "messages": dropped, "reason": "revoked"}
                self._context.audit.append(connection, AuditKind.MESSAGES_DROPPED, messages)

        await self._context.store.write(order)
        waiting.take_order(device.oid)
        self._context.post.forget(device.oid)
        self._follower.cut_off(device.oid)
        await self._follower.judge(device.oid)

    async def send_revocation(self, oid: ObjectId) -> Receipt | None:
        """Tell the chain of an order, and wait for a while.

        Returns:
            The receipt; None if it is still to come.

        Raises:
            RefusedError, RegistryUnavailable, RegistryInconsistent, StoreError: As they say.
        """
        return await self._revocations.run(oid, lambda: self._revoke(oid))

    async def _revoke(self, oid: ObjectId) -> Receipt:
        receipt = await self._context.registry.revoke(await self._sign_revocation(oid))
        await self._context.waiting.settle_revocation(oid, receipt.position.block_number)
        self._signed.pop(oid, None)
        return receipt

    async def _sign_revocation(self, oid: ObjectId) -> RevocationRequest:
        """The same request as long as it is good, so that asking again finds what came of it."""
        context, group = self._context, self._context.group.require()
        deadline_unix_s = await context.deadlines.suggest_unix_s()
        signed = self._signed.get(oid)
        least_unix_s = context.clock.now_unix_s() + _SIGNED_FOR_AT_LEAST_S
        if signed is None or signed.deadline_unix_s < least_unix_s:
            digest = group.domain.revocation_digest(group.gid, oid, deadline_unix_s)
            signed = RevocationRequest(group.gid, oid, deadline_unix_s, context.key.sign_digest(digest))
            self._signed[oid] = signed
        return signed

    async def _send_all(self) -> None:
        waiting = self._context.waiting
        for oid in list(waiting.revocations):
            await self._try_revocation(oid)
        ready = [each for oid, each in waiting.associations.items() if not self._context.calls.is_running(oid)]
        for start in range(0, len(ready), SIDE_BY_SIDE):
            await asyncio.gather(*map(self._try_association, ready[start : start + SIDE_BY_SIDE]))

    async def _try_revocation(self, oid: ObjectId) -> None:
        try:
            await self.send_revocation(oid)
        except RefusedError as exc:
            await self.settle_refused_revocation(oid, exc)
        except (RegistryUnavailable, RegistryInconsistent, StoreError) as exc:
            _log.info("a revocation waits", extra={"fields": {"oid": oid.hex(), "message": str(exc), "code": exc.code}})

    async def settle_refused_revocation(self, oid: ObjectId, refusal: RefusedError) -> None:
        """The contract said no to an order: it has it already, or has nothing to revoke."""
        if refusal.reason is Reason.DEADLINE_PASSED:
            self._signed.pop(oid, None)  # signed anew next time
            return
        if refusal.reason is not Reason.OBJECT_REVOKED:
            # Not a member there: nothing to revoke. Should it become one after all, the follower orders it again.
            _log.warning(
                "the contract refuses a revocation; the device stays cut off here",
                extra={"fields": {"oid": oid.hex(), "reason": refusal.reason.name}},
            )
        await self._settle_quietly(oid)

    async def _settle_quietly(self, oid: ObjectId) -> None:
        try:
            await self._context.waiting.settle_revocation(oid, 0)
        except StoreError as exc:
            _log.warning(
                "a revocation was not settled",
                extra={"fields": {"oid": oid.hex(), "message": str(exc), "code": exc.code}},
            )

    async def _try_association(self, waiting: WaitingAssociation) -> None:
        oid = waiting.oid
        try:
            await self._context.calls.run(oid, lambda: self.send_association(waiting))
        except RefusedError as exc:
            _log.info("an association was refused", extra={"fields": {"oid": oid.hex(), "reason": exc.reason.name}})
            if exc.reason is not Reason.OBJECT_ID_IN_USE or not self._is_member(oid):
                await self._drop_quietly(oid)
        except VirtualGroupError as exc:
            _log.info(
                "an association waits", extra={"fields": {"oid": oid.hex(), "message": str(exc), "code": exc.code}}
            )
        else:
            if self._is_member(oid):
                await self._drop_quietly(oid)

    async def _drop_quietly(self, oid: ObjectId) -> None:
        with contextlib.suppress(StoreError):
            await self._context.waiting.drop_association(oid)

    def _is_member(self, oid: ObjectId) -> bool:
        view = self._context.registry.membership().objects.get(oid)
        return view is not None and view.state is ObjectState.SLAVE
