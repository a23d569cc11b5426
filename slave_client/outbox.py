"""What to send next, and what an ACK means: the slave's side of §6, without a socket.

The master's ACKs drive everything. ``sent_through`` runs ahead of them as far as credit allows; a refusal, or a new
session, sets it back to what the master holds. The buffer still has all that comes after: it forgets a record only when
the master holds it *with evidence*.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple, Protocol

from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import Reason
from group_protocol.frames import Ack, Items, encode_frame
from group_protocol.identifiers import GroupId, ObjectId
from group_protocol.limits import FRAME_MAX_BYTES
from group_protocol.ports import Clock
from group_protocol.records import (
    CHECKPOINT_BYTES,
    RECORD_OVERHEAD_BYTES,
    Checkpoint,
    CheckpointedRecord,
    Item,
    payload_hash,
    sign_checkpoint,
    sign_record,
)
from group_protocol.tickets import EvidencePolicy, SessionTerms
from group_protocol.typed_data import TypedDataDomain
from slave_client.buffered_record import BufferedRecord
from slave_client.open_period import OpenPeriod, whole_period

TO_MASTER = ObjectId(bytes(16))
"""Stands in the buffer for the master's oid, which is not known before the first ticket."""
FRAME_ITEMS_MAX = 256
FRAME_TARGET_BYTES = 64 * 1024
"""One write; far below what a frame may hold, so that ACKs come steadily."""
_TRY_AGAIN = frozenset(
    {Reason.CHAIN_UNAVAILABLE, Reason.INTERNAL, Reason.STORE_UNAVAILABLE, Reason.SHUTTING_DOWN, Reason.SESSION_EXPIRED}
)
"""Reasons that say nothing about the record: it is sent again later, in another session."""
_NO_MEMBER = frozenset({Reason.NOT_A_MEMBER, Reason.NOT_IN_GROUP, Reason.OBJECT_REVOKED})


class OutgoingRecords(Protocol):
    """Where records wait: the buffer, as the outbox sees it. Coroutines raise StoreError."""

    @property
    def highest_committed(self) -> int:
        """The highest seq that may be sent; 0 before the first."""
        ...

    async def read_after(self, seq: int, *, max_records: int, max_bytes: int) -> list[BufferedRecord]:
        """The oldest records above ``seq``: at least one if there is one, then up to both bounds."""
        ...

    def acknowledge(self, through: int) -> None:
        """The master holds everything up to this seq, with evidence."""
        ...

    async def set_aside(self, seq: int, reason: int) -> None:
        """Take a refused record out of the way."""
        ...


class Verdict(Enum):
    """What an ACK asks of the sender."""

    GO_ON = auto()
    RESUME = auto()
    """A record was refused; on a stream RESUME has to say that we have seen it."""
    BACK_OFF = auto()
    """The master cannot take anything now."""
    NOT_A_MEMBER = auto()
    """The master no longer counts us in: a fresh M1–M4 tells why."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who speaks: what goes into every signature."""

    key: PrivateKey
    domain: TypedDataDomain
    gid: GroupId
    oid: ObjectId
    master_oid: ObjectId


class _InFlight(NamedTuple):
    last_seq: int
    evidence_seq: int
    frame_bytes: int


