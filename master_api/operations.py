"""What an operator can ask of a master: the same behind the admin socket as behind a command without a daemon.

Arguments and results are plain JSON values, so that both ways give the same. Byte values are hex; addresses begin
with 0x.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import Reason, RefusedError, RegistryInconsistent, RegistryUnavailable
from group_protocol.identifiers import HASH_BYTES, GroupId, derive_object_id
from group_protocol.membership import ChainPosition, ObjectState
from group_protocol.ports import CreateGroupRequest, RegistryIdentity, RevocationRequest
from group_protocol.tickets import MembershipState
from group_protocol.typed_data import TypedDataDomain, derive_group_id
from master_api.audit import AuditHead, AuditKind, Detail
from master_api.descriptions import (
    JsonObject,
    describe_audit,
    describe_device,
    describe_group,
    describe_invitation,
    iso_time,
)
from master_api.disputes import claim_of, describe_dispute
from master_api.health import CHECK_TIMEOUT_S
from master_api.invitation_names import INVITATIONS_MAX, numbered_names
from master_api.pairing import invite_all
from master_api.record_operations import RecordOperations
from master_api.service import MasterService
from master_api.standings import DeviceStanding, describe_standing, stand
from master_api.store.devices import DeviceRow, fetch_devices
from master_api.store.disputes import Claim
from master_api.store.groups import GroupRow, insert_group
from master_api.store.invitations import InvitationState, fetch_invitations
from master_api.store.records import count_records
from master_api.store.standings import fetch_software
from system_ports.software import software_version

GROUP_NAME_MAX_CHARACTERS = 64
GROUP_WAIT_S = 15.0
"""Longest wait for a group that a fork took away to stand in another block."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where devices find this master."""

    host: str
    port: int


