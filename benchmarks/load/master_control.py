"""The driver's hand on a master process: starts it, asks it, weighs it, ends it."""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from benchmarks.machine import source_root

_START_S = 60.0
_END_S = 20.0
MIB = 2**20


@dataclass(frozen=True, slots=True)
class RunningMaster:
    """One master process."""

    port: int
    _process: asyncio.subprocess.Process

    @property
    def rss_mib(self) -> float:
        """Resident memory now."""
        return float(psutil.Process(self._process.pid).memory_info().rss / MIB)

    async def make_codes(self, count: int) -> list[bytes]:
        """Pairing codes for so many devices."""
        answer = await _ask(self._process, f"codes {count}")
        return [bytes.fromhex(code) for code in answer["codes"]]

    async def fetch_state(self) -> dict[str, int]:
        """Lengths of its tables."""
        answer = await _ask(self._process, "state")
        return {name: answer[name] for name in ("half_open", "live", "tasks")}


@asynccontextmanager
async def master_process(settings: Mapping[str, int] | None = None) -> AsyncIterator[RunningMaster]:
    """A fresh master with these settings, else the defaults."""
    words = [f"{name}={value}" for name, value in (settings or {}).items()]
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.load.master_process", folder, *words),
            cwd=source_root(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=MIB,
        )
        try:
            async with asyncio.timeout(_START_S):
                port = (await _hear(process))["port"]
            yield RunningMaster(port, process)
        finally:
            await _end(process)


async def _ask(process: asyncio.subprocess.Process, line: str) -> dict[str, Any]:
    if process.stdin is None:
        raise RuntimeError("the master process has no stdin")
    process.stdin.write(line.encode() + b"\n")
    await process.stdin.drain()
    return await _hear(process)


async def _hear(process: asyncio.subprocess.Process) -> dict[str, Any]:
    if process.stdout is None:
        raise RuntimeError("the master process has no stdout")
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("the master process ended")
    answer: dict[str, Any] = json.loads(line)
    return answer


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), _END_S)
    except TimeoutError:
        process.kill()
        await process.wait()
