"""Publishers and one subscriber against the broker, by the clients of this folder."""

import asyncio
import json
import tempfile
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

from benchmarks.machine import source_root
from benchmarks.mqtt.broker import PeerMissingError, broker, find_program
from contracts.build import node_directory

_GRACE_S = 60.0


class Client(Enum):
    """What drives the broker. The value is its name in the results."""

    NODE = "Node, npm mqtt"
    C = "C, libmosquitto"


@dataclass(frozen=True, slots=True)
class PeerRun:
    """What one run showed; rates are per second of wall clock, CPU in µs for each delivered message."""

    client: str
    is_persistent: bool
    publishers: int
    window: int
    payload_bytes: int
    seconds: float
    delivered_per_s: float
    acknowledged_per_s: float
    broker_cpu_us: float
    client_cpu_us: float

    def as_json(self) -> dict[str, object]:
        """For the results file."""
        return asdict(self)


async def measure_peer(
    *,
    client: Client,
    is_persistent: bool,
    publishers: int,
    window: int,
    payload_bytes: int,
    warm_s: float,
    for_s: float,
    parent: Path | None,
) -> PeerRun:
    """One run on a fresh broker. Raises PeerMissingError."""
    names = ["subscriber", *(f"publisher-{at}" for at in range(publishers))]
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        async with broker(Path(folder), names, window * publishers, is_persistent=is_persistent) as running:
            words = [running.port, folder, publishers, window, payload_bytes, warm_s, for_s]
            process = await asyncio.create_subprocess_exec(
                *await _program(client, Path(folder)), *map(str, words), stdout=asyncio.subprocess.PIPE
            )
            try:
                await asyncio.sleep(warm_s)
                cpu_began_s = running.cpu_s()
                began_s = asyncio.get_running_loop().time()
                async with asyncio.timeout(for_s + _GRACE_S):
                    output, _ = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            elapsed_s = asyncio.get_running_loop().time() - began_s
            broker_cpu_s = (running.cpu_s() - cpu_began_s) * for_s / elapsed_s
    if process.returncode:
        raise RuntimeError(f"the peer's client failed: {client.value}")
    answer = json.loads(output)
    delivered = max(1, answer["delivered"])
    return PeerRun(
        client=client.value,
        is_persistent=is_persistent,
        publishers=publishers,
        window=window,
        payload_bytes=payload_bytes,
        seconds=answer["seconds"],
        delivered_per_s=answer["delivered"] / answer["seconds"],
        acknowledged_per_s=answer["acknowledged"] / answer["seconds"],
        broker_cpu_us=broker_cpu_s / delivered * 1e6,
        client_cpu_us=answer["client_cpu_s"] / delivered * 1e6,
    )


async def _program(client: Client, folder: Path) -> tuple[str, ...]:
    """The command line before its words. Raises PeerMissingError."""
    sources = source_root() / "benchmarks" / "mqtt"
    if client is Client.NODE:
        return str(Path(node_directory()) / "node"), str(sources / "load.mjs")
    program = folder / "load"
    compiling = await asyncio.create_subprocess_exec(
        *(find_program("cc"), "-O2", "-o", str(program), str(sources / "load.c"), "-l:libmosquitto.so.1"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await compiling.communicate()
    if compiling.returncode:
        raise PeerMissingError(
            f"the peer's client in C cannot be built; apt-get install gcc libmosquitto1\n{said.decode()}"
        )
    return (str(program),)
