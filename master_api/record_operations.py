"""What an operator can ask about records: whether they hold, their anchors, their proofs, the messages among them."""

from dataclasses import asdict

from sqlalchemy import Connection

from master_api.anchor_verification import AnchorReport, verify_anchors
from master_api.descriptions import JsonObject, describe_anchor, describe_messages
from master_api.operations_part import OperationsPart
from master_api.peer_judgement import judge_on_chain
from master_api.record_proving import make_record_proof
from master_api.record_verification import Report, verify_records
from master_api.store.anchors import fetch_anchors
from master_api.store.devices import fetch_devices
from master_api.store.peer_queue import fetch_counts


class RecordOperations(OperationsPart):
    """The part of one master's operations that deals with records."""

    async def verify_records(self, *, on_chain: bool = False) -> JsonObject:
        """Verify the evidence of every stored record, and hold the store to its anchors.

        Args:
            on_chain: Have the contract judge every stored peer message too (Algorithm 3).
        """
        context, group = self._context, self._context.group.require()
        membership = context.registry.membership()
        anchors = await context.registry.fetch_anchors(group.gid)

        def read(connection: Connection) -> tuple[Report, AnchorReport]:
            is_gapless = context.store.has_gapless_numbers
            return (
                verify_records(connection, group, membership),
                verify_anchors(connection, group.gid, anchors, has_gapless_numbers=is_gapless),
            )

        report, anchored = await context.store.read(read)
        shown = report.to_json() | {"anchors": anchored.to_json()}
        is_good = bool(shown["is_good"]) and not anchored.wrong
        if on_chain:
            judged = await judge_on_chain(context)
            shown["on_chain"] = judged.to_json()
            is_good = is_good and not judged.refused
        return shown | {"is_good": is_good}

    async def anchor_records(self) -> JsonObject:
        """Anchor every record that is stored now. Raises RegistryUnavailable or ContractRefusal."""
        done = await self._service.anchoring.anchor()
        return {"anchors": [describe_anchor(row) for row in done]}

    async def list_anchors(self) -> JsonObject:
        """Every anchor, and how many records wait for one."""
        rows = await self._context.store.read(fetch_anchors)
        return {
            "anchors": [describe_anchor(row) for row in rows],
            "status": asdict(await self._service.anchoring.status()),
        }

    async def prove_record(self, record: str) -> JsonObject:
        """A proof of one record, by its number or as OID/SEQ. Raises RefusedError or ConfigurationError."""
        group = self._context.group.require()
        proof = await self._context.store.read(lambda connection: make_record_proof(connection, group, record))
        return proof.to_json()

    async def list_messages(self) -> JsonObject:
        """What became of the messages from slave to slave, by receiver and sender."""
        counts = await self._context.store.read(fetch_counts)
        names = {device.oid: device.name for device in await self._context.store.read(fetch_devices)}
        return {"messages": [describe_messages(count, names) for count in counts]}

    async def _sum_messages(self) -> dict[str, int]:
        counts = await self._context.store.read(fetch_counts)
        return {
            name: sum(getattr(count, name) for count in counts)
            for name in ("waiting", "delivered", "refused", "dropped")
        }
