"""What the register says of devices, and neither the operator ordered nor the device proved."""

from dataclasses import asdict, dataclass
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, select

from group_protocol.identifiers import Address, ObjectId
from master_api.store import schema


class Claim(StrEnum):
    """What the register says."""

    REVOKED = "revoked"
    """The device is revoked; no order of this master's operator says so."""
    OTHER_KEY = "another key"
    """The device has another key; no signatures of both keys are kept here."""


@dataclass(frozen=True, slots=True)
class DisputeRow:
    """One device's dispute.

    Attributes:
        account: The device's address, as the register says.
        transaction_hash: 32 bytes, of the transaction that the register names for it, if its event was heard.
        block: The number of that transaction's block.
    """

    oid: ObjectId
    claim: Claim
    account: Address
    since_unix_s: float
    transaction_hash: bytes | None = None
    block: int | None = None


def keep_dispute(connection: Connection, dispute: DisputeRow) -> None:
    """Store a dispute; a newer one of the same device takes its place."""
    drop_dispute(connection, dispute.oid)
    connection.execute(insert(schema.disputes).values(**asdict(dispute)))


def drop_dispute(connection: Connection, oid: ObjectId) -> bool:
    """It is over. Answers whether there was one."""
    return connection.execute(delete(schema.disputes).where(schema.disputes.c.oid == oid)).rowcount > 0


def fetch_disputes(connection: Connection) -> dict[ObjectId, DisputeRow]:
    """All of them by device, the oldest first."""
    rows = connection.execute(select(schema.disputes).order_by(schema.disputes.c.since_unix_s))
    return {
        ObjectId(row.oid): DisputeRow(
            ObjectId(row.oid), Claim(row.claim), Address(row.account), row.since_unix_s, row.transaction_hash, row.block
        )
        for row in rows
    }
