"""Names of devices that are invited together."""

from typing import Final

INVITATIONS_MAX: Final = 1_000
"""Most pairing codes that one command makes."""


def numbered_names(name: str, count: int) -> list[str]:
    """``NAME-01``, ``NAME-02``, …: of one width, so that they sort as they count."""
    width = max(2, len(str(count)))
    return [f"{name}-{number:0{width}}" for number in range(1, count + 1)]
