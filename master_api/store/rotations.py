"""Changes of key that devices asked for, with the signatures that prove them."""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, and_, delete, insert, select

from group_protocol.identifiers import Address, ObjectId, Signature
from master_api.store import schema


@dataclass(frozen=True, slots=True)
class RotationRow:
    """A device's wish to change its key, signed by both (``docs/protocol.md`` §7.1, §8 ``Rotation``)."""

    oid: ObjectId
    new_address: Address
    old_address: Address
    deadline_unix_s: int
    by_old: Signature
    by_new: Signature


def keep_rotation(connection: Connection, rotation: RotationRow) -> None:
    """Store a wish; asking again for the same new key puts the newer signatures in its place."""
    table = schema.rotations
    same = and_(table.c.oid == rotation.oid, table.c.new_address == rotation.new_address)
    connection.execute(delete(table).where(same))
    connection.execute(insert(table).values(**asdict(rotation)))


def fetch_rotations(connection: Connection, oid: ObjectId) -> dict[Address, RotationRow]:
    """A device's wishes by their new address."""
    table = schema.rotations
    rows = [RotationRow(*row) for row in connection.execute(select(table).where(table.c.oid == oid))]
    return {row.new_address: row for row in rows}
