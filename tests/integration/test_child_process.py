"""The processes of the benchmarks: one that dies is an error of the run, and none is left behind."""

import asyncio

import psutil
import pytest

from benchmarks.child_process import child_process

pytestmark = pytest.mark.processes


async def test_child_that_dies_of_what_it_was_told_raises_when_heard() -> None:
    async with child_process("benchmarks.streaming.generator", errors=asyncio.subprocess.DEVNULL) as child:
        await child.say("not JSON")
        with pytest.raises(RuntimeError, match="ended"):
            await child.hear()


async def test_child_that_waits_has_ended_when_the_block_is_left() -> None:
    async with child_process("benchmarks.streaming.generator", errors=asyncio.subprocess.DEVNULL) as child:
        watched = psutil.Process(child.pid)
        assert watched.is_running()
    assert not watched.is_running()
