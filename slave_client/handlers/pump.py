"""Handing messages to the handlers, each in its order, again after an error."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from group_protocol.errors import StoreError, VirtualGroupError
from slave_client.handlers.command import HandlerError
from slave_client.handlers.ports import Handler
from slave_client.inbox import Inbox
from slave_client.received_message import ReceivedMessage

_RETRY_S = 10.0
_AT_A_TIME = 32


async def pump_messages(
    inbox: Inbox, handlers: Sequence[Handler], report: Callable[[VirtualGroupError], None], *, retry_s: float = _RETRY_S
) -> None:
    """Give every message to every handler, for ever. A handler that fails gets the same message again later."""
    while True:
        inbox.arrived.clear()
        try:
            messages = await inbox.read_unhandled(_AT_A_TIME)
            for message in messages:
                await _handle(message, handlers)
                await inbox.note_handled(message)
        except (HandlerError, StoreError) as exc:
            report(exc)
            await asyncio.sleep(retry_s)
            continue
        if not messages:
            with contextlib.suppress(TimeoutError):
                await inbox.arrived.wait()


async def _handle(message: ReceivedMessage, handlers: Sequence[Handler]) -> None:
    for handler in handlers:
        try:
            await handler.handle(message)
        except HandlerError:
            raise
        except Exception as exc:  # a plug-in is foreign code: its mistakes stop nothing but itself
            raise HandlerError(f"{handler.label} failed at message {message.number}: {exc!r}") from exc
