"""What a master does with the items of a frame (``docs/protocol.md`` §6), without touching store or socket.

The shell handles one frame of a device at a time::

    stored = fetch(seqs_to_look_up(state, items))      # mostly nothing
    intake = take_items(items, state, rules, stored)
    commit(intake.records, intake.checkpoints)         # one transaction
    state = intake.state; send(intake.ack(...))        # only after the commit

The state needs no table of its own: ``DeviceState.restore`` makes it again from what is stored.
"""

from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, NoReturn, Self

from group_protocol.device_state import DeviceState, StoredRecord
from group_protocol.errors import DecodingError, Reason, RefusedError, UnexpectedMessageError, VerificationError
from group_protocol.frames import Ack, Resume
from group_protocol.identifiers import Address, GroupId, ObjectId
from group_protocol.limits import RECORD_SEQ_LIMIT
from group_protocol.records import (
    Checkpoint,
    CheckpointedRecord,
    Item,
    Record,
    RunningPeriod,
    SignedRecord,
    payload_hash,
    verify_checkpoint,
    verify_record,
)
from group_protocol.senml import count_readings, decode_readings
from group_protocol.tickets import EvidencePolicy, SessionTerms
from group_protocol.typed_data import TypedDataDomain


@dataclass(frozen=True, slots=True)
class IntakeRules:
    """What decides whether an item is good: the group as the contract has it now, and the master's terms.

    Attributes:
        domain: The contract's EIP-712 domain.
        gid: The session's group.
        sender: The session's device.
        is_sender_active: Whether it is an active member.
        epoch: The group's epoch now.
        address_in: The device's address in an epoch: whose signature is good for records of that epoch.
        is_active_member: Whether an object is an active member of the group, the master included.
        master: The master's own oid: what goes to another object is a peer message (§6.1).
        has_room: Whether one more message to that slave can be queued; asked last, once for each peer message.
        terms: As M4 told them to the device.
    """

    domain: TypedDataDomain
    gid: GroupId
    sender: ObjectId
    is_sender_active: bool
    epoch: int
    address_in: Callable[[int], Address]
    is_active_member: Callable[[ObjectId], bool]
    master: ObjectId
    has_room: Callable[[ObjectId], bool]
    terms: SessionTerms


class AcceptedRecord(NamedTuple):
    """A record to store.

    Attributes:
        payload_hash: SHA-256 of the payload, 32 bytes.
        readings: How many readings the payload holds.
    """

    record: Record
    payload_hash: bytes
    readings: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """The item at which the intake stopped.

    Attributes:
        seq: The record's seq, or the checkpoint's last seq.
        reason: For the device.
        detail: For the log.
    """

    seq: int
    reason: Reason
    detail: str


class Intake(NamedTuple):
    """What came of a frame. A tuple, as CheckpointPeriod is: each frame makes one.

    Attributes:
        state: The device's state once ``records`` and ``checkpoints`` are committed.
        records: To store, in order.
        checkpoints: To store, in order.
        repetitions: How many items were there before and are acknowledged only.
        refusal: Where it stopped; None if every item was taken.
    """

    state: DeviceState
    records: tuple[AcceptedRecord, ...]
    checkpoints: tuple[Checkpoint, ...]
    repetitions: int
    refusal: Refusal | None

    def ack(self, *, credit_bytes: int, epoch: int) -> Ack:
        """The answer to the frame, good only after the commit."""
        refused_seq, reason = (self.refusal.seq, self.refusal.reason) if self.refusal else (0, Reason.NONE)
        return Ack(self.state.last_seq, self.state.evidence_seq, credit_bytes, epoch, refused_seq, reason)


def seqs_to_look_up(state: DeviceState, items: Iterable[Item]) -> list[int]:
    """The seqs of records that may be repetitions: ``take_items`` wants to know what is stored under them."""
    return [item.seq for item in items if not isinstance(item, Checkpoint) and 0 < item.seq <= state.last_seq]


