"""Waiting for something that another task does, without saying how long."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; pytest's timeout ends a test in which it never does."""
    while not condition():  # noqa: ASYNC110 - what is waited for is foreign state, with no event to wait on
        await asyncio.sleep(0.001)
