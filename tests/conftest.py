"""What every test stands on."""

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
