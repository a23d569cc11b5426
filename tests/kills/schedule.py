"""Who is killed when: drawn from a seed, so that a run can be had again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

_SHARE_UNDER_LOAD: Final = 0.7
_SHARE_TOGETHER: Final = 0.15
_LONGEST_WAIT_S: Final = 0.7


@dataclass(frozen=True)
class Kill:
    """One blow.

    Attributes:
        victims: Indexes of those that are hit at the same instant.
        is_under_load: Whether to wait until every device streams before; else it may hit somebody who is starting.
        wait_s: Then so long.
    """

    victims: tuple[int, ...]
    is_under_load: bool
    wait_s: float


def draw_kills(seed: int, weights: Sequence[float]) -> Iterator[Kill]:
    """Kills without end.

    Args:
        seed: Decides everything.
        weights: How often each victim is hit.
    """
    random = Random(seed)
    indexes = range(len(weights))
    while True:
        first = random.choices(indexes, weights)[0]
        together = random.random() < _SHARE_TOGETHER
        victims = {first, random.choices(indexes, weights)[0]} if together else {first}
        is_under_load = random.random() < _SHARE_UNDER_LOAD
        yield Kill(tuple(sorted(victims)), is_under_load, random.uniform(0.0, _LONGEST_WAIT_S))
