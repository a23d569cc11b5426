"""Key-exchange suites: what each side sends as its share and the secret that both get (``docs/protocol.md`` §3.1)."""

from enum import StrEnum
from typing import Final


class Suite(StrEnum):
    """Names on the wire."""

    H1 = "H1"
    """X25519 and ML-KEM-768 (FIPS 203): secret even from a quantum computer that recorded it. The default."""
    E1 = "E1"
    """X25519 alone, for the smallest devices."""
    R1 = "R1"
    """RSA-OAEP of a fresh secret: the paper's step, for comparison. Off unless configured."""


ALLOWED_OFFERS: Final = ((Suite.H1, Suite.E1), (Suite.H1,), (Suite.E1,), (Suite.R1,))
"""The lists of suites that M1 may carry: an H1 share begins with an E1 share; R1 stands alone."""
DEFAULT_SUITES: Final = (Suite.H1, Suite.E1)
"""What a slave offers and a master takes unless configured otherwise."""