class Operations(RecordOperations):
    """One master's operations."""

    def __init__(self, service: MasterService, endpoint: Endpoint) -> None:
        super().__init__(service)
        self._endpoint = endpoint

    async def create_group(self, name: str) -> JsonObject:
        """Form the master's one group on the contract.

        Raises:
            RefusedError: It has one already, or the contract refused.
            RegistryUnavailable: The chain cannot be reached.
        """
        context = self._context
        _require_name(name)
        if context.group.formed is not None:
            raise RefusedError(
                Reason.GROUP_ID_IN_USE,
                "this master has its group already",
                remedy="See: vgroup group show",
                code=ErrorCode.GROUP_EXISTS,
            )
        identity = await context.registry.fetch_identity()
        gid, position = await self._find_or_create(identity)
        row = GroupRow(
            gid=gid,
            name=name,
            master_address=context.key.address,
            master_oid=derive_object_id(context.key.address),
            chain_id=identity.chain_id,
            contract=identity.contract,
            transaction_hash=position.transaction_hash if position is not None else bytes(HASH_BYTES),
            block_number=position.block_number if position is not None else 0,
            created_at_unix_s=context.clock.now_unix_s(),
        )
        await context.store.write(lambda connection: self._keep_group(connection, row))
        context.group.adopt(row)
        await self._wait_for_group(gid)
        await self._service.follower.reconcile()
        return self._describe_group()

    async def _wait_for_group(self, gid: GroupId) -> None:
        """A fork may take the newest block away for a moment: its transactions are in one of the next."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GROUP_WAIT_S):
                while gid not in self._context.registry.membership().groups:  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.1)

    async def show_group(self) -> JsonObject:
        """The group, and how many devices it has."""
        if self._context.group.formed is None:
            raise RefusedError(
                Reason.UNKNOWN_GROUP,
                "this master has no group yet",
                remedy="Run: vgroup group create NAME",
                code=ErrorCode.NO_GROUP,
            )
        return self._describe_group()

    async def invite_device(
        self, name: str, lifetime_s: float | None = None, host: str | None = None, port: int | None = None
    ) -> JsonObject:
        """Make a pairing string for one device."""
        (invitation,) = await self._invite([name], lifetime_s, host, port)
        return invitation

    async def invite_devices(
        self, name: str, count: int, lifetime_s: float | None = None, host: str | None = None, port: int | None = None
    ) -> JsonObject:
        """Make pairing strings for NAME-01, NAME-02, …: all of them, or none.

        Raises:
            RefusedError: The count is not 1 to :data:`INVITATIONS_MAX`, a name would be too long, or there is no group.
        """
        if not 1 <= count <= INVITATIONS_MAX:
            raise RefusedError(
                Reason.BAD_RANGE,
                f"the count has to be 1 to {INVITATIONS_MAX}",
                remedy="Invite in several lots.",
                code=ErrorCode.ARGUMENT_WRONG,
            )
        names = numbered_names(name, count)
        return {"invitations": await self._invite(names, lifetime_s, host, port)}

    async def _invite(
        self, names: Sequence[str], lifetime_s: float | None, host: str | None, port: int | None
    ) -> list[JsonObject]:
        for name in names:
            _require_name(name)
        await self.show_group()
        lifetime_s = lifetime_s or self._context.config.pairing_lifetime_s
        endpoint = Endpoint(host or self._endpoint.host, port or self._endpoint.port)
        return [
            {
                "name": invitation.device_name,
                "pairing_string": invitation.pairing.to_text(),
                "expires_at": iso_time(invitation.expires_at_unix_s),
            }
            for invitation in await invite_all(self._context, names, endpoint.host, endpoint.port, lifetime_s)
        ]

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
            chain = f"refuses it: {exc}; the device is cut off here all the same"
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

    async def verify_audit(self, head: str | None = None) -> JsonObject:
        """Verify the audit log, against a head noted before if one is given. Raises AuditBroken."""
        expected = AuditHead.parse_optional(head)
        return describe_audit(
            await self._context.store.read(lambda connection: self._context.audit.verify(connection, expected))
        )

    async def status(self) -> JsonObject:
        """Health, sessions and refusals since the start."""
        health = await self._service.health.check()
        anchors = asdict(await self._service.anchoring.status())
        context = self._context
        return {
            "master": f"0x{context.key.address.hex()}",
            "software": software_version(),
            "health": health.parts,
            "chain": context.config.gateway or context.config.chain,
            "newest_block_unix_s": await self._newest_block_unix_s(),
            "sessions": len(context.live),
            "streams": sum(1 for live in context.live if live.stream is not None),
            "half_open": len(context.half_open),
            "nodes": [asdict(report) for report in context.registry.node_reports()],
            "waiting_for_chain": {
                "associations": len(context.waiting.associations),
                "revocations": len(context.waiting.revocations),
            },
            "disputed": await self._describe_disputes(),
            "messages": await self._sum_messages(),
            "anchors": {name: value for name, value in anchors.items() if value != ""},
            "refusals": dict(context.refusals.totals),
        }

    async def _describe_disputes(self) -> list[JsonObject]:
        disputes = self._context.disputes.open
        devices = await self._context.store.read(fetch_devices) if disputes else []
        return [describe_dispute(disputes[device.oid], device) for device in devices if device.oid in disputes]

    async def _newest_block_unix_s(self) -> int | None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                return await self._context.registry.fetch_block_time()
        except (RegistryUnavailable, RegistryInconsistent, TimeoutError):
            return None

    async def _find_or_create(self, identity: RegistryIdentity) -> tuple[GroupId, ChainPosition | None]:
        """A new group, or the one that a master formed which was stopped before its store knew."""
        context, address = self._context, self._context.key.address
        for view in context.registry.membership().groups.values():
            if view.master == address:
                return view.gid, None
        salt = context.random.token_bytes(HASH_BYTES)
        deadline_unix_s = await context.deadlines.suggest_unix_s()
        digest = TypedDataDomain(identity).create_group_digest(salt, address, deadline_unix_s)
        receipt = await context.registry.create_group(
            CreateGroupRequest(salt, address, deadline_unix_s, context.key.sign_digest(digest))
        )
        return derive_group_id(identity, address, salt), receipt.position

    def _keep_group(self, connection: Connection, row: GroupRow) -> None:
        insert_group(connection, row)
        detail: Detail = {"gid": row.gid.hex(), "name": row.name, "transaction": row.transaction_hash.hex()}
        self._context.audit.append(connection, AuditKind.GROUP_CREATED, detail)

    def _describe_group(self) -> JsonObject:
        group = self._context.group.require()
        members = self._context.registry.membership().members(group.gid)
        return describe_group(group, self._context.group.view(), members)


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


def _require_name(name: str) -> None:
    if not name.strip() or len(name) > GROUP_NAME_MAX_CHARACTERS or not name.isprintable():
        raise RefusedError(
            Reason.BAD_RANGE,
            f"a name has 1 to {GROUP_NAME_MAX_CHARACTERS} printable characters",
            remedy="Choose another.",
            code=ErrorCode.ARGUMENT_WRONG,
        )
