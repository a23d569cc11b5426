"""The event loop of the daemons: uvloop where it is installed (``pip install vgroup[fast]``), else asyncio's own."""

import asyncio
import importlib
import sys
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

SWITCH_INTERVAL_S: Final = 0.001
"""How long a thread waits for Python's lock while the loop holds it. By default 5 ms, and a join's forty-five SQL
statements each ask for it again: beside a flood that keeps the loop busy they would wait longer than they work."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` on the fastest loop there is, which gives way to threads within a millisecond."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        new_event_loop = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        new_event_loop = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)
