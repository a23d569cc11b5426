"""How long to wait before the next attempt.

Exponential, with full jitter, so that a ward's devices do not come back together.
"""

from group_protocol.ports import Random
from slave_client.random_share import random_share


class Backoff:
    """Waiting times for one kind of attempt.

    The bound doubles with every failure from ``first_s`` to ``longest_s``; the wait is uniform between a quarter of
    the bound and the bound: never a storm, and never a wait of nothing against a master that fails at once.
    """

    def __init__(self, random: Random, *, first_s: float = 0.5, longest_s: float = 60.0) -> None:
        self._random = random
        self._first_s = first_s
        self._longest_s = longest_s
        self._failures = 0

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._failures

    def succeeded(self) -> None:
        """Begin again with the shortest wait."""
        self._failures = 0

    def next_wait_s(self, *, at_least_s: float = 0.0) -> float:
        """Count a failure and say how long to wait, in seconds; ``at_least_s`` is what a busy master asked for."""
        bound_s = min(self._longest_s, self._first_s * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return max(at_least_s, bound_s * (0.25 + 0.75 * random_share(self._random)))
