"""The machine's clocks."""

import time


class SystemClock:
    """:class:`group_protocol.ports.Clock` over the operating system."""

    def now_unix_s(self) -> float:
        """Wall-clock seconds since 1970; may jump."""
        return time.time()

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
