"""The real clock and the real source of randomness, for the composition root to hand in."""

import secrets
import time


class SystemClock:
    """Time from the operating system (``group_protocol.ports.Clock``)."""

    def now_unix_s(self) -> float:
        """Wall-clock seconds since 1970; may jump."""
        return time.time()

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


class SystemRandom:
    """Randomness from the operating system (``group_protocol.ports.Random``)."""

    def token_bytes(self, length_bytes: int) -> bytes:
        """Uniform random bytes fit for keys."""
        return secrets.token_bytes(length_bytes)
