"""Deadlines for what is signed for the contract, in the chain's time rather than anybody's clock."""

import asyncio
from collections.abc import Callable

from group_protocol.errors import RegistryUnavailable
from group_protocol.ports import Clock, GroupRegistry

BLOCK_TIME_AGE_MAX_S = 10.0
"""The newest block's time is asked for at most this often."""
BLOCK_TIME_WAIT_S = 1.0
"""A chain that stalls holds up a device that joins no longer than this."""


AWAY_AHEAD_S = 86_400
"""Where the chain cannot be asked: what is signed now may have to wait for it."""


class Deadlines:
    """Suggests deadlines: so far after the newest block, or after now where no block is that young.

    A chain at rest makes no blocks, so its newest may be old; a master's clock may be wrong. The later of the two is
    safe: the contract only asks that the deadline has not passed.
    """

    def __init__(
        self, registry: GroupRegistry, clock: Clock, ahead_s: int, is_chain_away: Callable[[], bool] = lambda: False
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._ahead_s = ahead_s
        self._block_time_unix_s = 0
        self._asked_at_s = -BLOCK_TIME_AGE_MAX_S
        self._is_chain_away = is_chain_away

    async def suggest_unix_s(self) -> int:
        """The deadline; does without the chain's time when the chain cannot be asked, and then lies a day ahead."""
        now_s = self._clock.monotonic_s()
        if now_s - self._asked_at_s >= BLOCK_TIME_AGE_MAX_S and not self._is_chain_away():
            self._asked_at_s = now_s
            try:
                async with asyncio.timeout(BLOCK_TIME_WAIT_S):
                    self._block_time_unix_s = await self._registry.fetch_block_time()
            except (RegistryUnavailable, TimeoutError):
                self._asked_at_s = now_s - BLOCK_TIME_AGE_MAX_S / 2  # ask again sooner
        ahead_s = max(self._ahead_s, AWAY_AHEAD_S) if self._is_chain_away() else self._ahead_s
        return max(self._block_time_unix_s, int(self._clock.now_unix_s())) + ahead_s
