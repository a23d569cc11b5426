"""Committing the store's records to the chain, every so often (``docs/protocol.md`` §10, ADR 0017).

One range after the other: it is written to the store, sent, and its transaction noted. Whatever stops the master in
between, the next start finds a range without a transaction and sends it again; the registry knows an anchor that stands
already and answers with its first receipt.
"""

import asyncio
import logging
from dataclasses import dataclass

from sqlalchemy import Connection

from group_protocol.errors import VirtualGroupError
from group_protocol.merkle import compute_root
from group_protocol.ports import AnchorRequest
from master_api.audit import AuditKind, Detail
from master_api.context import MasterContext
from master_api.store.anchors import (
    AnchorRow,
    Leaf,
    count_above,
    fetch_anchored_through,
    fetch_newest_number,
    fetch_pending_anchors,
    insert_anchor,
    make_leaves,
    note_anchored,
)

RECORDS_PER_ANCHOR_MAX = 65_536
"""Leaves of one tree: 2.6 MB in the store, and about 0.3 s to hash, outside the event loop."""
RETRY_S = 30.0
"""After a failure, if the interval is not shorter."""

_log = logging.getLogger("vgroup.master.anchoring")


@dataclass(frozen=True, slots=True)
class AnchorStatus:
    """How far the records are anchored.

    Attributes:
        anchored_through: The highest record number of an anchor that stands in a block.
        waiting: Records above it.
        pending: Anchors on their way to the chain.
    """

    anchored_through: int
    waiting: int
    pending: int
    last_error: str


class Anchoring:
    """One master's anchors."""

    def __init__(self, context: MasterContext) -> None:
        self._context = context
        self._one_at_a_time = asyncio.Lock()
        self._last_error = ""

    async def run(self) -> None:
        """Anchor at the interval of the settings until cancelled; at once what an earlier run left unfinished."""
        interval_s = self._context.config.anchor_minutes * 60
        if not interval_s:
            return
        wait_s = await self._try(finish_only=True)
        while True:
            await asyncio.sleep(min(wait_s, interval_s))
            wait_s = await self._try(finish_only=False)

    async def _try(self, *, finish_only: bool) -> float:
        """One round; answers how long to wait for the next."""
        try:
            await self.anchor(finish_only=finish_only)
        except VirtualGroupError as exc:
            self._last_error = str(exc)
            _log.warning("records cannot be anchored now", extra={"fields": {"message": str(exc), "code": exc.code}})
            return RETRY_S
        self._last_error = ""
        return self._context.config.anchor_minutes * 60

    async def anchor(self, *, finish_only: bool = False) -> list[AnchorRow]:
        """Finish what is on its way, then anchor every record that is stored now; answers what stands in a block now.

        Args:
            finish_only: Begin no new range.

        Raises:
            RegistryUnavailable, RegistryInconsistent, ContractRefusal, StoreError: As they say; what was written to the
                store is sent with the next call.
        """
        if self._context.group.formed is None:
            return []
        done: list[AnchorRow] = []
        async with self._one_at_a_time:
            # What comes while this runs waits for the next call: else a busy group would be anchored without end.
            through = await self._context.store.read(fetch_newest_number)
            while True:
                pending = await self._context.store.read(fetch_pending_anchors)
                done += [await self._send(row) for row in pending]
                if finish_only or not await self._begin_range(through):
                    return done

    async def status(self) -> AnchorStatus:
        """How far it has come. Raises StoreError."""

        def read(connection: Connection) -> AnchorStatus:
            pending = fetch_pending_anchors(connection)
            through = fetch_anchored_through(connection)
            if pending:
                through = pending[0].from_record - 1
            return AnchorStatus(through, count_above(connection, through), len(pending), self._last_error)

        return await self._context.store.read(read)

    async def _begin_range(self, through: int) -> bool:
        """Write the next range up to that record to the store; False if there is nothing to anchor."""
        gid = self._context.group.require().gid

        def read(connection: Connection) -> tuple[list[Leaf], bytes]:
            first = fetch_anchored_through(connection) + 1
            leaves = make_leaves(connection, gid, first, through, RECORDS_PER_ANCHOR_MAX)
            return leaves, compute_root([leaf.leaf_hash for leaf in leaves]) if leaves else b""

        leaves, root = await self._context.store.read(read)
        if not leaves:
            return False
        now_unix_s = self._context.clock.now_unix_s()
        await self._context.store.write(lambda connection: insert_anchor(connection, leaves, root, now_unix_s))
        return True

    async def _send(self, row: AnchorRow) -> AnchorRow:
        group, key = self._context.group.require(), self._context.key
        digest = group.domain.anchor_digest(group.gid, row.root, row.from_record, row.to_record)
        receipt = await self._context.registry.anchor(
            AnchorRequest(group.gid, row.root, row.from_record, row.to_record, key.sign_digest(digest))
        )
        at = receipt.position

        def note(connection: Connection) -> None:
            note_anchored(connection, row.from_record, at.transaction_hash, at.block_number)
            detail: Detail = {
                "from_record": row.from_record,
                "to_record": row.to_record,
                "root": row.root.hex(),
                "transaction": at.transaction_hash.hex(),
                "block": at.block_number,
            }
            self._context.audit.append(connection, AuditKind.RECORDS_ANCHORED, detail)

        await self._context.store.write(note)
        _log.info("records anchored", extra={"fields": {"from": row.from_record, "to": row.to_record}})
        return AnchorRow(
            row.from_record, row.to_record, row.root, row.created_at_unix_s, at.transaction_hash, at.block_number
        )
