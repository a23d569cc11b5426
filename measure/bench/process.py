"""Starts the master's side of a run and ends it again."""

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from group_protocol.pairing import PairingString, parse_pairing_string
from measure.bench.master import HOST
from measure.errors import MeasurementError

_READY_TIMEOUT_S: Final = 60.0
_END_TIMEOUT_S: Final = 10.0
_LINE_MAX_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class BenchMaster:
    """Where the two masters listen, and invitations to ours.

    Attributes:
        folder: A temporary folder that goes when the master goes; room for the slaves' states.
    """

    port: int
    paper_port: int
    pairings: tuple[PairingString, ...]
    folder: Path
    host: str = HOST


@asynccontextmanager
async def bench_master(devices: int) -> AsyncIterator[BenchMaster]:
    """Run both masters in a process of their own.

    Raises:
        MeasurementError: They did not start; says what they complained of.
    """
    with tempfile.TemporaryDirectory(prefix="vgroup-measure-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "measure.bench.master", str(folder / "master"), str(devices)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE_MAX_BYTES,
            start_new_session=True,
        )
        try:
            yield await _wait_until_ready(process, folder)
        finally:
            await _end(process)


async def _wait_until_ready(process: asyncio.subprocess.Process, folder: Path) -> BenchMaster:
    if process.stdout is None or process.stderr is None:
        raise MeasurementError("the master has no output")
    line = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_READY_TIMEOUT_S):
            line = await process.stdout.readline()
    if not line:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        complaint = (await process.stderr.read()).decode("utf-8", "replace").strip().splitlines()
        raise MeasurementError(f"the master to measure on did not start: {' / '.join(complaint[-3:])}")
    ready = json.loads(line)
    pairings = tuple(parse_pairing_string(text) for text in ready["pairings"])
    return BenchMaster(ready["port"], ready["paper_port"], pairings, folder)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_END_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
