"""The lifetime of a pairing code against wall clocks that are moved."""

import pytest

from group_protocol.identifiers import ObjectId
from master_api.store.invitations import InvitationRow, InvitationState
from system_ports.steady_clock import SteadyClock
from tests.support.seeded import ManualClock

LIFETIME_S = 900.0


def invitation(clock: SteadyClock) -> InvitationRow:
    now_unix_s = clock.now_unix_s()
    return InvitationRow(b"c" * 8, b"", "bed 1", now_unix_s, now_unix_s + LIFETIME_S)


@pytest.mark.parametrize("unix_s", [3_600.0, 2_100_000_000.0], ids=["1970", "years ahead"])
def test_code_lives_as_long_as_it_was_given_wherever_the_wall_clock_jumps(unix_s: float) -> None:
    clock = ManualClock()
    steady = SteadyClock(clock)
    made = invitation(steady)
    clock.jump_wall_clock(unix_s)
    assert made.state(steady.now_unix_s()) is InvitationState.OPEN
    clock.advance(LIFETIME_S - 1)
    assert made.state(steady.now_unix_s()) is InvitationState.OPEN
    clock.advance(1)
    assert made.state(steady.now_unix_s()) is InvitationState.EXPIRED


def test_code_of_a_run_whose_clock_was_ahead_is_over_in_the_next_one() -> None:
    ahead = ManualClock(unix_s=2_100_000_000.0)
    made = invitation(SteadyClock(ahead))
    assert made.state(SteadyClock(ManualClock()).now_unix_s()) is InvitationState.EXPIRED


def test_used_code_is_used_by_any_clock() -> None:
    made = InvitationRow(b"c" * 8, b"", "bed 1", 10.0, 20.0, 0, ObjectId(b"o" * 16))
    assert {made.state(now_unix_s) for now_unix_s in (0.0, 15.0, 30.0)} == {InvitationState.USED}
