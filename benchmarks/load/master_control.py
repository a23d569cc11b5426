"""The driver's hand on a master process: starts it, asks it, weighs it, ends it."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil

from benchmarks.child_process import ChildProcess, child_process

_START_S = 60.0
MIB = 2**20


@dataclass(frozen=True, slots=True)
class RunningMaster:
    """One master process."""

    port: int
    _child: ChildProcess

    @property
    def rss_mib(self) -> float:
        """Resident memory now."""
        return float(psutil.Process(self._child.pid).memory_info().rss / MIB)

    async def make_codes(self, count: int) -> list[bytes]:
        """Pairing codes for so many devices."""
        answer = await self._child.ask(f"codes {count}")
        return [bytes.fromhex(code) for code in answer["codes"]]

    async def fetch_state(self) -> dict[str, int]:
        """Lengths of its tables."""
        answer = await self._child.ask("state")
        return {name: answer[name] for name in ("half_open", "live", "tasks")}


@asynccontextmanager
async def master_process(settings: Mapping[str, int] | None = None) -> AsyncIterator[RunningMaster]:
    """A fresh master with these settings, else the defaults."""
    words = [f"{name}={value}" for name, value in (settings or {}).items()]
    with tempfile.TemporaryDirectory() as folder:
        silent = asyncio.subprocess.DEVNULL
        async with child_process("benchmarks.load.master_process", folder, *words, errors=silent) as child:
            async with asyncio.timeout(_START_S):
                port = (await child.hear())["port"]
            yield RunningMaster(port, child)