def take_items(
    items: Sequence[Item],
    state: DeviceState,
    rules: IntakeRules,
    stored: Mapping[int, StoredRecord],
    *,
    signed: Container[SignedRecord] = (),
) -> Intake:
    """Judge items in order and stop at the first that is refused.

    Args:
        items: Of one frame.
        state: The device's state, with everything before this frame committed.
        rules: The group and the terms now.
        stored: What the store holds under ``seqs_to_look_up``.
        signed: Records whose signature was checked before, against the sender's address in the records' epoch.
    """
    progress = _Progress(items, state, rules, stored, signed)
    refusal = None
    item: Item | None = None
    try:
        for item in items:
            progress.take(item)
    except RefusedError as exc:
        if item is not None:
            seq = item.last_seq if isinstance(item, Checkpoint) else item.seq
            refusal = Refusal(seq, exc.reason, str(exc))
    return Intake(progress.state, tuple(progress.records), tuple(progress.checkpoints), progress.repetitions, refusal)


@dataclass(frozen=True, slots=True)
class StreamGate:
    """Closed on a stream between a refusal and its RESUME; what comes meanwhile is passed over unanswered.

    Attributes:
        refused_seq: What RESUME has to name; None while the gate is open.
    """

    refused_seq: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether ITEMS are taken."""
        return self.refused_seq is None

    def after(self, intake: Intake) -> Self:
        """The gate behind a frame that was taken."""
        return replace(self, refused_seq=intake.refusal.seq if intake.refusal else None)

    def resume(self, frame: Resume) -> Self:
        """The gate open again.

        Raises:
            UnexpectedMessageError: Nothing was refused, or something else.
        """
        if self.refused_seq is None or frame.refused_seq != self.refused_seq:
            raise UnexpectedMessageError(f"RESUME names {frame.refused_seq}, the refused seq is {self.refused_seq}")
        return replace(self, refused_seq=None)


class _Progress:
    """The state of one ``take_items``, changed in place: a new one for each record would cost more than judging it."""

    def __init__(
        self,
        items: Sequence[Item],
        state: DeviceState,
        rules: IntakeRules,
        stored: Mapping[int, StoredRecord],
        signed: Container[SignedRecord],
    ) -> None:
        self.records: list[AcceptedRecord] = []
        self.checkpoints: list[Checkpoint] = []
        self.repetitions = 0
        self._last_seq = state.last_seq
        self._evidence_seq = state.evidence_seq
        self._period = RunningPeriod.resume(state.period)
        self._rules = rules
        self._known = stored
        self._signed = signed
        self._receivers: dict[ObjectId, bool] = {}
        self._readings = iter(_count_readings_of_new(items, state.last_seq) if rules.is_sender_active else ())

    @property
    def state(self) -> DeviceState:
        """As it is now."""
        return DeviceState(self._last_seq, self._evidence_seq, self._period.to_period())

    def take(self, item: Item) -> None:
        """Judge one item.

        Raises:
            RefusedError: It is refused; nothing has changed.
        """
        if not self._rules.is_sender_active:
            raise RefusedError(Reason.NOT_A_MEMBER)
        if isinstance(item, Checkpoint):
            self._take_checkpoint(item)
        elif not 0 < item.seq < RECORD_SEQ_LIMIT:
            raise RefusedError(Reason.BAD_RANGE, f"record seq {item.seq} is out of range")
        elif item.seq <= self._last_seq:
            self._take_repetition(item)
        else:
            self._take_new(item)

    def _take_repetition(self, record: Record) -> None:
        known = self._known.get(record.seq) or self._find_accepted(record.seq)
        if known is None:
            raise RefusedError(Reason.SEQ_NOT_RISING, f"record {record.seq} comes after {self._last_seq}")
        if not known.says_the_same(record):
            raise RefusedError(Reason.EQUIVOCATION, f"record {record.seq} was stored with other content")
        self.repetitions += 1

    def _find_accepted(self, seq: int) -> StoredRecord | None:
        """A record that these very items brought before."""
        at = bisect_left(self.records, seq, key=lambda accepted: accepted.record.seq)
        if at == len(self.records) or self.records[at].record.seq != seq:
            return None
        record, digest, _ = self.records[at]
        return StoredRecord(record.receiver, record.seq, record.epoch, digest)

    def _take_new(self, record: Record) -> None:
        self._check_envelope(record)
        readings = next(self._readings, 0) or _refuse_payload(record.payload)
        is_signed = isinstance(record, SignedRecord)
        if isinstance(record, SignedRecord) and record not in self._signed:
            self._check_signature(record)
        if record.receiver != self._rules.master and not self._rules.has_room(record.receiver):
            raise RefusedError(Reason.QUEUE_FULL, "too many messages wait for the receiver")
        digest = payload_hash(record.payload)
        seq = record.seq
        if not is_signed:
            if not self._period.records:
                self._evidence_seq = seq - 1
            self._period.add(record.receiver, seq, record.epoch, digest)
        elif not self._period.records:
            self._evidence_seq = seq
        self._last_seq = seq
        self.records.append(AcceptedRecord(record, digest, readings))

    def _check_envelope(self, record: Record) -> None:
        rules = self._rules
        if record.epoch != rules.epoch:
            raise RefusedError(Reason.STALE_EPOCH, f"epoch {record.epoch}, the group's is {rules.epoch}")
        is_receiver = self._receivers.get(record.receiver)
        if is_receiver is None:
            is_receiver = record.receiver != rules.sender and rules.is_active_member(record.receiver)
            self._receivers[record.receiver] = is_receiver
        if not is_receiver:
            raise RefusedError(Reason.UNKNOWN_RECEIVER)
        if len(record.payload) > rules.terms.payload_max_bytes:
            raise RefusedError(Reason.TOO_LARGE, f"payload of {len(record.payload)} bytes")
        if isinstance(record, CheckpointedRecord):
            self._check_evidence_may_wait(record)

    def _check_evidence_may_wait(self, record: CheckpointedRecord) -> None:
        terms, period = self._rules.terms, self._period
        if record.receiver != self._rules.master:
            raise RefusedError(Reason.EVIDENCE_REQUIRED, "a message to another slave needs a signature of its own")
        if terms.evidence_policy is not EvidencePolicy.CHECKPOINTS:
            raise RefusedError(Reason.EVIDENCE_REQUIRED, "every record needs a signature here")
        if period.records >= terms.checkpoint_records and period.epoch == self._rules.epoch:
            raise RefusedError(Reason.EVIDENCE_REQUIRED, f"{period.records} records wait for a checkpoint")

    def _check_signature(self, record: SignedRecord) -> None:
        rules = self._rules
        try:
            verify_record(record, rules.domain, rules.gid, rules.sender, rules.address_in(record.epoch))
        except VerificationError as exc:
            raise RefusedError(Reason.BAD_SIGNATURE, str(exc)) from exc

    def _take_checkpoint(self, checkpoint: Checkpoint) -> None:
        if 0 < checkpoint.first_seq <= checkpoint.last_seq <= self._evidence_seq:
            self.repetitions += 1
            return
        period = self._period.to_period()
        if period is None or not period.spans(checkpoint):
            raise RefusedError(Reason.BAD_RANGE, "the checkpoint does not span the records that wait for one")
        rules = self._rules
        signer = rules.address_in(checkpoint.epoch)
        try:
            verify_checkpoint(checkpoint, rules.domain, rules.gid, rules.sender, signer)
        except VerificationError as exc:
            raise RefusedError(Reason.BAD_SIGNATURE, str(exc)) from exc
        if checkpoint.running_hash != period.running_hash:
            raise RefusedError(Reason.EQUIVOCATION, "the checkpoint signs other records than were stored")
        self._evidence_seq = self._last_seq
        self._period = RunningPeriod()
        self.checkpoints.append(checkpoint)


def _count_readings_of_new(items: Sequence[Item], last_seq: int) -> Iterator[int]:
    """For each record that may be new, in order, how many readings it holds; 0 for the first that is no payload.

    All at once, since one decoder for many payloads takes half the time. What is counted for a record that is then
    refused or turns out a repetition is not used: the intake stops there, or the order of the others stays.
    """
    payloads = []
    for item in items:
        if not isinstance(item, Checkpoint) and item.seq > last_seq:
            last_seq = item.seq
            payloads.append(item.payload)
    return iter(count_readings(payloads))


def _refuse_payload(payload: bytes) -> NoReturn:
    try:
        decode_readings(payload)
    except DecodingError as exc:
        raise RefusedError(Reason.MALFORMED, str(exc)) from exc
    raise RefusedError(Reason.MALFORMED, "the payload holds no readings")
