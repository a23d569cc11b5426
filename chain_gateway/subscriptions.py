"""Events handed out to those who listen."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from group_protocol.membership import ChainEvent


class Subscription(AsyncIterator[ChainEvent]):
    """One listener's events, from the moment of subscribing. Ends when the registry closes, after what was queued."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[ChainEvent | None] = asyncio.Queue()
        self._ended = False

    def put(self, event: ChainEvent | None) -> None:
        """Queue an event; None ends the subscription."""
        self._queue.put_nowait(event)

    async def __anext__(self) -> ChainEvent:
        event = None if self._ended else await self._queue.get()
        if event is None:
            self._ended = True
            raise StopAsyncIteration
        return event


class EventFeed:
    """Everyone who listens."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    def subscribe(self) -> Subscription:
        """A new listener; of a closed feed, one whose events have ended."""
        subscription = Subscription()
        if self._closed:
            subscription.put(None)
        else:
            self._subscriptions.add(subscription)
        return subscription

    def emit(self, events: Iterable[ChainEvent]) -> None:
        """Queue events for everyone."""
        for event in events:
            for subscription in self._subscriptions:
                subscription.put(event)

    def close(self) -> None:
        """End every subscription."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.put(None)
        self._subscriptions.clear()
