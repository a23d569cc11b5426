"""What an operator can ask about devices: which there are, and shutting one out, for good or until further notice."""

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import Reason, RefusedError, RegistryInconsistent, RegistryUnavailable
from group_protocol.membership import ObjectState
from group_protocol.ports import RevocationRequest
from group_protocol.tickets import MembershipState
from master_api.descriptions import JsonObject, describe_device, describe_invitation
from master_api.disputes import claim_of, describe_dispute
from master_api.operations_part import OperationsPart
from master_api.standings import DeviceStanding, describe_standing, stand
from master_api.store.devices import DeviceRow, fetch_devices
from master_api.store.disputes import Claim
from master_api.store.invitations import InvitationState, fetch_invitations
from master_api.store.records import count_records
from master_api.store.standings import fetch_software


class DeviceOperations(OperationsPart):
    """The part of one master's operations that deals with its devices."""

    async def list_devices(self) -> JsonObject:
        """Enrolled devices, and invitations that are not used yet."""
        context = self._context
        devices = await context.store.read(fetch_devices)
        counts = await context.store.read(count_records)
        invitations = await context.store.read(fetch_invitations)
        software = await context.store.read(fetch_software)
        now_unix_s = context.steady.now_unix_s()
        return {
            "devices": [
                describe_device(
                    device, counts.get(device.oid, 0), has_session=context.live.of_device(device.oid) is not None
                )
                | describe_standing(
                    device,
                    is_banned=device.oid in context.bans.banned,
                    is_disputed=device.oid in context.disputes.open,
                )
                | {"software": software.get(device.oid)}
                for device in devices
            ],
            "invitations": [
                describe_invitation(invitation, now_unix_s)
                for invitation in invitations
                if invitation.state(now_unix_s) is not InvitationState.USED
            ],
        }

    async def revoke_device(self, device: str) -> JsonObject:
        """Revoke a device for good, by its whole oid or its name.

        It is cut off here at once. ``block``, ``transaction`` and ``gas`` are null while the chain does not have it
        yet, and ``chain`` says why: it is kept, and sent when the chain can take it.

        Raises:
            RefusedError: There is no such device or more than one, or the contract refused.
        """
        context, queue = self._context, self._service.queue
        context.group.require()
        found = _select(await context.store.read(fetch_devices), device)
        await self._require_revocable(found)
        await queue.order_revocation(found)
        receipt = None
        try:
            receipt = await queue.send_revocation(found.oid)
            chain = "has it" if receipt is not None else "does not have it yet; it is kept, and waits for its block"
        except (RegistryUnavailable, RegistryInconsistent) as exc:
            chain = f"does not have it yet; it is kept, and sent when the chain is back ({exc})"
        except RefusedError as exc:
            await queue.settle_refused_revocation(found.oid, exc)
            is_there = exc.reason is Reason.OBJECT_REVOKED
            chain = "has it already" if is_there else f"refuses it: {exc}; the device is cut off here all the same"
        epoch = context.registry.membership().groups.get(found.gid)
        return {
            "oid": found.oid.hex(),
            "name": found.name,
            "transaction": None if receipt is None else "0x" + receipt.position.transaction_hash.hex(),
            "block": None if receipt is None else receipt.position.block_number,
            "gas": None if receipt is None else receipt.gas,
            "epoch": None if epoch is None else epoch.epoch,
            "chain": chain,
        }

    async def ban_device(self, device: str) -> JsonObject:
        """Shut a device out until the ban is lifted, by its whole oid or its name. The contract hears nothing of it.

        Raises:
            RefusedError: There is no such device or more than one, or it is revoked already.
        """
        found = _select(await self._context.store.read(fetch_devices), device)
        if found.state is MembershipState.REVOKED:
            raise RefusedError(Reason.OBJECT_REVOKED, f"{found.name} is evicted, which is more than a ban")
        await self._context.bans.ban(found.oid)
        return {"oid": found.oid.hex(), "name": found.name, "standing": DeviceStanding.BANNED.value}

    async def lift_ban(self, device: str) -> JsonObject:
        """Let a banned device in again; it goes on by itself.

        Raises:
            RefusedError: There is no such device or more than one, or it is not banned.
        """
        found = _select(await self._context.store.read(fetch_devices), device)
        if not await self._context.bans.lift(found.oid):
            raise RefusedError(Reason.BAD_RANGE, f"{found.name} is not banned", remedy="See: vgroup device list")
        standing = stand(found, is_banned=False, is_disputed=found.oid in self._context.disputes.open)
        return {"oid": found.oid.hex(), "name": found.name, "standing": standing.value}

    async def _require_revocable(self, device: DeviceRow) -> None:
        """Who is no member is refused by the contract, and nothing changes here; unless it may become one yet.

        A device that the register calls revoked may be ordered so: that makes it final here.
        """
        context = self._context
        view = context.registry.membership().objects.get(device.oid)
        is_member = view is not None and view.state is ObjectState.SLAVE
        is_revoked_there_alone = claim_of(device, view) is Claim.REVOKED
        may_become_one = device.oid in context.waiting.associations or context.calls.is_running(device.oid)
        if is_member or is_revoked_there_alone or may_become_one or context.watch.is_away:
            return
        if device.oid in context.waiting.revocations:
            return
        group, deadline_unix_s = context.group.require(), await context.deadlines.suggest_unix_s()
        digest = group.domain.revocation_digest(group.gid, device.oid, deadline_unix_s)
        await context.registry.revoke(
            RevocationRequest(group.gid, device.oid, deadline_unix_s, context.key.sign_digest(digest))
        )

    async def _describe_disputes(self) -> list[JsonObject]:
        disputes = self._context.disputes.open
        devices = await self._context.store.read(fetch_devices) if disputes else []
        return [describe_dispute(disputes[device.oid], device) for device in devices if device.oid in disputes]


def _select(devices: list[DeviceRow], wanted: str) -> DeviceRow:
    oid = wanted.lower().removeprefix("0x")
    found = [device for device in devices if device.oid.hex() == oid] or [
        device for device in devices if device.name == wanted
    ]
    if not found:
        raise RefusedError(
            Reason.UNKNOWN_OBJECT,
            f"no device {wanted!r}",
            remedy="See: vgroup device list",
            code=ErrorCode.NO_SUCH_DEVICE,
        )
    if len(found) > 1:
        raise RefusedError(
            Reason.UNKNOWN_OBJECT,
            f"{len(found)} devices have the name {wanted!r}",
            remedy="Give the whole oid.",
            code=ErrorCode.NO_SUCH_DEVICE,
        )
    return found[0]
