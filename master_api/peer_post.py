"""Messages between slaves: how many may wait, who hears that one is there, what a stream sends next.

``docs/protocol.md`` §6.1. A reading for the master never gets here: a frame without a message to a slave costs one
object and no query.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import Self

from sqlalchemy import Connection

from group_protocol.errors import Reason, StoreError
from group_protocol.identifiers import ObjectId
from group_protocol.intake import AcceptedRecord
from group_protocol.peer_messages import KEY_CHANGES_MAX, Receipt
from group_protocol.ports import GroupRegistry
from master_api.audit import AuditKind, AuditLog, Detail
from master_api.current_group import CurrentGroup
from master_api.full_queue import FullQueue
from master_api.peer_box import PeerBox
from master_api.store.peer_queue import (
    count_waiting,
    drop_oldest,
    enqueue,
    take_off,
)
from master_api.store.store import Store

Pair = tuple[ObjectId, ObjectId]
"""Receiver and sender."""


class PeerPost:
    """One master's messages between slaves."""

    def __init__(
        self,
        *,
        store: Store,
        group: CurrentGroup,
        registry: GroupRegistry,
        audit: AuditLog,
        queue_max: int,
        when_full: FullQueue,
    ) -> None:
        self.store = store
        self.audit = audit
        self._group = group
        self._registry = registry
        self._queue_max = queue_max
        self._when_full = when_full
        self._lock = threading.Lock()
        self._waiting: Counter[Pair] = Counter()
        self._overflowing: set[Pair] = set()
        self._boxes: dict[ObjectId, PeerBox] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Count what waits, before the first frame comes. Raises StoreError."""
        self._loop = asyncio.get_running_loop()
        waiting = await self.store.read(count_waiting)
        with self._lock:
            self._waiting = Counter(waiting)

    def forget(self, oid: ObjectId) -> None:
        """A device was revoked: what waits for it and from it is dropped. Any thread."""
        with self._lock:
            for pair in [pair for pair in self._waiting if oid in pair]:
                del self._waiting[pair]

    def quota(self, sender: ObjectId, key_changes: int) -> "FrameQuota":
        """For one frame of a sender that has changed its key so often."""
        return FrameQuota(self, sender, may_send=key_changes <= KEY_CHANGES_MAX)

    def open_box(self, oid: ObjectId, wake: Callable[[], None]) -> "PeerBox":
        """The box of a device that streams; ``wake`` is called when there is something to take out."""
        box = PeerBox(self, oid, wake)
        self._boxes[oid] = box
        return box

    def close_box(self, box: "PeerBox") -> None:
        """The stream has ended."""
        if self._boxes.get(box.oid) is box:
            del self._boxes[box.oid]

    def is_active_member(self, oid: ObjectId) -> bool:
        """Whether the register has the device in this group now."""
        group = self._group.formed
        return group is not None and self._registry.membership().is_active_member(group.gid, oid)

    def reserve(self, pair: Pair) -> bool:
        """Take one place in a pair's queue. Any thread."""
        with self._lock:
            if self._when_full is FullQueue.REFUSE and self._waiting[pair] >= self._queue_max:
                return False
            self._waiting[pair] += 1
            return True

    def release(self, pairs: Mapping[Pair, int]) -> None:
        """Give places back. Any thread."""
        with self._lock:
            self._waiting.subtract(dict(pairs))
            for pair in pairs:
                if self._waiting[pair] <= 0:
                    del self._waiting[pair]

    def put_in(self, connection: Connection, sender: ObjectId, records: Sequence[AcceptedRecord], now: float) -> None:
        """In the transaction that stores the records: queue the messages among them; drop the oldest if so set."""
        group = self._group.require()
        messages = [
            (accepted.record.receiver, accepted.record.seq)
            for accepted in records
            if accepted.record.receiver != group.master_oid
        ]
        enqueue(connection, sender, messages, now)
        if self._when_full is FullQueue.DROP_OLDEST:
            for receiver in {receiver for receiver, _ in messages}:
                self._drop_oldest(connection, receiver, sender)

    def _drop_oldest(self, connection: Connection, receiver: ObjectId, sender: ObjectId) -> None:
        pair = receiver, sender
        dropped = drop_oldest(connection, receiver, sender, self._queue_max)
        if not dropped:
            self._overflowing.discard(pair)
            return
        self.release(Counter({pair: dropped}))
        if pair not in self._overflowing:  # one entry for the whole flood: the counts go on
            self._overflowing.add(pair)
            detail: Detail = {"receiver": receiver.hex(), "sender": sender.hex(), "reason": "queue full"}
            self.audit.append(connection, AuditKind.MESSAGES_DROPPED, detail)

    def announce(self, receivers: set[ObjectId]) -> None:
        """Messages for these devices are committed. Any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake, receivers)

    def _wake(self, receivers: set[ObjectId]) -> None:
        for receiver in receivers:
            if (box := self._boxes.get(receiver)) is not None:
                box.ring()

    def has_waiting(self, receiver: ObjectId) -> bool:
        """Whether anything is queued for a device, or about to be. No query."""
        with self._lock:
            return any(pair[0] == receiver for pair in self._waiting)

    def take_off(self, receiver: ObjectId, numbers: Collection[int], receipt: Receipt) -> None:
        """A receiver has what a receipt covers. Nobody waits for that: what is not noted is handed over again."""

        def write(connection: Connection) -> list[ObjectId]:
            senders = take_off(connection, receiver, numbers, receipt.refused)
            if receipt.reason is not Reason.NONE:
                detail: Detail = {
                    "receiver": receiver.hex(),
                    "number": receipt.refused,
                    "reason": receipt.reason.name,
                }
                self.audit.append(connection, AuditKind.MESSAGE_REFUSED, detail)
            return senders

        def note(written: Future[list[ObjectId]]) -> None:
            # What was handed over twice left the queue once.
            if not written.cancelled() and written.exception() is None:
                self.release(Counter((receiver, sender) for sender in written.result()))

        try:
            self.store.submit(write).add_done_callback(note)
        except StoreError:
            return


class FrameQuota:
    """The places that one frame's messages take in their receivers' queues.

    As a context it covers the time until the frame is queued for the store: an error gives the places back.
    """

    __slots__ = ("_may_send", "_post", "_sender", "taken")

    def __init__(self, post: PeerPost, sender: ObjectId, *, may_send: bool) -> None:
        self._post = post
        self._sender = sender
        self._may_send = may_send
        self.taken: dict[Pair, int] = {}  # no Counter: making one takes longer than all else that a frame pays here

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is not None:
            self.release()

    def has_room(self, receiver: ObjectId) -> bool:
        """Whether one more message fits; its place is taken then. See ``IntakeRules.has_room``."""
        pair = receiver, self._sender
        if not self._may_send or not self._post.reserve(pair):
            return False
        self.taken[pair] = self.taken.get(pair, 0) + 1
        return True

    def put_in(self, connection: Connection, records: Sequence[AcceptedRecord], now_unix_s: float) -> None:
        """Inside the transaction that stores the frame's records."""
        if self.taken:
            self._post.put_in(connection, self._sender, records, now_unix_s)

    def settle(self, *, is_stored: bool) -> None:
        """The transaction has ended, either way. Runs in the writer's thread."""
        if not is_stored:
            self.release()
        elif self.taken:
            self._post.announce({receiver for receiver, _ in self.taken})

    def release(self) -> None:
        """The frame was not stored: give its places back."""
        if self.taken:
            self._post.release(self.taken)
            self.taken = {}
