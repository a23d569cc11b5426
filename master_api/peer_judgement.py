"""Algorithm 3 on demand: the contract's ``verifyExchange`` over every stored message from slave to slave."""

from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from group_protocol.errors import ContractRefusal, Reason
from group_protocol.identifiers import ObjectId, Signature
from group_protocol.ports import ExchangeProof
from master_api.context import MasterContext
from master_api.store import schema

NAMED_MAX = 1_000


@dataclass(slots=True)
class Judgement:
    """What the contract said.

    Attributes:
        confirmed: Good, now.
        past: Of an earlier epoch, or of a device that was revoked since: the contract judges the present only. Their
            signatures are verified all the same, by the keys of their epoch.
        refused: Not good.
    """

    confirmed: int = 0
    past: int = 0
    refused: int = 0
    findings: list[dict[str, object]] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "confirmed": self.confirmed,
            "past": self.past,
            "refused": self.refused,
            "findings": self.findings,
        }


async def judge_on_chain(context: MasterContext) -> Judgement:
    """Ask the contract about each message, some milliseconds each.

    Raises:
        RegistryUnavailable, RegistryInconsistent: The chain cannot be asked.
    """
    group = context.group.require()
    table = schema.records

    def read(connection: Connection) -> list[ExchangeProof]:
        rows = connection.execute(
            select(table.c.oid, table.c.receiver, table.c.payload_hash, table.c.seq, table.c.epoch, table.c.signature)
            .where(table.c.receiver != group.master_oid, table.c.signature.is_not(None))
            .order_by(table.c.number)
        )
        return [
            ExchangeProof(group.gid, ObjectId(oid), ObjectId(to), digest, seq, epoch, Signature(signature))
            for oid, to, digest, seq, epoch, signature in rows
        ]

    judgement = Judgement()
    for proof in await context.store.read(read):
        try:
            await context.registry.verify_exchange(proof)
            judgement.confirmed += 1
        except ContractRefusal as exc:
            if exc.reason in (Reason.STALE_EPOCH, Reason.OBJECT_REVOKED):
                judgement.past += 1
                continue
            judgement.refused += 1
            if len(judgement.findings) < NAMED_MAX:
                judgement.findings.append({"oid": proof.sender.hex(), "seq": proof.seq, "reason": exc.reason.name})
    return judgement
