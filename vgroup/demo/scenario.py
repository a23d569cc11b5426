"""The demo from beginning to end."""

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from vgroup.demo.actors import Master
from vgroup.demo.assault import attack, on_the_network, revoke
from vgroup.demo.at_the_contract import fetch_transactions, question_contract
from vgroup.demo.messages import exchange_message, prove_record
from vgroup.demo.processes import Crew
from vgroup.demo.recordings import find_recordings
from vgroup.demo.screen import Screen
from vgroup.demo.setting_up import invite_and_join, raise_master, start_streams
from vgroup.demo.settings import DemoSettings
from vgroup.demo.stage import Stage, make_environment
from vgroup.demo.streaming import watch
from vgroup.demo.summary import Summary
from vgroup.demo.verification import compare_samples, stop_slaves, verify_store

_AFTER_REVOCATION_S: Final = 2.0
"""How long the others go on under the new epoch before they are stopped."""


async def play(settings: DemoSettings, screen: Screen) -> Summary:
    """Play the demo; afterwards no process and, unless it is to be kept, no file of it is left.

    Raises:
        ConfigurationError: It cannot begin.
        DemoFailed: A step did not work on which all others stand.
        asyncio.CancelledError: It was told to stop.
    """
    recordings = await asyncio.to_thread(find_recordings)
    began_s = perf_counter()
    with _cancelled_by_signals():
        async with _stage(settings, screen) as (stage, exits):
            await raise_master(stage)
            await invite_and_join(stage, recordings, exits)
            screen.heading(f"Streaming pulse recordings, {settings.speed:g} × as fast as they were made")
            await start_streams(stage)
            await watch(stage, settings.seconds)
            await exchange_message(stage)
            await _be_attacked(stage)
            stage.summary.wall_s = round(perf_counter() - began_s, 1)
            return stage.summary


async def _be_attacked(stage: Stage) -> None:
    """While everything runs: attacks, a revocation. Then everything stops, and what is left is looked at."""
    async with on_the_network(stage) as attacker:
        foothold = await attack(stage, attacker)
        await revoke(stage, attacker)
    await watch(stage, _AFTER_REVOCATION_S)
    stage.screen.hide_slaves()
    await stop_slaves(stage)
    await verify_store(stage)
    await compare_samples(stage)
    await prove_record(stage)
    transactions = await fetch_transactions(stage)
    await _stop_master(stage)
    await question_contract(stage, foothold.key, transactions)


async def _stop_master(stage: Stage) -> None:
    stage.screen.doing("the master stops")
    member = stage.master.member
    status = await member.stop() if member else None
    stage.check("the master stops in good order", holds=status == 0, detail=f"exit status {status}")


@asynccontextmanager
async def _stage(settings: DemoSettings, screen: Screen) -> AsyncIterator[tuple[Stage, AsyncExitStack]]:
    """An empty stage, and where to register what has to be closed at the end; on leaving, all processes are ended."""
    async with AsyncExitStack() as exits:
        folder = await exits.enter_async_context(_folder(settings.keep))
        master = Master(folder / "master")
        crew = await exits.enter_async_context(Crew(folder / "logs", make_environment(settings, master.folder)))
        yield Stage(settings, screen, crew, folder, Summary(speed=settings.speed), master), exits


@asynccontextmanager
async def _folder(keep: Path | None) -> AsyncIterator[Path]:
    """Where everything is made: a temporary directory, or the one to be kept."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="vgroup-demo-", ignore_cleanup_errors=True) as name:
            yield Path(name)
        return
    try:
        await asyncio.to_thread(keep.mkdir, mode=0o700, parents=True)
        folder = await asyncio.to_thread(keep.absolute)
    except OSError as exc:
        raise ConfigurationError(
            f"cannot make {keep}: {exc.strerror}", remedy="Choose another --keep.", code=ErrorCode.FILE_UNUSABLE
        ) from exc
    yield folder


@contextmanager
def _cancelled_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP (a closed terminal) end the demo as Ctrl-C does: by cancelling it, so that it cleans up."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    signals = (signal.SIGTERM, signal.SIGHUP)
    for which in signals:
        loop.add_signal_handler(which, task.cancel if task else loop.stop)
    try:
        yield
    finally:
        for which in signals:
            loop.remove_signal_handler(which)
