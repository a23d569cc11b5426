"""Signals as a service understands them: SIGTERM and SIGINT stop it in good order, SIGHUP makes it reload."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Final

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


class ServiceSignals:
    """What came in. Make it inside the running loop.

    A second SIGTERM or SIGINT stops at once, as Python does by itself. SIGHUP is taken only where stdin is no terminal:
    on one it says that the terminal is gone, and ends the program as ever.

    Attributes:
        stopping: Set by SIGTERM and SIGINT.
        caught: Those two, as they came.
    """

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.caught: list[signal.Signals] = []
        self._reload = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        for which in _STOPPING:
            self._loop.add_signal_handler(which, self._note, which)
        if not _has_terminal():
            self._loop.add_signal_handler(signal.SIGHUP, self._reload.set)

    def _note(self, which: signal.Signals) -> None:
        self.caught.append(which)
        self._loop.remove_signal_handler(which)
        self.stopping.set()

    async def wait_for_reload(self) -> None:
        """Return at the next SIGHUP. Several that came together count once."""
        await self._reload.wait()
        self._reload.clear()

    async def reload_at_each(self, reload: Callable[[], Awaitable[None]]) -> None:
        """Reload at every SIGHUP, for ever."""
        while True:
            await self.wait_for_reload()
            await reload()


def _has_terminal() -> bool:
    try:
        return sys.stdin.isatty()
    except (AttributeError, ValueError):
        return False
