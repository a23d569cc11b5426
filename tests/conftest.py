"""What every test stands on."""

import os
import signal
from pathlib import Path

import pytest

# A shell without job control starts its background commands with SIGINT ignored, and everything below inherits that:
# the programs that tests start and stop with Ctrl-C would not hear it. A handler is not inherited; the default is.
signal.signal(signal.SIGINT, signal.default_int_handler)

NETWORK_TESTS = Path(__file__).parent / "network"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What needs geth runs only where it is asked for by its folder: ``make test-network``."""
    if collection_path != NETWORK_TESTS:
        return None
    named = [Path(argument.partition("::")[0]).absolute() for argument in config.args]
    return None if any(path.is_relative_to(NETWORK_TESTS) for path in named) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each of xdist's workers its share of the slow tests, and those first.

    ``--dist worksteal`` begins with a contiguous part for each. A slow test that is found last keeps one worker long
    after the others have ended; the slow ones wait more than they work, so they are also the ones to run side by side.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers == 1:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    quick = [item for item in items if not item.get_closest_marker("slow")]
    count = -(-len(items) // workers)
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        ordered += slow[worker::workers]
        room = max(0, count * (worker + 1) - len(ordered))
        ordered += quick[:room]
        del quick[:room]
    items[:] = ordered + quick
