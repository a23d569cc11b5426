"""Anchors, and the leaves over which their roots stand (``docs/protocol.md`` §10)."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, insert, select, update

from group_protocol.anchored_records import AnchoredRecord
from group_protocol.identifiers import GroupId, ObjectId, SessionId, Signature
from master_api.store import schema

_LEAF: Final = struct.Struct(">Q32s")
_ROWS_AT_A_TIME: Final = 1_000


@dataclass(frozen=True, slots=True)
class AnchorRow:
    """An anchor. ``transaction_hash`` and ``block_number`` are None while it is on its way to the chain."""

    from_record: int
    to_record: int
    root: bytes
    created_at_unix_s: float
    transaction_hash: bytes | None
    block_number: int | None


@dataclass(frozen=True, slots=True)
class Leaf:
    """A record's number and the hash of its leaf."""

    number: int
    leaf_hash: bytes


_COLUMNS: Final = (
    schema.anchors.c.from_record,
    schema.anchors.c.to_record,
    schema.anchors.c.root,
    schema.anchors.c.created_at_unix_s,
    schema.anchors.c.transaction_hash,
    schema.anchors.c.block_number,
)


def insert_anchor(connection: Connection, leaves: Sequence[Leaf], root: bytes, now_unix_s: float) -> None:
    """Keep an anchor before it is sent."""
    connection.execute(
        insert(schema.anchors).values(
            from_record=leaves[0].number,
            to_record=leaves[-1].number,
            root=root,
            leaves=b"".join([_LEAF.pack(leaf.number, leaf.leaf_hash) for leaf in leaves]),
            created_at_unix_s=now_unix_s,
        )
    )


def note_anchored(connection: Connection, from_record: int, transaction_hash: bytes, block_number: int) -> None:
    """Its event stands in a block."""
    connection.execute(
        update(schema.anchors)
        .where(schema.anchors.c.from_record == from_record)
        .values(transaction_hash=transaction_hash, block_number=block_number)
    )


def fetch_anchors(connection: Connection) -> list[AnchorRow]:
    """All, in the order of their records."""
    rows = connection.execute(select(*_COLUMNS).order_by(schema.anchors.c.from_record))
    return [AnchorRow(*row) for row in rows]


def fetch_pending_anchors(connection: Connection) -> list[AnchorRow]:
    """Those that are on their way to the chain."""
    pending = select(*_COLUMNS).where(schema.anchors.c.transaction_hash.is_(None))
    return [AnchorRow(*row) for row in connection.execute(pending.order_by(schema.anchors.c.from_record))]


def fetch_anchor_of(connection: Connection, number: int) -> AnchorRow | None:
    """The anchor whose range holds a record number."""
    table = schema.anchors
    row = connection.execute(
        select(*_COLUMNS)
        .where(table.c.from_record <= number, table.c.to_record >= number)
        .order_by(table.c.from_record.desc())
        .limit(1)
    ).one_or_none()
    return AnchorRow(*row) if row is not None else None


def fetch_leaves(connection: Connection, from_record: int) -> list[Leaf]:
    """The leaves of an anchor, as they were when it was made; none if there is no such anchor or they are damaged."""
    table = schema.anchors
    packed = connection.execute(select(table.c.leaves).where(table.c.from_record == from_record)).scalar_one_or_none()
    if packed is None or len(packed) % _LEAF.size:
        return []
    return [Leaf(*fields) for fields in _LEAF.iter_unpack(packed)]


def fetch_anchored_through(connection: Connection) -> int:
    """The highest record number of any anchor; 0 if there is none."""
    return connection.execute(select(func.max(schema.anchors.c.to_record))).scalar_one() or 0


def fetch_newest_number(connection: Connection) -> int:
    """The highest record number; 0 if there is no record."""
    return connection.execute(select(func.max(schema.records.c.number))).scalar_one() or 0


def count_above(connection: Connection, number: int) -> int:
    """How many records have a higher number."""
    table = schema.records
    return connection.execute(select(func.count()).select_from(table).where(table.c.number > number)).scalar_one()


def iterate_leaf_contents(
    connection: Connection, first: int, last: int | None = None, limit: int | None = None
) -> Iterator[AnchoredRecord]:
    """Stored records as their leaves have them, by number, a thousand at a time; without their payloads."""
    table = schema.records
    query = select(
        table.c.number,
        table.c.oid,
        table.c.receiver,
        table.c.seq,
        table.c.epoch,
        table.c.payload_hash,
        table.c.sid,
        table.c.received_at_unix_s,
        table.c.signature,
    ).where(table.c.number >= first)
    if last is not None:
        query = query.where(table.c.number <= last)
    query = query.order_by(table.c.number).limit(limit)
    for row in connection.execution_options(yield_per=_ROWS_AT_A_TIME).execute(query):
        number, oid, receiver, seq, epoch, payload_hash, sid, at_unix_s, signature = row
        yield AnchoredRecord(
            number,
            ObjectId(oid),
            ObjectId(receiver),
            seq,
            epoch,
            payload_hash,
            SessionId(sid),
            max(0, int(at_unix_s * 1_000)),
            None if signature is None else Signature(signature),
        )


def make_leaves(
    connection: Connection, gid: GroupId, first: int, last: int | None = None, limit: int | None = None
) -> list[Leaf]:
    """The leaves of stored records, as they are now."""
    return [Leaf(record.number, record.leaf(gid)) for record in iterate_leaf_contents(connection, first, last, limit)]
