"""What one stream hands over of the messages to its device (``docs/protocol.md`` §6.1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from group_protocol.errors import StoreError, UnexpectedMessageError
from group_protocol.identifiers import Address, ObjectId
from group_protocol.key_changes import KeyChange
from group_protocol.peer_messages import Delivery, Receipt
from master_api.store.devices import DeviceKeyRow, fetch_keys_of
from master_api.store.peer_queue import QueuedMessage, fetch_queued
from master_api.store.rotations import RotationRow, fetch_rotations

if TYPE_CHECKING:
    from master_api.peer_post import PeerPost

WINDOW_MESSAGES = 32
"""Messages that one receiver may have under way, not receipted..."""
WINDOW_BYTES = 262_144
"""...and their payloads' bytes; with nothing under way one message may be larger."""


class PeerBox:
    """What one stream hands over to its device, in the order of the queue."""

    def __init__(self, post: PeerPost, oid: ObjectId, wake: Callable[[], None]) -> None:
        self.oid = oid
        self._post = post
        self._wake = wake
        self._is_due = post.has_waiting(oid)  # from before the stream began
        self._sent_through = 0
        self._under_way: deque[tuple[int, ObjectId, int]] = deque()
        if self._is_due:
            wake()

    def ring(self) -> None:
        """There is a new message."""
        self._is_due = True
        self._wake()

    def close(self) -> None:
        """The stream has ended."""
        self._post.close_box(self)

    async def take(self) -> list[Delivery]:
        """The messages to send now; none while the window is full or nothing is there."""
        room = WINDOW_MESSAGES - len(self._under_way)
        if not self._is_due or room <= 0:
            return []
        self._is_due = False
        try:
            return await self._take(room)
        except StoreError:
            self._is_due = True  # with the next message or receipt, or on the next stream
            return []

    async def _take(self, room: int) -> list[Delivery]:
        after = self._sent_through

        def read(connection: Connection) -> tuple[list[QueuedMessage], dict[ObjectId, _SenderKeys]]:
            queued = fetch_queued(connection, self.oid, after, room)
            senders = {message.sender for message in queued}
            return queued, {sender: _SenderKeys.fetch(connection, sender) for sender in senders}

        queued, keys = await self._post.store.read(read)
        deliveries: list[Delivery] = []
        under_way_bytes = sum(length_bytes for _, _, length_bytes in self._under_way)
        for message in queued:
            length_bytes = len(message.record.payload)
            if self._under_way and under_way_bytes + length_bytes > WINDOW_BYTES:
                break
            under_way_bytes += length_bytes
            self._sent_through = message.number
            # For every message, as it is handed over: one of the two may have been revoked while it waited. What is
            # passed over leaves the queue by the operator's order, or is queued anew when the register takes it back.
            if self._post.is_active_member(message.sender) and self._post.is_active_member(self.oid):
                self._under_way.append((message.number, message.sender, length_bytes))
                deliveries.append(keys[message.sender].deliver(message))
        self._is_due = self._is_due or self._sent_through < (queued[-1].number if queued else 0) or len(queued) == room
        return deliveries

    def note_receipt(self, receipt: Receipt) -> None:
        """Forget what the device has, and go on.

        Raises:
            UnexpectedMessageError: The receipt covers what was never sent on this stream, or nothing.
        """
        covered: list[tuple[int, ObjectId, int]] = []
        while self._under_way and self._under_way[0][0] <= receipt.through:
            covered.append(self._under_way.popleft())
        numbers = {number for number, _, _ in covered}
        if receipt.through not in numbers or (receipt.refused and receipt.refused not in numbers):
            raise UnexpectedMessageError(f"RECEIPT names {receipt.through}, which is not under way")
        self._post.take_off(self.oid, numbers, receipt)
        self._wake()


class _SenderKeys:
    """The keys that a sender has had, and what proves each change."""

    def __init__(self, keys: list[DeviceKeyRow], rotations: dict[Address, RotationRow]) -> None:
        self._keys = keys
        self._rotations = rotations

    @classmethod
    def fetch(cls, connection: Connection, sender: ObjectId) -> _SenderKeys:
        rotations = fetch_rotations(connection, sender)
        return cls(fetch_keys_of(connection, sender), rotations)

    def deliver(self, message: QueuedMessage) -> Delivery:
        first, *later = [key for key in self._keys if key.from_epoch <= message.record.epoch]
        changes = tuple(
            KeyChange(row.new_address, row.deadline_unix_s, row.by_old, row.by_new)
            for row in (self._rotations[key.address] for key in later)
        )
        return Delivery(message.number, message.sender, first.address, changes, message.record)