class Outbox:
    """One session's sending.

    Args:
        buffer: Where the records wait.
        sender: Keys and names.
        terms: As the ticket tells them.
        sending_epoch: Under which records were last sent, in this session or before.
        clock: For the age of a checkpoint period.
        frame_items_max: Most records in a frame.
        draw_share: As :class:`~slave_client.open_period.OpenPeriod` asks for it.
    """

    def __init__(
        self,
        buffer: OutgoingRecords,
        sender: Sender,
        terms: SessionTerms,
        *,
        sending_epoch: int,
        clock: Clock,
        frame_items_max: int = FRAME_ITEMS_MAX,
        draw_share: Callable[[], float] = whole_period,
    ) -> None:
        self._buffer = buffer
        self._sender = sender
        self._frame_items_max = frame_items_max
        self._in_flight: deque[_InFlight] = deque()
        self._in_flight_bytes = 0
        self._period = OpenPeriod(terms, clock, draw_share)
        self._signs_each = terms.evidence_policy is EvidencePolicy.SIGNED
        self._has_given_up = False
        self._sent_through = 0
        self._ack: Ack | None = None
        self._last_refusal: Ack | None = None
        self.sending_epoch = sending_epoch
        self.records_without_evidence = 0

    @property
    def last_ack(self) -> Ack | None:
        """The newest ACK of this session."""
        return self._ack

    @property
    def epoch_to_begin(self) -> int | None:
        """An epoch that the group has reached, once nothing of the old one is open; see :meth:`begin_epoch`."""
        if self._may_send_records() or self._ack is None or self._period.records or self._in_flight:
            return None
        return self._ack.epoch

    @property
    def is_drained(self) -> bool:
        """Whether the master holds every committed record, with evidence, and has answered everything."""
        is_sent = self._ack is not None and self._sent_through >= self._buffer.highest_committed
        return is_sent and not self._in_flight and not self._period.records

    def begin_epoch(self, epoch: int) -> None:
        """Send records under this epoch from now on. The caller has noted it on the disk."""
        self.sending_epoch = epoch
        self._period.spread()

    @property
    def due_s(self) -> float | None:
        """When a checkpoint falls due by age, in the clock's steady seconds; None if there is none to make.

        None, too, while there is no credit for it: then the next ACK says more.
        """
        return self._period.due_s if self._has_room_for_checkpoint(self._room_bytes()) else None

    async def find_repetition(self, last_seq: int) -> bytes | None:
        """An ITEMS frame that the master holds already, to learn from its ACK where the evidence stands.

        For /data, where no OPEN is answered. None if this device has forgotten all that the master holds: then nothing
        waits for evidence that it could still give. Raises StoreError.
        """
        for record in await self._buffer.read_after(0, max_records=1, max_bytes=1):
            if record.seq <= last_seq:
                item = CheckpointedRecord(self._receiver_of(record), record.seq, self.sending_epoch, record.payload)
                return encode_frame(Items((item,)))
        return None

    async def begin(self, ack: Ack) -> None:
        """Take the first ACK of the session: set out from what the master holds. Raises StoreError."""
        self._ack = ack
        await self._start_from(ack)
        self._period.spread()

    def settle(self, ack: Ack) -> None:
        """Take a later ACK that refuses nothing."""
        self._ack = ack
        self._buffer.acknowledge(ack.last_seq if self._has_given_up else ack.evidence_seq)
        self._forget_answered(ack)

    async def take_ack(self, ack: Ack) -> Verdict:
        """Take any later ACK. Raises StoreError."""
        self.settle(ack)
        if ack.reason is Reason.NONE:
            return Verdict.GO_ON
        return await self._take_refusal(ack)

    def has_work(self, *, closes_period: bool = False) -> bool:
        """Whether a frame is to be made, as soon as there is credit for it, or a new epoch is to begin."""
        if self._sent_through < self._buffer.highest_committed or not self._may_send_records():
            return True
        return self._period.records > 0 and self._is_period_due(closes_period=closes_period)

    async def next_frame(self, *, closes_period: bool = False) -> bytes | None:
        """The next ITEMS frame, or None if there is nothing to send or no credit for it. Raises StoreError.

        Args:
            closes_period: Checkpoint what is open even before it falls due, once all records are out.
        """
        if not self.has_work(closes_period=closes_period):
            return None
        items: list[Item] = []
        room_bytes = self._room_bytes()
        if self._may_send_records() and room_bytes:
            await self._add_records(items, room_bytes)
        has_room = items or self._has_room_for_checkpoint(room_bytes)
        if has_room and self._period.records and self._is_period_due(closes_period=closes_period):
            self._close_period(items)
        return self._note(items) if items else None

    def _is_period_due(self, *, closes_period: bool) -> bool:
        return closes_period or self._signs_each or not self._may_send_records() or self._period.is_overdue

    def _may_send_records(self) -> bool:
        """Not in a newer epoch: the old one's period is closed and the new one noted on the disk first."""
        return self._ack is not None and self._ack.epoch <= self.sending_epoch

    def _room_bytes(self) -> int:
        """What the next frame may hold; with nothing in flight one item may be larger, or it would block for ever."""
        granted = self._ack.credit_bytes if self._ack else 0
        left_bytes = granted - self._in_flight_bytes
        return max(0, min(left_bytes, FRAME_TARGET_BYTES))

    def _has_room_for_checkpoint(self, room_bytes: int) -> bool:
        return room_bytes > CHECKPOINT_BYTES or (room_bytes > 0 and not self._in_flight)

    async def _add_records(self, items: list[Item], room_bytes: int) -> None:
        highest = self._buffer.highest_committed
        if self._sent_through >= highest:
            return
        records = await self._buffer.read_after(
            self._sent_through, max_records=self._frame_items_max, max_bytes=room_bytes
        )
        if not records:
            self._sent_through = highest
        used_bytes = 1 + CHECKPOINT_BYTES
        for record in records:
            used_bytes += len(record.payload) + RECORD_OVERHEAD_BYTES
            if used_bytes > room_bytes and (items or self._in_flight):
                break
            self._add_record(items, record)
            self._sent_through = record.seq
            if self._period.is_full:
                self._close_period(items)
                used_bytes += CHECKPOINT_BYTES

    def _add_record(self, items: list[Item], record: BufferedRecord) -> None:
        sender, epoch = self._sender, self.sending_epoch
        receiver = self._receiver_of(record)
        if self._signs_each or record.receiver != TO_MASTER:  # a message to a slave is always signed (§6.1)
            signed = sign_record(
                sender.key, sender.domain, sender.gid, sender.oid, receiver, record.seq, epoch, record.payload
            )
            items.append(signed)
        else:
            items.append(CheckpointedRecord(receiver, record.seq, epoch, record.payload))
            self._extend_period(record)

    def _receiver_of(self, record: BufferedRecord) -> ObjectId:
        return self._sender.master_oid if record.receiver == TO_MASTER else record.receiver

    def _extend_period(self, record: BufferedRecord) -> None:
        self._period.add(self._receiver_of(record), record.seq, self.sending_epoch, payload_hash(record.payload))

    def _close_period(self, items: list[Item]) -> None:
        period, sender = self._period.close(), self._sender
        if period is not None:
            items.append(sign_checkpoint(sender.key, sender.domain, sender.gid, sender.oid, period))

    def _note(self, items: list[Item]) -> bytes:
        frame = encode_frame(Items(tuple(items)))
        last_seq = evidence_seq = 0
        for item in items:  # both rise
            if isinstance(item, Checkpoint):
                evidence_seq = item.last_seq
            else:
                last_seq = item.seq
        self._in_flight.append(_InFlight(last_seq, evidence_seq, len(frame)))
        self._in_flight_bytes += len(frame)
        return frame

    def _forget_answered(self, ack: Ack) -> None:
        while self._in_flight:
            oldest = self._in_flight[0]
            if oldest.last_seq > ack.last_seq or oldest.evidence_seq > ack.evidence_seq:
                break
            self._in_flight_bytes -= self._in_flight.popleft().frame_bytes

    async def _take_refusal(self, ack: Ack) -> Verdict:
        if ack.reason in _TRY_AGAIN:
            return Verdict.BACK_OFF
        if ack.reason in _NO_MEMBER:
            return Verdict.NOT_A_MEMBER
        if ack == self._last_refusal:
            return (
                Verdict.BACK_OFF
            )  # sending again changed nothing: no hot loop against a master that means something else
        self._last_refusal = ack
        is_checkpoint = ack.refused_seq <= ack.last_seq
        if is_checkpoint or ack.reason is Reason.EVIDENCE_REQUIRED:
            self._give_up_on_checkpoints(ack)
        elif ack.reason is not Reason.STALE_EPOCH:
            await self._buffer.set_aside(ack.refused_seq, ack.reason)
        await self._start_from(ack)
        return Verdict.RESUME

    def _give_up_on_checkpoints(self, ack: Ack) -> None:
        """The two ends disagree on what waits for a checkpoint: from here on every record carries its own signature."""
        self.records_without_evidence = ack.last_seq - ack.evidence_seq
        self._signs_each = True
        self._has_given_up = True

    async def _start_from(self, ack: Ack) -> None:
        """Forget what was sent beyond the master's state, and make the open period again from the records it holds."""
        self._in_flight.clear()
        self._in_flight_bytes = 0
        self._sent_through = ack.last_seq
        self._period.begin_anew()
        if not self._has_given_up and ack.evidence_seq < ack.last_seq:
            await self._restore_period(ack)
        self._buffer.acknowledge(ack.last_seq if self._has_given_up else ack.evidence_seq)

    async def _restore_period(self, ack: Ack) -> None:
        seq = ack.evidence_seq
        while seq < ack.last_seq:
            records = await self._buffer.read_after(seq, max_records=FRAME_ITEMS_MAX, max_bytes=FRAME_MAX_BYTES)
            uncovered = [record for record in records if record.seq <= ack.last_seq]
            if not uncovered:
                break
            for record in uncovered:
                if record.receiver == TO_MASTER:
                    self._extend_period(record)
            seq = uncovered[-1].seq
        if seq < ack.last_seq:
            self._period.begin_anew()
            self._give_up_on_checkpoints(ack)
