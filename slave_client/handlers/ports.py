"""What a handler of messages is, and how one is made from options."""

from collections.abc import Callable
from typing import Protocol

from group_protocol.ports import Clock
from slave_client.received_message import ReceivedMessage
from slave_client.sensors.ports import SensorOptions


class Handler(Protocol):
    """Takes messages, one after the other, in the order in which they came.

    Attributes:
        label: What the status and the log call it.
    """

    label: str

    async def handle(self, message: ReceivedMessage) -> None:
        """Do what is to be done about a message that was verified and is on the disk.

        When this returns, the message counts as handled. An exception, or a power cut before, and it comes again: so a
        handler may see a message twice (the same ``number``), but none is left out.
        """
        ...


HandlerOptions = SensorOptions
"""Options are taken in the same way."""
HandlerMaker = Callable[[HandlerOptions, Clock], Handler]
"""What an entry point in ``vgroup.handlers`` names: makes a handler from its options."""
