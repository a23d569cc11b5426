"""All that a running device needs for messages from other slaves: inbox, receiver, handlers."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import asdict

from group_protocol.errors import StoreError, VirtualGroupError
from slave_client.handlers.ports import Handler
from slave_client.handlers.pump import pump_messages
from slave_client.inbox import Inbox
from slave_client.inbox_file import InboxFill
from slave_client.message_receiver import MessageReceiver

Report = Callable[[VirtualGroupError], None]


class Mailbox:
    """Receives, keeps and hands over.

    Args:
        inbox: Open; :meth:`close` closes it.
        handlers: What is done with each message.
    """

    def __init__(self, inbox: Inbox, handlers: Sequence[Handler] = ()) -> None:
        self._inbox = inbox
        self._handlers = handlers
        self._fill = InboxFill(0, 0, 0, 0)
        self._receiver: MessageReceiver | None = None

    def connect(self, stir: Callable[[], None], report: Report) -> MessageReceiver:
        """The receiver for the daemon's streams; see there."""
        self._receiver = MessageReceiver(self._inbox, stir=stir, report=report)
        return self._receiver

    async def run(self, report: Report) -> None:
        """Take messages and hand them over, for ever."""
        async with asyncio.TaskGroup() as tasks:
            if self._receiver is not None:
                tasks.create_task(self._receiver.run())
            if self._handlers:
                tasks.create_task(pump_messages(self._inbox, self._handlers, report))

    async def to_fields(self) -> dict[str, object]:
        """For the status; the format is in docs/slave.md."""
        with contextlib.suppress(StoreError):  # else the newest that could be read
            self._fill = await self._inbox.fill()
        receiver = self._receiver
        return {
            **asdict(self._fill),
            "refused": receiver.refused if receiver else 0,
            "repeated": receiver.repeated if receiver else 0,
            "damage": self._inbox.damage,
        }

    async def close(self) -> None:
        """Close the inbox."""
        await self._inbox.close()
