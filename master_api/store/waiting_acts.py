"""What waits for the chain: associations that devices signed, revocations that the operator ordered."""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, insert, select, update

from group_protocol.identifiers import ObjectId, Signature, Token
from master_api.store import schema

_CONTACT_ID = 1


@dataclass(frozen=True, slots=True)
class WaitingAssociation:
    """A device's request, as M5 brought it (``docs/protocol.md`` §7)."""

    oid: ObjectId
    token: Token
    request: Signature
    deadline_unix_s: int


def keep_association(connection: Connection, waiting: WaitingAssociation) -> None:
    """Store a request; a newer one of the same device takes its place."""
    drop_association(connection, waiting.oid)
    connection.execute(insert(schema.waiting_associations).values(**asdict(waiting)))


def drop_association(connection: Connection, oid: ObjectId) -> None:
    """The request is settled, either way."""
    table = schema.waiting_associations
    connection.execute(delete(table).where(table.c.oid == oid))


def drop_associations(connection: Connection) -> None:
    """No request that waits is good any more: the tokens in them are an older master key's."""
    connection.execute(delete(schema.waiting_associations))


def fetch_waiting_associations(connection: Connection) -> list[WaitingAssociation]:
    """All of them."""
    return [WaitingAssociation(*row) for row in connection.execute(select(schema.waiting_associations))]


def order_revocation(connection: Connection, oid: ObjectId, at_unix_s: float) -> None:
    """The operator revokes a device; ordered again, it waits for the chain again."""
    table = schema.ordered_revocations
    connection.execute(delete(table).where(table.c.oid == oid))
    connection.execute(insert(table).values(oid=oid, ordered_at_unix_s=at_unix_s, block=None))


def settle_revocation(connection: Connection, oid: ObjectId, block: int) -> bool:
    """The chain has it, in this block (0: it is not known in which). Answers whether it waited until now."""
    table = schema.ordered_revocations
    waiting = (table.c.oid == oid) & table.c.block.is_(None)
    return connection.execute(update(table).where(waiting).values(block=block)).rowcount > 0


def unsettle_revocation(connection: Connection, oid: ObjectId) -> bool:
    """A fork took it off the chain: it waits again. Answers whether it was ordered here."""
    table = schema.ordered_revocations
    return connection.execute(update(table).where(table.c.oid == oid).values(block=None)).rowcount > 0


def fetch_waiting_revocations(connection: Connection) -> list[ObjectId]:
    """Those that are not on the chain, the oldest first."""
    table = schema.ordered_revocations
    query = select(table.c.oid).where(table.c.block.is_(None)).order_by(table.c.ordered_at_unix_s)
    return [ObjectId(row.oid) for row in connection.execute(query)]


def fetch_settled_revocations(connection: Connection) -> list[ObjectId]:
    """Those that were seen on the chain."""
    table = schema.ordered_revocations
    return [ObjectId(row.oid) for row in connection.execute(select(table.c.oid).where(table.c.block.is_not(None)))]


def note_contact(connection: Connection, at_unix_s: float) -> None:
    """The chain answered."""
    connection.execute(delete(schema.chain_contact))
    connection.execute(insert(schema.chain_contact).values(id=_CONTACT_ID, at_unix_s=at_unix_s))


def fetch_contact(connection: Connection) -> float | None:
    """When the chain last answered, unix seconds; None if it never did."""
    return connection.execute(select(schema.chain_contact.c.at_unix_s)).scalar_one_or_none()
