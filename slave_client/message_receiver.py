"""What the device does with messages from other slaves: verify, keep, receipt (``docs/protocol.md`` §6.1).

The master is not believed: a message whose sender did not sign it is refused and named to the master. A receipt goes
out only for what is on the disk.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from group_protocol.errors import Reason, StoreError, VerificationError, VirtualGroupError
from group_protocol.identifiers import GroupId, ObjectId
from group_protocol.peer_messages import Delivery, Receipt, verify_delivery
from group_protocol.typed_data import TypedDataDomain
from slave_client.inbox import Inbox

_WAITING_MAX = 64
"""Deliveries in memory; an honest master has at most 32 under way."""
_RETRY_S = 2.0


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who receives: what a message's signatures have to name."""

    domain: TypedDataDomain
    gid: GroupId
    oid: ObjectId


class MessageReceiver:
    """Takes deliveries of one stream after the other.

    Args:
        inbox: Where messages are kept.
        stir: Called when there is a receipt to send.
        report: Called with each error of the store, and each message that was refused.

    Attributes:
        refused: How many messages were not believed, since the start.
        repeated: How many came again or out of order, since the start.
    """

    def __init__(self, inbox: Inbox, *, stir: Callable[[], None], report: Callable[[VirtualGroupError], None]) -> None:
        self._inbox = inbox
        self._stir = stir
        self._report = report
        self._recipient: Recipient | None = None
        self._arrived: asyncio.Queue[tuple[Recipient, Delivery]] = asyncio.Queue(_WAITING_MAX)
        self._receipts: deque[Receipt] = deque()
        self.refused = 0
        self.repeated = 0

    def begin(self, recipient: Recipient) -> None:
        """A new stream: numbers of the old one are nothing to its master."""
        self._recipient = recipient
        self._receipts.clear()

    async def put(self, delivery: Delivery) -> None:
        """A delivery came. Waits while too many do."""
        assert self._recipient is not None  # noqa: S101 - a stream begins before it receives
        await self._arrived.put((self._recipient, delivery))

    def take_receipts(self) -> list[Receipt]:
        """What to send now."""
        receipts = list(self._receipts)
        self._receipts.clear()
        return receipts

    async def run(self) -> None:
        """Verify and keep what comes, for ever."""
        while True:
            batch = [await self._arrived.get()]
            while not self._arrived.empty():
                batch.append(self._arrived.get_nowait())
            await self._take(batch)

    async def _take(self, batch: list[tuple[Recipient, Delivery]]) -> None:
        good: list[Delivery] = []
        receipts: list[tuple[Recipient, Receipt]] = []
        for recipient, delivery in batch:
            try:
                verify_delivery(delivery, recipient.domain, recipient.gid, recipient.oid)
                good.append(delivery)
                receipts.append((recipient, Receipt(delivery.number)))
            except VerificationError as exc:
                self.refused += 1
                self._report(VerificationError(f"a message in the name of {delivery.sender.hex()} is refused: {exc}"))
                refusal = Receipt(delivery.number, delivery.number, Reason.BAD_SIGNATURE)
                receipts.append((recipient, refusal))
        await self._keep(good)
        for at, (recipient, receipt) in enumerate(receipts):
            # One receipt stands for all before it, but each refusal is said by itself.
            is_last = at + 1 == len(receipts) or receipts[at + 1][0] is not recipient
            if recipient is self._recipient and (is_last or receipt.refused):
                self._receipts.append(receipt)
        self._stir()

    async def _keep(self, deliveries: list[Delivery]) -> None:
        """On the disk when this returns, however long the disk refuses."""
        while deliveries:
            try:
                self.repeated += len(deliveries) - await self._inbox.take(deliveries)
            except StoreError as exc:
                self._report(exc)
                await asyncio.sleep(_RETRY_S)
            else:
                return
