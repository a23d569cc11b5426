"""A random share of something: what keeps many devices from acting at the same instant."""

from group_protocol.ports import Random

_SHARE_BYTES = 8


def random_share(random: Random) -> float:
    """Uniform in 0 … 1."""
    return int.from_bytes(random.token_bytes(_SHARE_BYTES), "big") / 2.0 ** (8 * _SHARE_BYTES)
