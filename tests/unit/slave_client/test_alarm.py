"""The one timer of a delivery: it rings in time for the earliest thing that was asked for."""

import asyncio

from slave_client.delivery import Alarm
from system_ports.clock import SystemClock

LONG_S = 3_600.0
CLOCK = SystemClock()


async def test_alarm_rings_for_the_earliest_of_what_it_was_asked() -> None:
    more = asyncio.Event()
    with Alarm(more, CLOCK) as alarm:
        for wait_s in (LONG_S, 0.01, LONG_S):
            alarm.ring_at(CLOCK.monotonic_s() + wait_s)
        async with asyncio.timeout(5):
            await more.wait()


async def test_alarm_that_rang_rings_again_when_it_is_asked_again() -> None:
    more = asyncio.Event()
    with Alarm(more, CLOCK) as alarm:
        for _ in range(3):
            more.clear()
            alarm.ring_at(CLOCK.monotonic_s())
            async with asyncio.timeout(5):
                await more.wait()


async def test_same_deadline_asked_again_and_again_keeps_its_timer() -> None:
    with Alarm(asyncio.Event(), CLOCK) as alarm:
        due_s = CLOCK.monotonic_s() + LONG_S
        alarm.ring_at(due_s)
        timer = alarm._timer
        for _ in range(10):
            alarm.ring_at(due_s)
        assert alarm._timer is timer


async def test_alarm_is_silent_after_its_delivery() -> None:
    more = asyncio.Event()
    with Alarm(more, CLOCK) as alarm:
        alarm.ring_at(CLOCK.monotonic_s() + 0.01)
    await asyncio.sleep(0.05)
    assert not more.is_set()
