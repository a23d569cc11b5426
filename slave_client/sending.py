"""Messages that the user sends beside the readings: into the buffer, and an answer once the master has them."""

import asyncio
from collections.abc import Callable
from typing import Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import Reason, RefusedError
from group_protocol.frames import Ack
from group_protocol.identifiers import ObjectId
from slave_client.buffer import Buffer
from slave_client.control_socket import Sent, Wish

_NOT_FINAL: Final = frozenset(
    {
        Reason.STALE_EPOCH,
        Reason.EVIDENCE_REQUIRED,
        Reason.CHAIN_UNAVAILABLE,
        Reason.INTERNAL,
        Reason.STORE_UNAVAILABLE,
        Reason.SHUTTING_DOWN,
        Reason.SESSION_EXPIRED,
    }
)
"""After these the record is sent again (``docs/protocol.md`` §6)."""
_REMEDIES: Final = {
    Reason.UNKNOWN_RECEIVER: "Check the receiver's oid: it has to be an active member of this group.",
    Reason.QUEUE_FULL: "Too many of this device's messages wait for the receiver; see to it that it runs.",
}


class MessageSender:
    """Sends what the user asks for.

    Args:
        buffer: The store-and-forward buffer.
        stir: Called when there is something new to send.
        own_oid: This device's; None before it is enrolled.
    """

    def __init__(self, buffer: Buffer, *, stir: Callable[[], None], own_oid: Callable[[], ObjectId | None]) -> None:
        self._buffer = buffer
        self._stir = stir
        self._own_oid = own_oid
        self._waiting: dict[int, asyncio.Future[bool]] = {}

    async def send(self, wish: Wish) -> Sent:
        """Put a message into the buffer, on the disk, and wait a while for the master's word.

        Raises:
            RefusedError: The master refused it, or it is for this device itself.
            StoreError: The disk refused it.
        """
        refuse_oneself(wish.to, self._own_oid())
        seq = self._buffer.append(wish.payload, wish.to, readings=wish.readings)
        answer = self._waiting[seq] = asyncio.get_running_loop().create_future()
        try:
            await self._buffer.commit()
            self._stir()
            async with asyncio.timeout(wish.wait_s):
                return Sent(seq, is_acknowledged=await answer)
        except TimeoutError:
            return Sent(seq, is_acknowledged=False)
        finally:
            del self._waiting[seq]

    def note_ack(self, ack: Ack) -> None:
        """An ACK came: it may answer somebody."""
        for seq, answer in self._waiting.items():
            if answer.done():
                continue
            if seq == ack.refused_seq and ack.reason not in {Reason.NONE, *_NOT_FINAL}:
                message = f"the master refused record {seq}: {ack.reason.name}"
                answer.set_exception(RefusedError(ack.reason, message, remedy=_REMEDIES.get(ack.reason, "")))
            elif seq <= ack.last_seq:
                answer.set_result(True)

    def forget_numbers(self) -> None:
        """Records in the buffer have new numbers: no ACK tells any more what became of a message that waits."""
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_result(False)


def refuse_oneself(to: ObjectId, own: ObjectId | None) -> None:
    """Raise RefusedError if a message is for the device that sends it."""
    if to == own:
        raise RefusedError(
            Reason.UNKNOWN_RECEIVER,
            "a device sends no messages to itself",
            remedy="Name another member's oid.",
            code=ErrorCode.NO_SUCH_DEVICE,
        )
