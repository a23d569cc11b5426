"""The driver's hand on a master process: starts it, asks it, ends it."""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.chain.sites import Site
from benchmarks.machine import source_root
from group_protocol.identifiers import Address
from group_protocol.ports import RegistryIdentity

_START_S: Final = 90.0
_END_S: Final = 20.0
_LINE_MAX_BYTES: Final = 2**24


@dataclass(frozen=True, slots=True)
class ChainMaster:
    """One master process, on a contract of its own."""

    port: int
    identity: RegistryIdentity
    _process: asyncio.subprocess.Process

    async def ask(self, line: str) -> dict[str, Any]:
        """One question, one answer (``benchmarks.chain.master_process``)."""
        if self._process.stdin is None:
            raise RuntimeError("the master process has no stdin")
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()
        return await _hear(self._process)

    async def make_codes(self, count: int) -> list[bytes]:
        """Pairing codes for so many devices."""
        return [bytes.fromhex(code) for code in (await self.ask(f"codes {count}"))["codes"]]


@asynccontextmanager
async def chain_master(site: Site, log: Path) -> AsyncIterator[ChainMaster]:
    """A fresh master on a chain; what it logs goes to a file."""
    with tempfile.TemporaryDirectory(prefix="vgroup-") as folder, log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.chain.master_process", folder, json.dumps(site.master_settings)),
            cwd=source_root(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=_LINE_MAX_BYTES,
        )
        try:
            async with asyncio.timeout(_START_S):
                ready = await _hear(process)
            contract = Address(bytes.fromhex(ready["contract"]))
            yield ChainMaster(ready["port"], RegistryIdentity(ready["chain_id"], contract), process)
        finally:
            await _end(process)


async def _hear(process: asyncio.subprocess.Process) -> dict[str, Any]:
    if process.stdout is None:
        raise RuntimeError("the master process has no stdout")
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("the master process ended; its log says why")
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
