"""Python's cyclic garbage collector, as a process that serves for weeks wants it."""

import gc
from typing import Final

_YOUNG_MAX: Final = 20_000
"""New containers before the collector looks at them. Python's own 700 come about with every dozen records: looking
took a tenth of the time of a master with a thousand streams, and nothing of a record's way is cyclic."""
_OLDER_TURNS: Final = 20
"""Collections of one age before the next older one is looked at."""


def calm_collector() -> None:
    """Call it before most is loaded: what modules make stays, and looking at it over and over is a tenth of a start."""
    gc.set_threshold(_YOUNG_MAX, _OLDER_TURNS, _OLDER_TURNS)


def settle_collector() -> None:
    """Call it once everything is loaded: what is there stays, and is not looked at again."""
    gc.collect()
    gc.freeze()
    calm_collector()
