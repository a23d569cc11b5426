"""Processes of a benchmark: started, talked to a line at a time, ended. JSON comes back, one document a line."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import IO, Any, Final

from benchmarks.machine import source_root

_END_S: Final = 60.0
_LINE_MAX_BYTES: Final = 2**24


class ChildProcess:
    """The driver's end of a child's stdin and stdout."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def say(self, line: str) -> None:
        """One line to its stdin."""
        if self._process.stdin is None:
            raise RuntimeError("this child was started without a stdin")
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()

    async def hear(self) -> dict[str, Any]:
        """The next line of its stdout.

        Raises:
            RuntimeError: It has ended, or closed its stdout.
        """
        if self._process.stdout is None:
            raise RuntimeError("this child was started without a stdout")
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the child process ended; its stderr says why")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def ask(self, line: str) -> dict[str, Any]:
        """One line there, one back."""
        await self.say(line)
        return await self.hear()

    async def end(self) -> None:
        """Close its stdin, or send SIGTERM where it has none; kill it if it is still there a minute later."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        elif self._process.returncode is None:
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _END_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def child_process(
    *words: str, stdin: bool = True, errors: int | IO[bytes] | None = None
) -> AsyncIterator[ChildProcess]:
    """``python -m words…`` for as long as the block lasts.

    Args:
        words: The module and its arguments.
        stdin: Whether it is told things, and ends when its stdin does; else it ends by SIGTERM.
        errors: Where its stderr goes; ``None`` is where ours goes.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *words),
        cwd=source_root(),
        stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=errors,
        limit=_LINE_MAX_BYTES,
    )
    child = ChildProcess(process)
    try:
        yield child
    finally:
        await child.end()


def tell_driver(answer: Mapping[str, object]) -> None:
    """In the child: one line to the driver."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
