"""What a master knows of a device beside its membership: whether it is banned, and which version it runs."""

from sqlalchemy import Connection, delete, insert, select

from group_protocol.identifiers import ObjectId
from master_api.store import schema


def keep_ban(connection: Connection, oid: ObjectId, now_unix_s: float) -> None:
    """Shut a device out; again does no harm."""
    lift_ban(connection, oid)
    connection.execute(insert(schema.bans).values(oid=oid, banned_at_unix_s=now_unix_s))


def lift_ban(connection: Connection, oid: ObjectId) -> bool:
    """Let it in again. Answers whether it was banned."""
    return connection.execute(delete(schema.bans).where(schema.bans.c.oid == oid)).rowcount > 0


def fetch_bans(connection: Connection) -> set[ObjectId]:
    """Who is shut out now."""
    return {ObjectId(row.oid) for row in connection.execute(select(schema.bans.c.oid))}


def note_software(connection: Connection, oid: ObjectId, software: str) -> None:
    """The version that a device tells; an empty one leaves what was told before."""
    table = schema.device_software
    if software and software != connection.execute(select(table.c.software).where(table.c.oid == oid)).scalar():
        connection.execute(delete(table).where(table.c.oid == oid))
        connection.execute(insert(table).values(oid=oid, software=software))


def fetch_software(connection: Connection) -> dict[ObjectId, str]:
    """Every device's version, as it last told."""
    return {ObjectId(oid): software for oid, software in connection.execute(select(schema.device_software))}
