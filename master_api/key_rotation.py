"""The master changes its own key, and no slave has to be touched (``docs/protocol.md`` §3.5, ADR 0019).

Two keys lie on the disk while it lasts. Power cut at any instant leaves a master that goes on with one of them::

    next key on the disk → both signatures in the store → rotateMaster → its event
        → one transaction: the group is the new key's, what the old key sealed is sealed anew → old key gone

What is in force is what the contract says: :meth:`MasterKeyRotation.settle` brings the store after it.
"""

import asyncio
from enum import StrEnum

from sqlalchemy import Connection

from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import Reason, RefusedError, RegistryInconsistent, RegistryUnavailable
from group_protocol.identifiers import Address, GroupId
from group_protocol.ports import MasterRotationRequest
from master_api.audit import AuditKind, Detail
from master_api.context import MasterContext
from master_api.pairing_codes import open_code, seal_code
from master_api.store.invitations import fetch_invitations, replace_sealed_code
from master_api.store.master_changes import (
    MasterChangeRow,
    drop_pending_change,
    fetch_pending_change,
    keep_master_change,
    next_change_number,
    put_change_in_force,
)
from master_api.store.waiting_acts import drop_associations

RECEIPT_WAIT_S = 60.0
"""So long the command waits for the contract; the change goes on being under way after it."""
EVENT_WAIT_S = 15.0
BACKDATED_MAX_S = 900
"""A signer of the chain dates no block further back than this; with the deadline it bounds a rollback."""
_POLL_S = 0.1


class Outcome(StrEnum):
    """What became of a change of key."""

    PROMOTED = "promoted"
    """The new key is the master's; the old one is gone."""
    ROLLED_BACK = "rolled back"
    """The old key is the master's, and the new one can never become it."""
    PENDING = "pending"
    """The contract may still take it. The master goes on under the old key until it has."""


class MasterKeyRotation:
    """One change of key, or the rest of one that was interrupted.

    Args:
        context: A master that is open under its present key and serves nobody.
        next_key: The key in the second slot.
    """

    def __init__(self, context: MasterContext, next_key: PrivateKey) -> None:
        self._context = context
        self._next_key = next_key
        context.next_master = next_key.address

    async def run(self) -> Outcome:
        """Carry the change to the contract, and settle it.

        Raises:
            RefusedError: There is no group, or the contract refused and may yet take it.
            AuditBroken: The log has to hold before its head is sealed anew.
            StoreError: As it says.
        """
        context = self._context
        if context.group.formed is None:
            raise RefusedError(Reason.UNKNOWN_GROUP, "this master has no group yet", remedy="Run: vgroup group create")
        if not self.is_in_contract():
            await context.store.read(context.audit.verify)
            try:
                await self._ask_contract()
            except (RegistryUnavailable, RegistryInconsistent, TimeoutError):
                return Outcome.PENDING
            except RefusedError as exc:
                if exc.reason is not Reason.ADDRESS_IN_USE:  # which is for good
                    raise
                await self._forget()
                return Outcome.ROLLED_BACK
        await self.settle()
        return Outcome.PROMOTED

    async def abandon(self) -> Outcome:
        """Go back to the old key for good, which is possible once the contract can no longer take the change.

        Raises:
            RefusedError: The signatures are good for a while yet; the message says until when.
            RegistryUnavailable: The chain's time is not known.
        """
        if self.is_in_contract():
            await self.settle()
            return Outcome.PROMOTED
        pending = await self._context.store.read(fetch_pending_change)
        if pending is not None:
            left_s = pending.deadline_unix_s - await self._passed_unix_s()
            if left_s >= 0:
                raise RefusedError(
                    Reason.DEADLINE_PASSED,
                    f"the contract may take the change for another {left_s + 1} s",
                    remedy="Run it again after that; or without --abandon, to go through with it.",
                )
        await self._forget()
        return Outcome.ROLLED_BACK

    def is_in_contract(self) -> bool:
        """Whether the new key is the group's master there."""
        return self._context.group.view().master == self._next_key.address

    async def settle(self) -> None:
        """The contract has the change: the store too, in one transaction. Doing it again does no harm."""
        context, group = self._context, self._context.group.require()
        next_key, epoch = self._next_key, context.group.view().epoch

        def bring_over(connection: Connection) -> None:
            put_change_in_force(connection, group.gid, next_key.address)
            drop_associations(connection)
            for invitation in fetch_invitations(connection):
                code = open_code(context.key, invitation.code_id, invitation.sealed_code)
                replace_sealed_code(connection, invitation.code_id, seal_code(next_key, invitation.code_id, code))
            context.audit.take_key(next_key)
            detail: Detail = {
                "old_master": context.key.address.hex(),
                "new_master": next_key.address.hex(),
                "epoch": epoch,
            }
            context.audit.append(connection, AuditKind.MASTER_ROTATED, detail)

        try:
            await context.store.write(bring_over)
        except BaseException:
            context.audit.take_key(context.key)
            raise

    async def _ask_contract(self) -> None:
        context, group = self._context, self._context.group.require()
        row = await self._sign(group.gid)
        request = MasterRotationRequest(group.gid, row.new_address, row.deadline_unix_s, row.by_old, row.by_new)
        async with asyncio.timeout(RECEIPT_WAIT_S):
            await context.registry.rotate_master(request)
        async with asyncio.timeout(EVENT_WAIT_S):
            while not self.is_in_contract():  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(_POLL_S)

    async def _sign(self, gid: GroupId) -> MasterChangeRow:
        """The same signatures as long as they are good, so that asking again finds what came of it."""
        context, new = self._context, self._next_key.address
        pending = await context.store.read(fetch_pending_change)
        if (
            pending is not None
            and pending.new_address == new
            and pending.deadline_unix_s > self._context.clock.now_unix_s()
        ):
            return pending
        deadline_unix_s = await context.deadlines.suggest_unix_s()
        digest = context.group.require().domain.master_rotation_digest(gid, new, deadline_unix_s)
        row = MasterChangeRow(
            number=await context.store.read(next_change_number),
            old_address=context.key.address,
            new_address=new,
            deadline_unix_s=deadline_unix_s,
            by_old=context.key.sign_digest(digest),
            by_new=self._next_key.sign_digest(digest),
        )
        await context.store.write(lambda connection: keep_master_change(connection, row))
        return row

    async def _passed_unix_s(self) -> int:
        """Before this no later block can be dated.

        No block is older than the newest; and where a chain at rest makes none, the next one is not dated far back.
        """
        block_unix_s = await self._context.registry.fetch_block_time()
        return max(block_unix_s, int(self._context.clock.now_unix_s()) - BACKDATED_MAX_S)

    async def _forget(self) -> None:
        await self._context.store.write(drop_pending_change)
        self._context.next_master = None


def describe_outcome(outcome: Outcome, old: Address, new: Address) -> str:
    """What it means, for people."""
    if outcome is Outcome.PROMOTED:
        return (
            f"The master is now 0x{new.hex()}. Devices learn of it by themselves when they connect next. "
            "Make a backup now: devices that have met the new key refuse a master put back from an older one."
        )
    if outcome is Outcome.ROLLED_BACK:
        return f"The master is 0x{old.hex()} as before; the new key is thrown away and can never come into force."
    return (
        "The contract has not confirmed the change, and may still take it. The master goes on as "
        f"0x{old.hex()}. Run `vgroup master rotate-key` again, or `vgroup master rotate-key --abandon`."
    )
