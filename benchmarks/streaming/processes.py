"""The driver's hands on its processes: the master as it ships, and generators of load."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.child_process import ChildProcess, child_process
from benchmarks.machine import source_root
from benchmarks.streaming.generator import Plan
from group_protocol.pairing import parse_pairing_string
from master_api.admin_socket import ask_master

_START_S: Final = 90.0
MIB: Final = 2**20


def cpu_of(processes: list[psutil.Process]) -> float:
    """CPU seconds so far of these processes together."""
    return float(sum(times.user + times.system for times in (process.cpu_times() for process in processes)))


@dataclass(frozen=True, slots=True)
class ShippedMaster:
    """A running ``vgroup master run`` with a group."""

    port: int
    address: str
    admin_socket: Path
    process: psutil.Process

    @property
    def processes(self) -> list[psutil.Process]:
        """Itself and the processes that it started."""
        return [self.process, *self.process.children(recursive=True)]

    def rss_mib(self) -> float:
        """Resident memory of all its processes now."""
        return float(sum(process.memory_info().rss for process in self.processes) / MIB)

    async def ask(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        """Do what the operator's commands do, over the admin socket."""
        answer = await ask_master(self.admin_socket, operation, arguments)
        if answer is None:
            raise RuntimeError("the master does not serve its admin socket")
        return answer

    async def make_codes(self, count: int) -> list[str]:
        """Pairing codes for so many devices, in hex."""
        codes = []
        for at in range(count):
            answer = await self.ask("device.invite", name=f"bed {at}")
            codes.append(parse_pairing_string(answer["pairing_string"]).code.hex())
        return codes


@asynccontextmanager
async def shipped_master(folder: Path, settings: Mapping[str, object]) -> AsyncIterator[ShippedMaster]:
    """``vgroup master init`` and ``run`` in an empty folder: embedded chain, store on the disk, these settings."""
    making = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vgroup", "master", "init", "--plain-key", "--data-dir", str(folder)),
        cwd=source_root(),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    if await making.wait():
        raise RuntimeError("vgroup master init failed")
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    (folder / "master.toml").write_text("\n".join(lines) + "\n", "utf-8")
    running = ("vgroup", "master", "run", "--port", "0", "--data-dir", str(folder), "--log-level", "ERROR")
    async with child_process(*running, stdin=False) as child:
        async with asyncio.timeout(_START_S):
            ready = await child.hear()
        socket = Path(ready["admin_socket"])
        master = ShippedMaster(ready["port"], ready["master"].removeprefix("0x"), socket, psutil.Process(child.pid))
        await master.ask("group.create", name="ward 3")
        yield master


class LoadProcess:
    """A generator of load; see :mod:`benchmarks.streaming.generator`."""

    def __init__(self, child: ChildProcess) -> None:
        self._child = child

    async def wait_for_joins(self) -> int:
        """How many devices have joined."""
        return int((await self._child.hear())["joined"])

    async def go(self) -> None:
        """Begin to stream."""
        await self._child.say("go")

    async def next_sample(self) -> dict[str, Any]:
        """The next of one a second."""
        return await self._child.hear()

    async def stop(self) -> dict[str, Any]:
        """Everything in flight is acknowledged, then the last sample."""
        await self._child.say("stop")
        while "final" not in (line := await self._child.hear()):
            pass
        final: dict[str, Any] = line["final"]
        return final


@asynccontextmanager
async def load_process(plan: Plan) -> AsyncIterator[LoadProcess]:
    """Start one; it joins its devices at once."""
    async with child_process("benchmarks.streaming.generator") as child:
        await child.say(json.dumps(asdict(plan)))
        yield LoadProcess(child)
