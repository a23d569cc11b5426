"""Verifying again what is stored: every record's evidence, against the addresses that were valid when it was signed.

Nothing that the store says of itself is believed. A device's first address must give its oid and its last must be the
one that the registry has; a record's payload must give its hash; its signature, or that of the checkpoint over it,
must be the device's.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from sqlalchemy import Connection

from group_protocol.crypto.kdf import sha256
from group_protocol.errors import VerificationError
from group_protocol.identifiers import Address, ObjectId, Signature, derive_object_id
from group_protocol.membership import Membership
from group_protocol.records import CheckpointPeriod, SignedRecord, verify_checkpoint, verify_record
from master_api.current_group import FormedGroup
from master_api.rotation_proofs import is_change_proven
from master_api.store.devices import DeviceKeyRow, address_in_epoch, fetch_device_keys
from master_api.store.records import CheckpointRow, RecordRow, iterate_checkpoints, iterate_records
from master_api.store.rotations import RotationRow, fetch_rotations

NAMED_MAX = 1_000
"""Findings listed by name; all are counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold: records ``first_seq`` to ``last_seq`` of a device (0 to 0: the device itself)."""

    oid: ObjectId
    first_seq: int
    last_seq: int
    problem: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers of a device, from ``first_seq`` to ``last_seq``, under which nothing is stored, though later ones are.

    The device may have lost those records itself (a full buffer, a broken file: its status says so), or the store has:
    it was put back from a backup, or somebody deleted them.
    """

    oid: ObjectId
    first_seq: int
    last_seq: int


@dataclass(slots=True)
class Report:
    """What the verification found.

    Attributes:
        good: Records whose evidence holds.
        waiting: Newest records of a device that no checkpoint covers yet. They are neither good nor bad.
        bad: Records whose evidence is wrong or missing.
        missing: Numbers under which nothing is stored. They alone make nothing bad, see :class:`Gap`.
    """

    good: int = 0
    waiting: int = 0
    bad: int = 0
    missing: int = 0
    findings: list[Finding] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def add(self, records: int, finding: Finding) -> None:
        """Count bad records under one finding."""
        self.bad += records
        if len(self.findings) < NAMED_MAX:
            self.findings.append(finding)

    def add_gap(self, gap: Gap) -> None:
        """Count numbers that are missing."""
        self.missing += gap.last_seq - gap.first_seq + 1
        if len(self.gaps) < NAMED_MAX:
            self.gaps.append(gap)

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "good": self.good,
            "waiting": self.waiting,
            "bad": self.bad,
            "is_good": not self.bad and not self.findings,
            "findings": [
                {"oid": item.oid.hex(), "first_seq": item.first_seq, "last_seq": item.last_seq, "problem": item.problem}
                for item in self.findings
            ],
            "missing": self.missing,
            "gaps": [{"oid": gap.oid.hex(), "first_seq": gap.first_seq, "last_seq": gap.last_seq} for gap in self.gaps],
        }


def verify_records(connection: Connection, group: FormedGroup, membership: Membership) -> Report:
    """Verify everything stored, device by device. About 60 µs a signed record."""
    report = Report()
    for oid, keys in fetch_device_keys(connection).items():
        is_member = _check_keys(oid, keys, group, membership, report)
        _check_changes(keys, fetch_rotations(connection, oid), group, report)
        device = _DeviceVerification(oid, keys, group, report, iterate_checkpoints(connection, oid))
        for record in iterate_records(connection, oid):
            if is_member:
                device.take(record)
            else:
                report.add(1, Finding(oid, record.seq, record.seq, "the registry does not know the device"))
        device.end()
    return report


def _check_keys(
    oid: ObjectId, keys: list[DeviceKeyRow], group: FormedGroup, membership: Membership, report: Report
) -> bool:
    """Hold the store's addresses of a device to the registry; answers whether it ever was a member."""
    view = membership.objects.get(oid)
    if view is None or view.gid != group.gid:
        return False
    if view.account != keys[-1].address:
        report.add(0, Finding(oid, 0, 0, "the store's newest address of the device is not the registry's"))
    if len(keys) > 1 and derive_object_id(keys[0].address) != oid:
        report.add(0, Finding(oid, 0, 0, "the store's first address of the device does not give its oid"))
    return True


