"""Stored readings as CSV."""

import csv
from datetime import UTC, datetime
from typing import TextIO

from sqlalchemy import Connection

from group_protocol.identifiers import ObjectId
from group_protocol.senml import Reading, decode_readings
from master_api.store.records import iterate_records

COLUMNS = ("time", "time_unix_s", "sensor", "value", "unit", "sum", "oid", "seq")
"""``time`` is ISO 8601 in UTC with microseconds; ``time_unix_s`` and ``value`` give every bit of the numbers back."""


def export_csv(connection: Connection, file: TextIO, oid: ObjectId | None = None) -> int:
    """Write every reading of one device or of all, by device and record number; answers how many there were."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for record in iterate_records(connection, oid):
        for reading in decode_readings(record.payload):
            writer.writerow(_row(reading, record.oid, record.seq))
            count += 1
    return count


def _row(reading: Reading, oid: ObjectId, seq: int) -> tuple[object, ...]:
    time = datetime.fromtimestamp(reading.time_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    value = reading.value
    shown = value.hex() if isinstance(value, bytes) else "" if value is None else value
    unit, total = reading.unit or "", "" if reading.sum_value is None else repr(reading.sum_value)
    return time, repr(reading.time_s), reading.name, shown, unit, total, oid.hex(), seq
