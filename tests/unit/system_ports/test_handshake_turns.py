"""Whose handshake is served next: the rarest caller's, and each fourth time the one that has waited longest."""

import asyncio

import pytest

from group_protocol.errors import BusyError
from system_ports.handshake_turns import HandshakeTurns
from system_ports.rate_limits import LOUD_CALLS, TRACKED_ADDRESSES_MAX, HandshakeLimiter, Rate, RecentCalls

LOUD, QUIET = "10.0.0.1", "10.0.0.2"


class Ward:
    """Turns under a hand-driven clock, and the order in which callers had theirs."""

    def __init__(self, *, at_once: int = 1, waiting_max: int = 100) -> None:
        self.now_s = 0.0
        self.calls = RecentCalls()
        self.served: list[str] = []
        self.turns = HandshakeTurns(
            self.calls, at_once=at_once, monotonic_s=lambda: self.now_s, waiting_max=waiting_max
        )

    def call(self, peer: str, *, until: asyncio.Event | None = None) -> asyncio.Task[None]:
        async def served() -> None:
            async with self.turns.turn(peer):
                self.served.append(peer)
                if until is not None:
                    await until.wait()

        return asyncio.create_task(served())


async def rounds(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_lone_caller_is_served_at_once() -> None:
    ward = Ward()
    async with ward.turns.turn(QUIET):
        assert len(ward.turns) == 0


async def test_rare_caller_is_served_before_those_who_called_often_and_came_first() -> None:
    ward = Ward()
    flood = [ward.call(LOUD) for _ in range(40)]
    await rounds(12)
    before = len(ward.served)
    assert 0 < before < 20
    late = ward.call(QUIET)
    await late
    assert len(ward.served) - before <= 3  # who was being served, one for the fourth turn, and the rare one
    await asyncio.gather(*flood)
    assert ward.served.count(LOUD) == 40


async def test_one_handshake_is_served_for_each_round_of_the_loop() -> None:
    ward = Ward()
    tasks = [ward.call(f"10.0.0.{at}") for at in range(30)]
    await rounds(10)
    assert 0 < len(ward.served) <= 10
    await asyncio.gather(*tasks)


async def test_loud_caller_has_each_fourth_turn_however_many_rare_ones_come() -> None:
    ward = Ward()
    for _ in range(50):
        ward.calls.note(LOUD, 0.0)
    waiting = ward.call("10.0.1.0"), ward.call(LOUD)
    rare = [ward.call(f"10.0.2.{at}") for at in range(60)]
    await asyncio.gather(*waiting, *rare)
    assert ward.served.index(LOUD) <= 4


async def test_no_more_turns_last_at_once_than_allowed() -> None:
    ward, end = Ward(at_once=3), asyncio.Event()
    tasks = [ward.call(f"10.0.0.{at}", until=end) for at in range(10)]
    await rounds(40)
    assert (len(ward.served), len(ward.turns)) == (3, 7)
    end.set()
    await asyncio.gather(*tasks)
    assert len(ward.served) == 10


async def test_of_too_many_who_wait_the_loudest_is_told_to_come_again() -> None:
    ward, end = Ward(waiting_max=3), asyncio.Event()
    for _ in range(25):
        ward.calls.note(LOUD, 0.0)
    running = ward.call("10.0.3.1", until=end)
    await rounds(3)
    tasks = [ward.call(peer) for peer in ("10.0.3.2", LOUD, "10.0.3.3", "10.0.3.4")]
    with pytest.raises(BusyError) as refused:
        await tasks[1]
    assert refused.value.retry_after_s == 25 - LOUD_CALLS
    end.set()
    await asyncio.gather(running, tasks[0], tasks[2], tasks[3])
    assert LOUD not in ward.served


@pytest.mark.parametrize("rounds_before", range(8))
async def test_caller_who_hangs_up_at_any_moment_takes_no_turn_with_him(rounds_before: int) -> None:
    ward, end = Ward(), asyncio.Event()
    running = ward.call("10.0.3.1", until=end)
    await rounds(2)
    gone, other = ward.call("10.0.3.2"), ward.call("10.0.3.3")
    await rounds(1)
    end.set()
    await rounds(rounds_before)
    gone.cancel()
    await asyncio.wait_for(asyncio.gather(running, gone, other, return_exceptions=True), 5)
    assert "10.0.3.3" in ward.served
    await asyncio.wait_for(ward.call("10.0.3.4"), 5)
    assert len(ward.turns) == 0


async def test_turn_that_ends_in_an_error_is_given_on() -> None:
    ward = Ward()
    with pytest.raises(ValueError, match="of the handler"):
        async with ward.turns.turn(LOUD):
            raise ValueError("of the handler")
    await asyncio.wait_for(ward.call(QUIET), 5)


def test_calls_fade_one_a_second() -> None:
    calls = RecentCalls()
    for _ in range(int(LOUD_CALLS)):
        calls.note(LOUD, 100.0)
    assert calls.is_loud(LOUD, 100.0)
    assert not calls.is_loud(LOUD, 100.5)
    assert calls.of(LOUD, 104.0) == LOUD_CALLS - 4
    assert calls.of(LOUD, 1_000.0) == 0.0
    assert calls.of(LOUD, 50.0) == LOUD_CALLS  # a clock that goes back forgives nothing
    assert not calls.is_loud(QUIET, 100.0)


def test_callers_remembered_are_bounded() -> None:
    calls = RecentCalls()
    for number in range(TRACKED_ADDRESSES_MAX + 10):
        calls.note(str(number), 0.0)
    assert len(calls._calls) == TRACKED_ADDRESSES_MAX
    assert calls.of("0", 0.0) == 0.0


def test_half_of_the_rate_is_kept_for_rare_callers() -> None:
    calls = RecentCalls()
    limiter = HandshakeLimiter(Rate(1e6, 10**6), Rate(4.0, 20), 0.0, calls)
    for _ in range(100):
        calls.note(LOUD, 0.0)
    for _ in range(10):
        limiter.admit(LOUD, 0.0)
    with pytest.raises(BusyError):
        limiter.admit(LOUD, 0.0)
    for at in range(10):
        limiter.admit(f"10.0.1.{at}", 0.0)
    with pytest.raises(BusyError):
        limiter.admit(QUIET, 0.0)


def test_rate_of_one_at_a_time_is_not_divided() -> None:
    limiter = HandshakeLimiter(Rate(1e6, 10**6), Rate(1.0, 1), 0.0)
    limiter.admit(QUIET, 0.0)
    with pytest.raises(BusyError):
        limiter.admit(LOUD, 0.0)
    limiter.admit(LOUD, 1.0)


def test_rare_callers_have_the_whole_rate_where_nobody_is_loud() -> None:
    limiter = HandshakeLimiter(Rate(1e6, 10**6), Rate(4.0, 21), 0.0)
    for at in range(21):
        limiter.admit(f"10.0.1.{at}", 0.0)
    with pytest.raises(BusyError):
        limiter.admit(QUIET, 0.0)
