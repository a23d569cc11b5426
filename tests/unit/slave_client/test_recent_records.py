"""The newest committed records in memory: above the floor nothing of the file is missing."""

from group_protocol.identifiers import ObjectId
from slave_client.buffered_record import BufferedRecord
from slave_client.recent_records import RecentRecords


def record(seq: int, size_bytes: int = 10) -> BufferedRecord:
    return BufferedRecord(seq, ObjectId(bytes(16)), b"x" * size_bytes, 1, 0.0)


def filled(*seqs: int) -> RecentRecords:
    recent = RecentRecords()
    for seq in seqs:
        recent.add(record(seq))
    return recent


def seqs(recent: RecentRecords, after: int) -> list[int]:
    return [each.seq for each in recent.read_after(after, 1_000, 1_000_000)]


def test_floor_rises_with_what_gives_way_to_newer_records() -> None:
    recent = RecentRecords()
    for seq in range(1, 11):
        recent.add(record(seq, size_bytes=50_000))
    assert 0 < recent.floor < 10
    assert seqs(recent, recent.floor) == list(range(recent.floor + 1, 11))


def test_record_that_is_not_in_the_file_raises_the_floor_for_good() -> None:
    recent = filled(1, 2)
    recent.leave_out(3)
    recent.forget_through(1)
    assert recent.floor == 3
    recent.add(record(4))
    assert seqs(recent, 3) == [4]


def test_record_that_was_removed_is_not_read_and_makes_room() -> None:
    recent = filled(1, 2, 3)
    recent.remove(2)
    assert seqs(recent, 0) == [1, 3]
    assert recent.floor == 0


def test_reading_keeps_to_both_bounds_but_gives_at_least_one() -> None:
    recent = filled(1, 2, 3)
    assert [each.seq for each in recent.read_after(0, 2, 1_000)] == [1, 2]
    assert [each.seq for each in recent.read_after(0, 1_000, 1)] == [1]


def test_beginning_anew_forgets_all() -> None:
    recent = filled(1, 2)
    recent.begin_at(7)
    assert seqs(recent, 7) == []
    recent.add(record(8))
    assert seqs(recent, 7) == [8]
