"""The demo's processes: the product's own commands, each a process of its own, none of which outlives the demo."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Self

from group_protocol.exit_codes import ExitCode
from vgroup.demo.errors import DemoFailed

_COMMAND_TIMEOUT_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 12.0
"""A slave that is told to stop goes on delivering for 5 s at most, a master finishes its requests in 5 s."""
_LOG_LINES_SHOWN: Final = 12


@dataclass(slots=True)
class Member:
    """A process that runs until it is stopped.

    Attributes:
        log: Where its standard output and error go.
    """

    name: str
    process: asyncio.subprocess.Process
    log: Path

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.returncode is None

    def log_end(self) -> str:
        """Its last lines, for a message that says why it failed."""
        try:
            lines = self.log.read_text("utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-_LOG_LINES_SHOWN:])

    async def stop(self) -> int:
        """Ask it to end (SIGTERM), insist after a while (SIGKILL), and answer its exit status."""
        if self.is_running:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
            try:
                async with asyncio.timeout(_STOP_TIMEOUT_S):
                    await self.process.wait()
            except TimeoutError:
                self.kill()
        return await self.process.wait()

    def kill(self) -> None:
        """End it now, with all that it may have started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


@dataclass(slots=True)
class Crew:
    """Starts processes and gets rid of them. Use as an async context manager.

    Attributes:
        folder: Where their logs go.
        environment: What they see, in place of the demo's own environment.
    """

    folder: Path
    environment: Mapping[str, str]
    _members: list[Member] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.folder.mkdir, parents=True, exist_ok=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End whatever still runs: at once, since whoever wanted a clean end has stopped it before."""
        for member in self._members:
            if member.is_running:
                member.kill()
        for member in self._members:
            await member.process.wait()

    async def start(self, name: str, *words: str) -> Member:
        """Start ``vgroup WORDS`` and leave it running."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            process = await self._spawn(words, stdout=output, stderr=output)
        member = Member(name, process, log)
        self._members.append(member)
        return member

    async def run(self, name: str, *words: str, may_find: bool = False) -> str:
        """Run ``vgroup WORDS`` to its end and answer what it printed.

        Args:
            name: What the process is called.
            words: The command line.
            may_find: Whether the command is one that looks for something wrong, and may have found it.

        Raises:
            DemoFailed: It did not end as it should.
        """
        status, printed, complaint = await self.attempt(name, *words)
        if status != ExitCode.OK and not (may_find and status == ExitCode.CHECK_FAILED):
            raise DemoFailed(f"`vgroup {' '.join(words[:2])}` ended with status {status}:\n{complaint or printed}")
        return printed

    async def run_json(self, name: str, *words: str, may_find: bool = False) -> Any:  # noqa: ANN401 - foreign JSON
        """Run ``vgroup WORDS --json`` and answer what it printed, parsed. Raises DemoFailed as :meth:`run` does."""
        printed = await self.run(name, *words, "--json", may_find=may_find)
        try:
            return json.loads(printed)
        except ValueError as exc:
            raise DemoFailed(f"`vgroup {' '.join(words[:2])} --json` printed no JSON: {printed[:200]!r}") from exc

    async def attempt(self, name: str, *words: str) -> tuple[int, str, str]:
        """Run ``vgroup WORDS`` to its end; answers its exit status, standard output and standard error."""
        process = await self._spawn(words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        member = Member(name, process, self.folder / f"{name}.log")
        self._members.append(member)
        try:
            async with asyncio.timeout(_COMMAND_TIMEOUT_S):
                printed, complaint = await process.communicate()
        except TimeoutError as exc:
            raise DemoFailed(f"`vgroup {' '.join(words[:2])}` did not end in {_COMMAND_TIMEOUT_S:g} s") from exc
        self._members.remove(member)
        status = process.returncode if process.returncode is not None else -1
        return status, printed.decode("utf-8", "replace").strip(), complaint.decode("utf-8", "replace").strip()

    async def _spawn(
        self, words: tuple[str, ...], *, stdout: int | IO[bytes], stderr: int | IO[bytes]
    ) -> asyncio.subprocess.Process:
        """A process in a session of its own, so that the terminal's Ctrl-C comes to the demo alone."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "vgroup.demo.tethered", str(os.getpid())),
            *(sys.executable, "-m", "vgroup", *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=self.environment,
            start_new_session=True,
        )
