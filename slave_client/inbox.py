"""The inbox of a running device: the file behind one thread, so that the event loop never waits for the medium."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from group_protocol.errors import StoreError
from group_protocol.peer_messages import Delivery
from group_protocol.ports import Clock, Random
from slave_client.inbox_file import INBOX_FILE, InboxDamagedError, InboxFile, InboxFill
from slave_client.received_message import ReceivedMessage

_Result = TypeVar("_Result")


class Inbox:
    """Messages from other slaves. Make one with :meth:`open`.

    Attributes:
        damage: What was found broken and set aside, in words; empty when all was well.
        arrived: Set after each commit that brought something new.
    """

    def __init__(self, folder: Path, secret: bytes, *, most: int, keeps_unhandled: bool, clock: Clock) -> None:
        self._path = folder / INBOX_FILE
        self._secret = secret
        self._most = most
        self._keeps_unhandled = keeps_unhandled
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inbox")
        self._file: InboxFile
        self._was_handled = asyncio.Event()
        self.arrived = asyncio.Event()
        self.damage = ""

    @classmethod
    async def open(
        cls, folder: Path, storage_secret: bytes, *, most: int, keeps_unhandled: bool, clock: Clock, random: Random
    ) -> "Inbox":
        """Open the inbox in the (locked) state directory; a damaged file is renamed and a new one begun.

        Args:
            folder: The state directory.
            storage_secret: The device's, 32 bytes.
            most: How many messages are kept.
            keeps_unhandled: Whether there are handlers: then nothing is deleted that they have not taken, and new
                messages wait at the master.
            clock: For the time of day of a message.
            random: For the salt of this opening.

        Raises:
            StoreError: The medium refuses altogether.
        """
        inbox = cls(folder, storage_secret, most=most, keeps_unhandled=keeps_unhandled, clock=clock)
        try:
            await inbox._run(lambda: inbox._open_file(random))
        except BaseException:
            inbox._thread.shutdown(wait=False)
            raise
        return inbox

    def _open_file(self, random: Random) -> None:
        try:
            self._file = InboxFile(self._path, self._secret, random)
        except InboxDamagedError as exc:
            aside = self._set_aside()
            self.damage = f"{exc}; it was set aside as {aside.name}: messages that come again may be shown again"
            self._file = InboxFile(self._path, self._secret, random)

    def _set_aside(self) -> Path:
        number = 1
        while (aside := self._path.with_name(f"{INBOX_FILE}.damaged-{number}")).exists():
            number += 1
        for suffix in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                self._path.with_name(self._path.name + suffix).rename(aside.with_name(aside.name + suffix))
        return aside

    async def take(self, deliveries: Sequence[Delivery]) -> int:
        """Keep what is new of verified messages; on the disk when this returns. Answers how many were new.

        Waits while handlers are behind by as many messages as are kept. Raises StoreError.
        """
        if self._keeps_unhandled:
            await self._wait_for_room()
        received_unix_s = self._clock.now_unix_s()
        new = await self._run(
            lambda: self._file.take(deliveries, received_unix_s, self._most, keeps_unhandled=self._keeps_unhandled)
        )
        if new:
            self.arrived.set()
        return new

    async def _wait_for_room(self) -> None:
        while True:
            self._was_handled.clear()
            fill = await self.fill()
            if fill.newest - fill.handled < self._most:
                return
            await self._was_handled.wait()

    async def read_unhandled(self, limit: int) -> list[ReceivedMessage]:
        """The oldest messages that the handlers have not taken. Raises StoreError."""
        return await self._run(lambda: self._file.read_after(self._file.fill().handled, limit))

    async def note_handled(self, message: ReceivedMessage) -> None:
        """Every handler has taken this one. Raises StoreError."""
        await self._run(lambda: self._file.note_handled(message.number))
        self._was_handled.set()

    async def fill(self) -> InboxFill:
        """How full it is. Raises StoreError."""
        return await self._run(self._file.fill)

    async def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(StoreError):
            await self._run(self._file.close)
        self._thread.shutdown()

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
