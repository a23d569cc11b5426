"""A time of day that cannot be set: for lifetimes, which must not change because somebody moved the wall clock."""

from group_protocol.ports import Clock


class SteadyClock:
    """Unix seconds as the wall clock said them when this was made, and the time that has run since.

    Args:
        clock: Where both come from.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_unix_s = clock.now_unix_s()
        self._began_s = clock.monotonic_s()

    def now_unix_s(self) -> float:
        """Seconds since 1970, as right as the wall clock was at the beginning; it never jumps."""
        return self._began_unix_s + self._clock.monotonic_s() - self._began_s
