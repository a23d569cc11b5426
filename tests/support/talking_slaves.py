"""A master and two slaves whose daemons say something to each other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from group_protocol.identifiers import ObjectId
from group_protocol.senml import Reading, encode_readings
from slave_client.control_socket import Wish
from slave_client.daemon import Daemon
from slave_client.inbox_file import INBOX_FILE, InboxFile
from slave_client.received_message import ReceivedMessage
from tests.support.running_master import Bench, running_master
from tests.support.slave_bench import SlaveBench, paired_slave


def wish(to: ObjectId, text: str, wait_s: float = 5.0) -> Wish:
    return Wish(to, encode_readings([Reading("message", 1_700_000_000.0, text)]), 1, wait_s)


def inbox_of(slave: SlaveBench) -> list[ReceivedMessage]:
    keys = slave.store.load_keys()
    assert keys is not None
    if not (slave.directory.path / INBOX_FILE).exists():
        return []
    file = InboxFile(slave.directory.path / INBOX_FILE, keys.storage_secret, None)
    try:
        return list(file.iterate())
    finally:
        file.close()


def texts(slave: SlaveBench) -> list[object]:
    return [message.readings()[0].value for message in inbox_of(slave)]


def oid_of(slave: SlaveBench) -> ObjectId:
    place = slave.state.enrolment
    assert place is not None
    return place.oid


@asynccontextmanager
async def running(daemon: Daemon) -> AsyncIterator[Daemon]:
    stop = asyncio.Event()
    task = asyncio.create_task(daemon.run(stop))
    try:
        yield daemon
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


@asynccontextmanager
async def ward(folder: Path, **settings: Any) -> AsyncIterator[tuple[Bench, SlaveBench, SlaveBench]]:
    """A master and two associated slaves that do not run yet."""
    async with AsyncExitStack() as exits:
        bench = await exits.enter_async_context(running_master(folder, **settings))
        slaves = [await exits.enter_async_context(paired_slave(folder, bench, seed=seed)) for seed in (1, 2)]
        for slave in slaves:
            await slave.join()
        yield bench, *slaves  # type: ignore[misc] # two of them
