"""The group that this master formed."""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, insert, select

from group_protocol.identifiers import Address, GroupId, ObjectId
from master_api.store import schema


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group, and the transaction that made it."""

    gid: GroupId
    name: str
    master_address: Address
    master_oid: ObjectId
    chain_id: int
    contract: Address
    transaction_hash: bytes
    block_number: int
    created_at_unix_s: float


def insert_group(connection: Connection, group: GroupRow) -> None:
    """Keep a group that the contract has confirmed."""
    connection.execute(insert(schema.groups).values(**asdict(group)))


def fetch_group(connection: Connection, master_address: Address) -> GroupRow | None:
    """The group of this master key; a master has one (``docs/protocol.md`` §1)."""
    row = connection.execute(
        select(schema.groups).where(schema.groups.c.master_address == master_address)
    ).one_or_none()
    return GroupRow(*row) if row is not None else None
