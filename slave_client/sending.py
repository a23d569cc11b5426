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
from slave_client.errors import BufferFullError

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
        buffer.on_dropped = self.note_dropped

    async def send(self, wish: Wish) -> Sent:
        """Put a message into the buffer, on the disk, and wait a while for the master's word.

        Raises:
            RefusedError: The master refused it, or it is for this device itself.
            BufferFullError: The buffer had no room for it.
            StoreError: The disk refused it.
        """
        refuse_oneself(wish.to, self._own_oid())
        seq = self._buffer.next_seq
        answer = self._waiting[seq] = asyncio.get_running_loop().create_future()
        try:
            self._buffer.append(wish.payload, wish.to, readings=wish.readings)
            await self._buffer.commit()
            self._stir()
            async with asyncio.timeout(wish.wait_s):
                return Sent(seq, is_acknowledged=await answer)
        except TimeoutError:
            return Sent(seq, is_acknowledged=False)
        finally:
            del self._waiting[seq]
            if answer.done() and not answer.cancelled():
                answer.exception()  # is no news where the disk's own refusal is raised

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

    def note_dropped(self, first_seq: int, last_seq: int) -> None:
        """The buffer gave these records up: an ACK of later ones says nothing of them."""
        for seq, answer in self._waiting.items():
            if first_seq <= seq <= last_seq and not answer.done():
                answer.set_exception(
                    BufferFullError(
                        f"record {seq} was dropped before the master had it: the buffer is full",
                        remedy="See that the master is reached, or give the buffer more room (vgroup slave status).",
                    )
                )

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