def _check_changes(
    keys: list[DeviceKeyRow], rotations: dict[Address, RotationRow], group: FormedGroup, report: Report
) -> None:
    """Each change of key has to be signed by the key before it and by its own."""
    for older, newer in pairwise(keys):
        if not is_change_proven(rotations, group, newer.oid, older.address, newer.address):
            problem = f"the change of key in epoch {newer.from_epoch} is not signed by both keys"
            report.add(0, Finding(newer.oid, 0, 0, problem))


class _DeviceVerification:
    """Goes through one device's records in order, with its checkpoints beside them."""

    def __init__(
        self,
        oid: ObjectId,
        keys: list[DeviceKeyRow],
        group: FormedGroup,
        report: Report,
        checkpoints: Iterator[CheckpointRow],
    ) -> None:
        self._oid = oid
        self._keys = keys
        self._group = group
        self._report = report
        self._checkpoints = checkpoints
        self._checkpoint = next(checkpoints, None)
        self._period: CheckpointPeriod | None = None
        self._last_seq = 0

    def take(self, record: RecordRow) -> None:
        """The next record."""
        if record.seq > self._last_seq + 1:
            self._report.add_gap(Gap(self._oid, self._last_seq + 1, record.seq - 1))
        self._last_seq = record.seq
        if sha256(record.payload) != record.payload_hash:
            self._report.add(
                1, Finding(self._oid, record.seq, record.seq, "the payload is not the one that was stored")
            )
        elif record.signature is not None:
            self._take_signed(record, record.signature)
        else:
            self._take_checkpointed(record)

    def end(self) -> None:
        """After the last record."""
        while self._checkpoint is not None:
            self._close_checkpoint(self._checkpoint)

    def _take_signed(self, record: RecordRow, signature: Signature) -> None:
        item = SignedRecord(record.receiver, record.seq, record.epoch, record.payload, signature)
        signer = address_in_epoch(self._keys, record.epoch)

        def verify() -> None:
            verify_record(item, self._group.domain, self._group.gid, self._oid, signer)

        if _holds(verify):
            self._report.good += 1
        else:
            self._report.add(1, Finding(self._oid, record.seq, record.seq, "the signature is not the device's"))

    def _take_checkpointed(self, record: RecordRow) -> None:
        while self._checkpoint is not None and self._checkpoint.last_seq < record.seq:
            self._close_checkpoint(self._checkpoint)
        if self._checkpoint is None:
            self._report.waiting += 1
        elif record.seq < self._checkpoint.first_seq:
            self._report.add(1, Finding(self._oid, record.seq, record.seq, "no checkpoint covers the record"))
        elif self._period is None:
            self._period = CheckpointPeriod.begin(record.receiver, record.seq, record.epoch, record.payload_hash)
        elif record.epoch != self._period.epoch:
            self._report.add(1, Finding(self._oid, record.seq, record.seq, "its epoch is not its checkpoint's"))
        else:
            self._period = self._period.extend(record.receiver, record.seq, record.payload_hash)

    def _close_checkpoint(self, row: CheckpointRow) -> None:
        period, item = self._period, row.to_item()
        records = period.records if period is not None else 0
        self._period, self._checkpoint = None, next(self._checkpoints, None)
        signer = address_in_epoch(self._keys, row.epoch)

        def verify() -> None:
            verify_checkpoint(item, self._group.domain, self._group.gid, self._oid, signer)

        if period is None or not period.spans(item) or period.running_hash != item.running_hash:
            problem = "the records are not those that the checkpoint signs"
        elif not _holds(verify):
            problem = "the checkpoint's signature is not the device's"
        else:
            self._report.good += records
            return
        self._report.add(records, Finding(self._oid, row.first_seq, row.last_seq, problem))


def _holds(verify: Callable[[], None]) -> bool:
    try:
        verify()
    except VerificationError:
        return False
    return True
