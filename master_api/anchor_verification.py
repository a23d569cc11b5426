"""Holding the store to its anchors: which record was altered, removed, moved or slipped in (``docs/protocol.md`` §10).

The chain's root is the authority. The leaves that the store kept when it made the anchor say *which* record differs,
and the root says whether they themselves can be believed.

What cannot be seen: records that were taken away before they were anchored, the newest of all. (A device that still
has them sends them again, since the master's last seq is lower than it should be; in the middle, their numbers are
missing.) And an anchor that the chain's node keeps back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from group_protocol.anchored_records import AnchoredRecord
from group_protocol.identifiers import GroupId
from group_protocol.membership import Anchored
from group_protocol.merkle import compute_root
from master_api.store.anchors import AnchorRow, Leaf, fetch_anchors, fetch_leaves, iterate_leaf_contents

NAMED_MAX = 1_000
"""Findings listed by name; all are counted."""
_MOVES_SOUGHT_MAX = 256
"""Among more differing records than this nobody looks which one stands in the place of which."""


@dataclass(frozen=True, slots=True)
class AnchorFinding:
    """Records ``first`` to ``last``, by the store's numbers, that are not what was anchored."""

    first: int
    last: int
    problem: str


@dataclass(slots=True)
class AnchorReport:
    """What the verification found.

    Attributes:
        anchors: Anchors on the chain.
        anchored: Stored records that an anchor proves unaltered.
        unanchored: Stored records that no anchor covers yet.
    """

    anchors: int = 0
    anchored: int = 0
    unanchored: int = 0
    wrong: int = 0
    findings: list[AnchorFinding] = field(default_factory=list)

    def add(self, first: int, last: int, problem: str) -> None:
        """One finding more."""
        self.wrong += 1
        if len(self.findings) < NAMED_MAX:
            self.findings.append(AnchorFinding(first, last, problem))

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "anchors": self.anchors,
            "anchored": self.anchored,
            "unanchored": self.unanchored,
            "is_good": not self.wrong,
            "findings": [
                {"first_record": item.first, "last_record": item.last, "problem": item.problem}
                for item in self.findings
            ],
        }


def verify_anchors(
    connection: Connection, gid: GroupId, on_chain: Sequence[Anchored], *, has_gapless_numbers: bool
) -> AnchorReport:
    """Verify every stored record against the anchors. About 10 µs a record.

    Args:
        connection: A reading one, whose snapshot does not move meanwhile.
        gid: The group.
        on_chain: Its anchors, as the registry has them.
        has_gapless_numbers: Whether the store never leaves a record number out (SQLite does not).
    """
    report = AnchorReport(anchors=len(on_chain))
    rows = {(row.root, row.from_record, row.to_record): row for row in fetch_anchors(connection)}
    for anchor in sorted(on_chain, key=lambda event: event.from_record):
        row = rows.pop((anchor.root, anchor.from_record, anchor.to_record), None)
        _verify_range(connection, gid, anchor, row, report)
    for row in rows.values():
        if row.transaction_hash is not None:
            report.add(row.from_record, row.to_record, "the store names an anchor that is not on the chain")
    through = max((anchor.to_record for anchor in on_chain), default=0)
    previous = through
    for record in iterate_leaf_contents(connection, through + 1):
        if has_gapless_numbers and record.number > previous + 1:
            report.add(previous + 1, record.number - 1, "removed before it was anchored: its number is missing")
        previous = record.number
        report.unanchored += 1
    return report


def _verify_range(
    connection: Connection, gid: GroupId, anchor: Anchored, row: AnchorRow | None, report: AnchorReport
) -> None:
    records = list(iterate_leaf_contents(connection, anchor.from_record, anchor.to_record))
    now = [Leaf(record.number, record.leaf(gid)) for record in records]
    if now and compute_root([leaf.leaf_hash for leaf in now]) == anchor.root:
        report.anchored += len(now)
        return
    kept = fetch_leaves(connection, anchor.from_record) if row is not None else []
    if not kept or compute_root([leaf.leaf_hash for leaf in kept]) != anchor.root:
        problem = (
            "the records are not those that were anchored, and the store's list of their leaves is gone or altered"
        )
        report.add(anchor.from_record, anchor.to_record, problem)
        return
    _name_differences(gid, records, kept, report)


def _name_differences(gid: GroupId, records: list[AnchoredRecord], kept: list[Leaf], report: AnchorReport) -> None:
    was = {leaf.number: leaf.leaf_hash for leaf in kept}
    found = {record.number: record for record in records}
    differing = [record for record in records if was.get(record.number, b"") != record.leaf(gid)]
    report.anchored += len(records) - len(differing)
    places = {was[number]: number for number in was if number not in found or found[number] in differing}
    for record in differing:
        came_from = None
        if len(differing) <= _MOVES_SOUGHT_MAX:
            came_from = _find_place(gid, record, places)
        report.add(record.number, record.number, _describe(record, came_from, is_anchored=record.number in was))
    for number in sorted(was.keys() - found.keys()):
        report.add(number, number, "removed: it was anchored, and is not in the store")


def _find_place(gid: GroupId, record: AnchoredRecord, places: dict[bytes, int]) -> int | None:
    """The number under which this very record was anchored, if it was."""
    for leaf_hash, number in places.items():
        moved = AnchoredRecord(
            number,
            record.sender,
            record.receiver,
            record.seq,
            record.epoch,
            record.payload_hash,
            record.sid,
            record.received_at_unix_ms,
            record.signature,
        )
        if moved.leaf(gid) == leaf_hash:
            return number
    return None


def _describe(record: AnchoredRecord, came_from: int | None, *, is_anchored: bool) -> str:
    who = f"device {record.sender.hex()}, its record {record.seq}"
    if came_from is not None:
        return f"moved: {who}, was anchored as record {came_from}"
    if not is_anchored:
        return f"slipped in after the anchor was made: {who}"
    return f"altered: now {who}"
