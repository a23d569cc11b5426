"""Where a device's records stand in a master's store, as a fold over what was stored (``docs/protocol.md`` §6)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Self

from group_protocol.identifiers import ObjectId
from group_protocol.records import CheckpointPeriod, Record, payload_hash


class StoredRecord(NamedTuple):
    """What the store knows of a record: enough to recognise a repetition and to link it into a running hash."""

    receiver: ObjectId
    seq: int
    epoch: int
    payload_hash: bytes

    def says_the_same(self, record: Record) -> bool:
        """Whether that record repeats this one; it may have been signed again, so epoch and evidence may differ."""
        return self.receiver == record.receiver and self.payload_hash == payload_hash(record.payload)


@dataclass(frozen=True, slots=True)
class DeviceState:
    """Where a device's records stand in the store.

    Attributes:
        last_seq: Highest stored seq; 0 if none.
        evidence_seq: A committed signature covers every stored record up to here: ``last_seq`` if all are covered, else
            one less than the first that is not.
        period: Stored records that wait for their checkpoint; None if there are none.
    """

    last_seq: int = 0
    evidence_seq: int = 0
    period: CheckpointPeriod | None = None

    @classmethod
    def restore(cls, last_seq: int, uncovered: Iterable[StoredRecord]) -> Self:
        """The state after a restart, from what is stored.

        Args:
            last_seq: Highest stored seq of the device; 0 if none.
            uncovered: Its stored records without a signature of their own and with a seq above the last seq of its
                newest stored checkpoint, in rising order.
        """
        evidence_seq = last_seq
        period: CheckpointPeriod | None = None
        for record in uncovered:
            evidence_seq = min(evidence_seq, record.seq - 1)
            period = _lengthen(period, record)
        return cls(last_seq, evidence_seq, period)


def _lengthen(period: CheckpointPeriod | None, record: StoredRecord) -> CheckpointPeriod:
    if period is None or period.epoch != record.epoch:
        return CheckpointPeriod.begin(record.receiver, record.seq, record.epoch, record.payload_hash)
    return period.extend(record.receiver, record.seq, record.payload_hash)
