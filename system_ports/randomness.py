"""The machine's randomness."""

import secrets


class SystemRandom:
    """:class:`group_protocol.ports.Random` over the kernel's generator."""

    def token_bytes(self, length_bytes: int) -> bytes:
        """Uniform random bytes fit for keys."""
        return secrets.token_bytes(length_bytes)
