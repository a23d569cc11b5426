"""Messages that wait for their receivers, and what became of the others (``docs/protocol.md`` §6.1).

The queue holds names alone: what was said stands among the records. A row is made in the transaction that stores the
record, and goes when the receiver has it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from group_protocol.identifiers import ObjectId, Signature
from group_protocol.records import SignedRecord
from group_protocol.tickets import MembershipState
from master_api.store import schema


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message that waits. ``number`` is the one that a DELIVERY bears."""

    number: int
    sender: ObjectId
    record: SignedRecord


@dataclass(frozen=True, slots=True)
class PeerCounts:
    """What became of one sender's messages to one receiver.

    Attributes:
        waiting: In the queue now.
        delivered: The receiver has them.
        refused: The receiver did not believe them.
        dropped: Pushed out of a full queue, or left over when one of the two was revoked.
    """

    receiver: ObjectId
    sender: ObjectId
    waiting: int = 0
    delivered: int = 0
    refused: int = 0
    dropped: int = 0


def enqueue(
    connection: Connection, sender: ObjectId, messages: Sequence[tuple[ObjectId, int]], now_unix_s: float
) -> None:
    """Queue messages, each as receiver and seq, in their order; not those from or to a device that was revoked."""
    devices = schema.devices
    named = {sender, *(receiver for receiver, _ in messages)}
    revoked = set(
        connection.scalars(
            select(devices.c.oid).where(devices.c.oid.in_(named), devices.c.state == int(MembershipState.REVOKED))
        )
    )
    rows = [
        {"receiver": receiver, "sender": sender, "seq": seq, "queued_at_unix_s": now_unix_s}
        for receiver, seq in messages
        if not {sender, receiver} & revoked
    ]
    if rows:
        connection.execute(insert(schema.peer_queue), rows)


def drop_oldest(connection: Connection, receiver: ObjectId, sender: ObjectId, most: int) -> int:
    """Push the oldest messages of one sender to one receiver out of the queue until ``most`` are left; how many."""
    table = schema.peer_queue
    pair = and_(table.c.receiver == receiver, table.c.sender == sender)
    waiting = connection.execute(select(func.count()).where(pair)).scalar_one()
    if waiting <= most:
        return 0
    oldest = select(table.c.number).where(pair).order_by(table.c.number).limit(waiting - most)
    numbers = list(connection.scalars(oldest))
    connection.execute(delete(table).where(table.c.number.in_(numbers)))
    _count(connection, receiver, sender, "dropped", len(numbers))
    return len(numbers)


def drop_messages_of(connection: Connection, oid: ObjectId) -> int:
    """Drop what waits for a device and what waits from it; how many messages that were."""
    table = schema.peer_queue
    of_device = or_(table.c.receiver == oid, table.c.sender == oid)
    pairs = select(table.c.receiver, table.c.sender, func.count()).where(of_device)
    dropped = connection.execute(pairs.group_by(table.c.receiver, table.c.sender)).all()
    connection.execute(delete(table).where(of_device))
    for receiver, sender, count in dropped:
        _count(connection, ObjectId(receiver), ObjectId(sender), "dropped", count)
    return sum(count for _, _, count in dropped)


def fetch_queued(connection: Connection, receiver: ObjectId, after: int, limit: int) -> list[QueuedMessage]:
    """The oldest messages to a device above a number, with what they say."""
    queue, records = schema.peer_queue, schema.records
    rows = connection.execute(
        select(
            queue.c.number,
            queue.c.sender,
            records.c.receiver,
            records.c.seq,
            records.c.epoch,
            records.c.payload,
            records.c.signature,
        )
        .join(records, and_(records.c.oid == queue.c.sender, records.c.seq == queue.c.seq))
        .where(queue.c.receiver == receiver, queue.c.number > after)
        .order_by(queue.c.number)
        .limit(limit)
    )
    return [
        QueuedMessage(
            row.number,
            ObjectId(row.sender),
            SignedRecord(ObjectId(row.receiver), row.seq, row.epoch, row.payload, Signature(row.signature)),
        )
        for row in rows
    ]


def requeue(connection: Connection, sender: ObjectId) -> set[ObjectId]:
    """Number what waits from a sender anew, behind all others: some of it was passed over when its turn came.

    Answers the receivers.
    """
    table = schema.peer_queue
    rows = connection.execute(select(table).where(table.c.sender == sender).order_by(table.c.number)).mappings().all()
    if rows:
        connection.execute(delete(table).where(table.c.sender == sender))
        again = [{name: value for name, value in row.items() if name != "number"} for row in rows]
        connection.execute(insert(table), again)
    return {ObjectId(row["receiver"]) for row in rows}


def take_off(connection: Connection, receiver: ObjectId, numbers: Collection[int], refused: int) -> list[ObjectId]:
    """The receiver has the messages of these numbers, but for the one that it refused (0: none).

    Answers the sender of each message that left the queue by this.
    """
    table = schema.peer_queue
    done = and_(table.c.receiver == receiver, table.c.number.in_(numbers))
    rows = connection.execute(select(table.c.number, table.c.sender).where(done)).all()
    for number, sender in rows:
        _count(connection, receiver, ObjectId(sender), "refused" if number == refused else "delivered", 1)
    connection.execute(delete(table).where(done))
    return [ObjectId(sender) for _, sender in rows]


def count_waiting(connection: Connection) -> dict[tuple[ObjectId, ObjectId], int]:
    """How many messages wait, by receiver and sender."""
    table = schema.peer_queue
    rows = connection.execute(
        select(table.c.receiver, table.c.sender, func.count()).group_by(table.c.receiver, table.c.sender)
    )
    return {(ObjectId(receiver), ObjectId(sender)): count for receiver, sender, count in rows}


def fetch_counts(connection: Connection) -> list[PeerCounts]:
    """What became of every pair's messages, by receiver and sender."""
    waiting = count_waiting(connection)
    counts = {
        (ObjectId(row.receiver), ObjectId(row.sender)): (row.delivered, row.refused, row.dropped)
        for row in connection.execute(select(schema.peer_counts))
    }
    return [
        PeerCounts(receiver, sender, waiting.get((receiver, sender), 0), *counts.get((receiver, sender), (0, 0, 0)))
        for receiver, sender in sorted({*waiting, *counts})
    ]


def _count(connection: Connection, receiver: ObjectId, sender: ObjectId, what: str, number: int) -> None:
    table = schema.peer_counts
    pair = and_(table.c.receiver == receiver, table.c.sender == sender)
    raised = connection.execute(update(table).where(pair).values({what: table.c[what] + number}))
    if not raised.rowcount:
        zeros = {"delivered": 0, "refused": 0, "dropped": 0}
        connection.execute(insert(table).values(receiver=receiver, sender=sender, **(zeros | {what: number})))
