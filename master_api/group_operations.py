"""What an operator can ask about the group: forming it, and how it stands."""

import asyncio
import contextlib

from sqlalchemy import Connection

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import Reason, RefusedError
from group_protocol.identifiers import HASH_BYTES, GroupId, derive_object_id
from group_protocol.membership import ChainPosition
from group_protocol.ports import CreateGroupRequest, RegistryIdentity
from group_protocol.typed_data import TypedDataDomain, derive_group_id
from master_api.audit import AuditKind, Detail
from master_api.descriptions import JsonObject, describe_group
from master_api.names import require_name
from master_api.operations_part import OperationsPart
from master_api.store.groups import GroupRow, insert_group

GROUP_WAIT_S = 15.0
"""Longest wait for a group that a fork took away to stand in another block."""


class GroupOperations(OperationsPart):
    """The part of one master's operations that deals with its group."""

    async def create_group(self, name: str) -> JsonObject:
        """Form the master's one group on the contract.

        Raises:
            RefusedError: It has one already, or the contract refused.
            RegistryUnavailable: The chain cannot be reached.
        """
        context = self._context
        require_name(name)
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

    async def _wait_for_group(self, gid: GroupId) -> None:
        """A fork may take the newest block away for a moment: its transactions are in one of the next."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GROUP_WAIT_S):
                while gid not in self._context.registry.membership().groups:  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.1)

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
