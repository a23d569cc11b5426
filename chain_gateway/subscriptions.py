"""Events handed out to those who listen."""

import asyncio
import weakref
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from group_protocol.errors import VirtualGroupError
from group_protocol.membership import ChainEvent


@dataclass(frozen=True, slots=True)
class _End:
    failure: VirtualGroupError | None


class Subscription(AsyncIterator[ChainEvent]):
    """One listener's events, from the moment of subscribing. It ends, after what was queued, when its feed closes."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[ChainEvent | _End] = asyncio.Queue()
        self._end: _End | None = None

    def put(self, event: ChainEvent) -> None:
        """Queue an event."""
        self._queue.put_nowait(event)

    def end(self, failure: VirtualGroupError | None) -> None:
        """Queue the end: an error, or just that there is no more."""
        self._queue.put_nowait(_End(failure))

    async def __anext__(self) -> ChainEvent:
        event = self._end or await self._queue.get()
        if not isinstance(event, _End):
            return event
        self._end = event
        if event.failure is None:
            raise StopAsyncIteration
        raise event.failure


class EventFeed:
    """Everyone who listens."""

    def __init__(self) -> None:
        # Weakly: one that nobody reads any more must not gather events for ever.
        self._subscriptions: weakref.WeakSet[Subscription] = weakref.WeakSet()
        self._end: _End | None = None

    def subscribe(self) -> Subscription:
        """A new listener; of a closed feed, one whose events have ended."""
        subscription = Subscription()
        if self._end is None:
            self._subscriptions.add(subscription)
        else:
            subscription.end(self._end.failure)
        return subscription

    def emit(self, events: Iterable[ChainEvent]) -> None:
        """Queue events for everyone."""
        for event in events:
            for subscription in self._subscriptions:
                subscription.put(event)

    def close(self, failure: VirtualGroupError | None = None) -> None:
        """End every subscription, with an error if something went wrong. Idempotent."""
        if self._end is None:
            self._end = _End(failure)
            for subscription in self._subscriptions:
                subscription.end(failure)
            self._subscriptions.clear()
