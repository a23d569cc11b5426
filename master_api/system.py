"""The one place where the master asks the operating system for time and randomness."""

import os
import time


class SystemClock:
    """:class:`group_protocol.ports.Clock` over the machine's clocks."""

    def now_unix_s(self) -> float:
        """Wall-clock seconds since 1970."""
        return time.time()

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


class SystemRandom:
    """:class:`group_protocol.ports.Random` over the kernel's generator."""

    def token_bytes(self, length_bytes: int) -> bytes:
        """Random bytes fit for keys."""
        return os.urandom(length_bytes)
