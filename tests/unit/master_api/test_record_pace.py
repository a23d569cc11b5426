"""How fast one member's records are taken in."""

import pytest

from group_protocol.identifiers import ObjectId
from master_api.record_pace import BURST_S, CREDIT_MAX_BYTES, RecordPace

FAST, SLOW = ObjectId(b"f" * 16), ObjectId(b"s" * 16)
NOW_S = 1_000.0


def test_device_within_its_rate_never_waits() -> None:
    pace = RecordPace(10)
    for second in range(100):
        assert pace.wait_s(FAST, NOW_S + second) == 0
        pace.note(FAST, 10, NOW_S + second)


def test_burst_after_a_rest_is_taken_at_once_and_then_the_rate_holds() -> None:
    pace = RecordPace(10)
    pace.note(FAST, round(10 * BURST_S), NOW_S)
    assert pace.wait_s(FAST, NOW_S) == 0
    pace.note(FAST, 50, NOW_S)
    assert pace.wait_s(FAST, NOW_S) == pytest.approx(5)
    assert pace.wait_s(FAST, NOW_S + 4) == pytest.approx(1)
    assert pace.wait_s(FAST, NOW_S + 6) == 0


def test_rate_holds_in_the_long_run_whatever_comes() -> None:
    pace, now_s, taken = RecordPace(10), NOW_S, 0
    while taken < 100_000:
        now_s += pace.wait_s(FAST, now_s)
        pace.note(FAST, 256, now_s)
        taken += 256
    assert taken / (now_s - NOW_S) == pytest.approx(10, rel=0.01)


def test_other_device_waits_for_nobody() -> None:
    pace = RecordPace(10)
    pace.note(FAST, 10_000, NOW_S)
    assert (pace.wait_s(FAST, NOW_S) > 900, pace.wait_s(SLOW, NOW_S)) == (True, 0)


def test_without_a_bound_nothing_is_counted() -> None:
    pace = RecordPace(0)
    pace.note(FAST, 10_000_000, NOW_S)
    assert (pace.wait_s(FAST, NOW_S), pace.bound_credit(524_288)) == (0, 524_288)


def test_bounded_device_may_have_less_on_its_way() -> None:
    assert (RecordPace(1).bound_credit(524_288), RecordPace(1).bound_credit(2_000)) == (CREDIT_MAX_BYTES, 2_000)
