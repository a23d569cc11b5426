"""Deterministic ``Random`` and ``Clock`` ports for tests."""

import random


class SeededRandom:
    """A ``Random`` port: the same seed gives the same bytes. Never for anything but tests."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def token_bytes(self, length_bytes: int) -> bytes:
        """The next bytes of the sequence."""
        return self._random.randbytes(length_bytes)


class ManualClock:
    """A ``Clock`` port that moves only when it is told to."""

    def __init__(self, *, unix_s: float = 1_700_000_000.0, monotonic_s: float = 1_000.0) -> None:
        self._unix_s = unix_s
        self._monotonic_s = monotonic_s

    def now_unix_s(self) -> float:
        """Wall-clock seconds, as set."""
        return self._unix_s

    def monotonic_s(self) -> float:
        """Steady seconds, as set."""
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self._unix_s += seconds
        self._monotonic_s += seconds

    def jump_wall_clock(self, unix_s: float) -> None:
        """Set the wall clock alone, as NTP or a flat battery does."""
        self._unix_s = unix_s
