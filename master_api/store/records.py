"""Records and checkpoints as devices sent them, with their evidence (``docs/protocol.md`` §6)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from group_protocol.device_state import DeviceState, StoredRecord
from group_protocol.identifiers import ObjectId, SessionId, Signature
from group_protocol.intake import AcceptedRecord
from group_protocol.records import Checkpoint, SignedRecord
from master_api.store import schema

_LOOKED_UP_AT_A_TIME = 500
_ROWS_AT_A_TIME = 1_000
_RECORD_COLUMNS = (
    "oid",
    "seq",
    "receiver",
    "epoch",
    "payload",
    "payload_hash",
    "signature",
    "sid",
    "received_at_unix_s",
)
_CHECKPOINT_COLUMNS = ("oid", "first_seq", "last_seq", "epoch", "running_hash", "signature", "received_at_unix_s")
_ROWS_PER_STATEMENT = (128, 64, 32, 16, 8, 4, 2, 1)
"""A few lengths, so that the database has each statement prepared; any number up to 128 is at most seven of them."""


@dataclass(frozen=True, slots=True)
class RecordRow:
    """A stored record; ``signature`` is None where a checkpoint is its evidence."""

    number: int
    oid: ObjectId
    seq: int
    receiver: ObjectId
    epoch: int
    payload: bytes
    payload_hash: bytes
    signature: Signature | None
    sid: SessionId
    received_at_unix_s: float


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A stored checkpoint."""

    oid: ObjectId
    first_seq: int
    last_seq: int
    epoch: int
    running_hash: bytes
    signature: Signature
    received_at_unix_s: float

    def to_item(self) -> Checkpoint:
        """As the device sent it."""
        return Checkpoint(self.first_seq, self.last_seq, self.epoch, self.running_hash, self.signature)


class StoredFrom(NamedTuple):
    """Where records came from, and when."""

    oid: ObjectId
    sid: SessionId
    received_at_unix_s: float


def insert_records(connection: Connection, arrivals: Iterable[tuple[StoredFrom, Sequence[AcceptedRecord]]]) -> None:
    """Keep records that the intake accepted, of one device or of many.

    Many rows are one statement: the database's driver gives up Python's lock once for all of them. Row by row, each
    would wait for the lock again beside a busy event loop, up to 5 ms.
    """
    values: list[object] = []
    for source, records in arrivals:
        oid, sid, at_s = source.oid, source.sid, source.received_at_unix_s
        for record, digest, _ in records:
            signature = record.signature if type(record) is SignedRecord else None
            values += (
                oid,
                record.seq,
                record.receiver,
                record.epoch,
                record.payload,
                digest,
                signature,
                sid,
                at_s,
            )
    _insert_rows(connection, "records", _RECORD_COLUMNS, values)


def insert_checkpoints(connection: Connection, arrivals: Iterable[tuple[StoredFrom, Sequence[Checkpoint]]]) -> None:
    """Keep checkpoints that the intake accepted, of one device or of many."""
    values: list[object] = []
    for source, checkpoints in arrivals:
        for first_seq, last_seq, epoch, running_hash, signature in checkpoints:
            values += (source.oid, first_seq, last_seq, epoch, running_hash, signature, source.received_at_unix_s)
    _insert_rows(connection, "checkpoints", _CHECKPOINT_COLUMNS, values)


def _insert_rows(connection: Connection, table: str, columns: tuple[str, ...], values: Sequence[object]) -> None:
    start, left_rows = 0, len(values) // len(columns)
    for rows in _ROWS_PER_STATEMENT:
        while left_rows >= rows:
            end = start + rows * len(columns)
            statement = _insert_statement(table, columns, rows, connection.dialect.paramstyle)
            connection.exec_driver_sql(statement, tuple(values[start:end]))
            start, left_rows = end, left_rows - rows


@cache
def _insert_statement(table: str, columns: tuple[str, ...], rows: int, paramstyle: str) -> str:
    mark = "?" if paramstyle == "qmark" else "%s"
    row = f"({', '.join([mark] * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)}"  # noqa: S608 - no value in it


def fetch_device_state(connection: Connection, oid: ObjectId) -> DeviceState:
    """Where the device's records stand."""
    records, checkpoints = schema.records, schema.checkpoints
    last_seq = connection.execute(select(func.max(records.c.seq)).where(records.c.oid == oid)).scalar_one() or 0
    covered = connection.execute(select(func.max(checkpoints.c.last_seq)).where(checkpoints.c.oid == oid)).scalar_one()
    uncovered = connection.execute(
        select(records.c.receiver, records.c.seq, records.c.epoch, records.c.payload_hash)
        .where(records.c.oid == oid, records.c.seq > (covered or 0), records.c.signature.is_(None))
        .order_by(records.c.seq)
    )
    return DeviceState.restore(last_seq, (StoredRecord(*row) for row in uncovered))


def fetch_stored(connection: Connection, oid: ObjectId, seqs: Sequence[int]) -> dict[int, StoredRecord]:
    """What is stored under these seqs of a device; seqs that are not there are left out."""
    records = schema.records
    found: dict[int, StoredRecord] = {}
    for start in range(0, len(seqs), _LOOKED_UP_AT_A_TIME):
        part = seqs[start : start + _LOOKED_UP_AT_A_TIME]
        rows = connection.execute(
            select(records.c.receiver, records.c.seq, records.c.epoch, records.c.payload_hash).where(
                records.c.oid == oid, records.c.seq.in_(part)
            )
        )
        found |= {row.seq: StoredRecord(*row) for row in rows}
    return found


def count_records(connection: Connection) -> dict[ObjectId, int]:
    """How many records each device has."""
    table = schema.records
    return {
        ObjectId(oid): count
        for oid, count in connection.execute(select(table.c.oid, func.count()).group_by(table.c.oid))
    }


def iterate_records(connection: Connection, oid: ObjectId | None = None) -> Iterator[RecordRow]:
    """Stored records by device and seq, a thousand at a time."""
    table = schema.records
    query = select(table).order_by(table.c.oid, table.c.seq)
    if oid is not None:
        query = query.where(table.c.oid == oid)
    for row in connection.execution_options(yield_per=_ROWS_AT_A_TIME).execute(query):
        yield RecordRow(*row)


def iterate_checkpoints(connection: Connection, oid: ObjectId | None = None) -> Iterator[CheckpointRow]:
    """Stored checkpoints by device and seq."""
    table = schema.checkpoints
    query = select(table).order_by(table.c.oid, table.c.first_seq)
    if oid is not None:
        query = query.where(table.c.oid == oid)
    for row in connection.execution_options(yield_per=_ROWS_AT_A_TIME).execute(query):
        yield CheckpointRow(*row)
