"""The driver's hand on a master process: starts it, asks it, ends it."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.chain.sites import Site
from benchmarks.child_process import ChildProcess, child_process
from group_protocol.identifiers import Address
from group_protocol.ports import RegistryIdentity

_START_S: Final = 90.0


@dataclass(frozen=True, slots=True)
class ChainMaster:
    """One master process, on a contract of its own."""

    port: int
    identity: RegistryIdentity
    _child: ChildProcess

    async def ask(self, line: str) -> dict[str, Any]:
        """One question, one answer (``benchmarks.chain.master_process``)."""
        return await self._child.ask(line)

    async def make_codes(self, count: int) -> list[bytes]:
        """Pairing codes for so many devices."""
        return [bytes.fromhex(code) for code in (await self.ask(f"codes {count}"))["codes"]]


@asynccontextmanager
async def chain_master(site: Site, log: Path) -> AsyncIterator[ChainMaster]:
    """A fresh master on a chain; what it logs goes to a file."""
    with tempfile.TemporaryDirectory(prefix="vgroup-") as folder, log.open("wb") as errors:
        words = ("benchmarks.chain.master_process", folder, json.dumps(site.master_settings))
        async with child_process(*words, errors=errors) as child:
            async with asyncio.timeout(_START_S):
                ready = await child.hear()
            contract = Address(bytes.fromhex(ready["contract"]))
            yield ChainMaster(ready["port"], RegistryIdentity(ready["chain_id"], contract), child)
