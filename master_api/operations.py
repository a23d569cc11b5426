"""What an operator can ask of a master: the same behind the admin socket as behind a command without a daemon.

Arguments and results are plain JSON values, so that both ways give the same. Byte values are hex; addresses begin
with 0x. Each part is a class of its own; here they are one, with what concerns the master itself.
"""

import asyncio
from dataclasses import asdict

from group_protocol.errors import RegistryInconsistent, RegistryUnavailable
from master_api.audit import AuditHead
from master_api.descriptions import JsonObject, describe_audit
from master_api.device_operations import DeviceOperations
from master_api.health import CHECK_TIMEOUT_S
from master_api.invitation_operations import Endpoint as Endpoint  # noqa: PLC0414 - who operates a master says where it is
from master_api.invitation_operations import InvitationOperations
from master_api.record_operations import RecordOperations
from system_ports.software import software_version


class Operations(InvitationOperations, DeviceOperations, RecordOperations):
    """One master's operations."""

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

    async def _newest_block_unix_s(self) -> int | None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                return await self._context.registry.fetch_block_time()
        except (RegistryUnavailable, RegistryInconsistent, TimeoutError):
            return None
