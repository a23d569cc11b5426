"""When a checkpoint period is closed: the first at a share of what the terms allow, later ones at the full length."""

from collections import Counter
from functools import partial

import pytest

from group_protocol.identifiers import ObjectId
from group_protocol.tickets import EvidencePolicy, SessionTerms
from slave_client.open_period import OpenPeriod
from slave_client.random_share import random_share
from tests.support.seeded import ManualClock, SeededRandom

MASTER = ObjectId(b"m" * 16)
TERMS = SessionTerms(EvidencePolicy.CHECKPOINTS, 100, 10, 65_536, 86_400)


def add(period: OpenPeriod, *seqs: int) -> None:
    for seq in seqs:
        period.add(MASTER, seq, 1, bytes(32))


def records_until_full(period: OpenPeriod, seq: int) -> int:
    """Add records from this seq on; answers how many the period then holds."""
    while not period.is_full:
        add(period, seq)
        seq += 1
    return period.records


def test_period_that_is_not_spread_is_closed_at_the_terms() -> None:
    clock = ManualClock()
    period = OpenPeriod(TERMS, clock, lambda: 0.25)
    add(period, 1)
    assert period.due_s == clock.monotonic_s() + 10.0
    assert records_until_full(period, 2) == 100


def test_spread_period_is_closed_at_its_share_of_the_age_and_later_ones_at_all_of_it() -> None:
    clock = ManualClock()
    period = OpenPeriod(TERMS, clock, lambda: 0.25)
    period.spread()
    add(period, 1)
    assert period.due_s == clock.monotonic_s() + 2.5
    clock.advance(2.5)
    assert period.is_overdue
    assert period.close() is not None
    for seq in (2, 3):
        add(period, seq)
        assert period.due_s == clock.monotonic_s() + 10.0
        period.close()


def test_spread_period_is_closed_at_its_share_of_the_records_and_later_ones_at_all_of_them() -> None:
    period = OpenPeriod(TERMS, ManualClock(), lambda: 0.25)
    period.spread()
    assert records_until_full(period, 1) == 25
    period.close()
    assert records_until_full(period, 26) == 100


def test_period_that_a_session_takes_over_is_spread_over_the_room_that_is_left() -> None:
    period = OpenPeriod(TERMS, ManualClock(), lambda: 0.25)
    add(period, *range(1, 61))
    period.spread()
    assert records_until_full(period, 61) == 70


def test_period_made_anew_after_a_refusal_keeps_its_share() -> None:
    clock = ManualClock()
    period = OpenPeriod(TERMS, clock, lambda: 0.25)
    period.spread()
    add(period, 1, 2)
    period.begin_anew()
    assert (period.due_s, period.close()) == (None, None)
    add(period, 1)
    assert period.due_s == clock.monotonic_s() + 2.5


@pytest.mark.parametrize("share", [0.0, 1e-9, 0.5, 1.0])
def test_no_share_lets_a_period_be_longer_than_the_terms_or_shorter_than_one_record(share: float) -> None:
    clock = ManualClock()
    period = OpenPeriod(TERMS, clock, lambda: share)
    period.spread()
    add(period, 1)
    assert period.due_s is not None
    assert 0.0 <= period.due_s - clock.monotonic_s() <= 10.0
    assert 1 <= records_until_full(period, 2) <= 100


def test_a_thousand_slaves_that_set_out_together_do_not_sign_together() -> None:
    clock = ManualClock()
    periods = [OpenPeriod(TERMS, clock, partial(random_share, SeededRandom(number))) for number in range(1_000)]
    for period in periods:
        period.spread()
        add(period, 1)
    signed_in: Counter[int] = Counter()
    for step in range(480):
        clock.advance(0.125)
        for period in periods:
            if period.is_overdue:
                period.close()
                signed_in[step] += 1
                add(period, 2 + step)
    last_round = [signed_in[step] for step in range(400, 480)]
    assert sum(last_round) == 1_000
    assert min(last_round) > 0
    assert max(last_round) < 35  # 12.5 on average; without the shares it would be all thousand
