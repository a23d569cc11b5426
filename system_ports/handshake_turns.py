"""Strangers' handshakes take turns, the rarest callers first (``docs/adr/0026-handshake-turns.md``).

M1 names nobody, so before M3 a master cannot tell a device from an attacker but by how often an address calls. One
handshake is computed for each round of the event loop; who calls meanwhile waits, and the address that has called least
of late goes first. Each fourth turn is the one that has waited longest, so that nobody waits for ever.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from group_protocol.errors import BusyError
from system_ports.rate_limits import FADING_CALLS_PER_S, LOUD_CALLS, RecentCalls, site_of

OLDEST_EACH = 4
"""Each so many turns are the oldest's."""
WAITING_MAX = 1_024
"""As many as there may be connections by default."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    site: str
    turn: asyncio.Future[None]


class HandshakeTurns:
    """Who is served next.

    Args:
        calls: What is known of the callers; shared by all turns of a master.
        at_once: So many turns may last at the same time.
        monotonic_s: The clock.
        waiting_max: So many may wait; of more, the loudest is told to come again.
    """

    def __init__(
        self, calls: RecentCalls, *, at_once: int, monotonic_s: Callable[[], float], waiting_max: int = WAITING_MAX
    ) -> None:
        self._calls = calls
        self._at_once = at_once
        self._monotonic_s = monotonic_s
        self._waiting_max = waiting_max
        self._waiting: list[_Waiting] = []  # in the order of arrival
        self._running = 0
        self._given = 0
        self._is_round_over = True
        self._is_ending = False

    def __len__(self) -> int:
        return len(self._waiting)

    @asynccontextmanager
    async def turn(self, peer: str) -> AsyncIterator[None]:
        """Wait for one's turn; the block is the turn.

        Raises:
            BusyError: Too many wait, and this address has called most of all.
        """
        site = site_of(peer)
        if self._waiting or self._running >= self._at_once or not self._is_round_over:
            await self._wait(site)
        else:
            self._begin()
        self._calls.note(site, self._monotonic_s())
        try:
            yield
        finally:
            self._running -= 1
            self._end_round_soon()

    def _begin(self) -> None:
        self._running += 1
        self._given += 1
        self._is_round_over = False
        self._end_round_soon()

    def _end_round_soon(self) -> None:
        if not self._is_ending:
            self._is_ending = True
            asyncio.get_running_loop().call_soon(self._end_round)

    def _end_round(self) -> None:
        """In the next round of the loop, when it has heard who else calls."""
        self._is_ending = False
        self._is_round_over = True
        while self._waiting and self._running < self._at_once:
            chosen = self._waiting.pop(self._next())
            if not chosen.turn.done():  # else it hung up, and has not yet been told so
                self._begin()
                chosen.turn.set_result(None)
                return

    def _next(self) -> int:
        if self._given % OLDEST_EACH == OLDEST_EACH - 1:
            return 0
        now_s = self._monotonic_s()
        return min(range(len(self._waiting)), key=lambda at: self._calls.of(self._waiting[at].site, now_s))

    async def _wait(self, site: str) -> None:
        mine = _Waiting(site, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        if len(self._waiting) > self._waiting_max:
            self._send_away_the_loudest()
        try:
            await mine.turn
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
            elif not mine.turn.cancelled() and mine.turn.exception() is None:
                self._running -= 1  # the turn had just been given
                self._end_round_soon()
            raise

    def _send_away_the_loudest(self) -> None:
        now_s = self._monotonic_s()
        last = len(self._waiting) - 1
        loudest = max(range(last + 1), key=lambda at: (self._calls.of(self._waiting[at].site, now_s), at))
        gone = self._waiting.pop(loudest)
        calls = self._calls.of(gone.site, now_s)
        wait_s = math.ceil(min(30.0, max(1.0, (calls - LOUD_CALLS) / FADING_CALLS_PER_S)))
        gone.turn.set_exception(BusyError("too many handshakes wait", retry_after_s=wait_s))
