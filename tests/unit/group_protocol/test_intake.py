import random
from collections.abc import Sequence

import pytest

from group_protocol import intake as intake_module
from group_protocol.device_state import DeviceState, StoredRecord
from group_protocol.errors import Reason, UnexpectedMessageError
from group_protocol.frames import Ack, Resume
from group_protocol.identifiers import ObjectId, Signature
from group_protocol.intake import AcceptedRecord, Intake, IntakeRules, StreamGate, seqs_to_look_up, take_items
from group_protocol.records import Checkpoint, CheckpointedRecord, Item, Record, SignedRecord, payload_hash, sign_record
from group_protocol.tickets import EvidencePolicy, SessionTerms
from tests.support.records import (
    DEVICE,
    DEVICE_KEY,
    DOMAIN,
    GID,
    MASTER,
    OTHER_DOMAIN,
    PEER,
    STRANGER,
    STRANGER_KEY,
    make_checkpoint,
    make_checkpointed,
    make_payload,
    make_period,
    make_signed,
    replace,
)

TERMS = SessionTerms(EvidencePolicy.CHECKPOINTS, 4, 5, 1_000, 86_400)
RULES = IntakeRules(
    domain=DOMAIN,
    gid=GID,
    sender=DEVICE,
    is_sender_active=True,
    epoch=1,
    address_in=lambda _epoch: DEVICE_KEY.address,
    is_active_member=lambda oid: oid in (MASTER, DEVICE, PEER),
    master=MASTER,
    has_room=lambda _oid: True,
    terms=TERMS,
)
RULES_EPOCH_2 = replace(RULES, epoch=2)
SIGNED_ONLY = replace(RULES, terms=replace(TERMS, evidence_policy=EvidencePolicy.SIGNED))
NEW = DeviceState()


def take(items: Sequence[Item], state: DeviceState = NEW, rules: IntakeRules = RULES, *stored: Record) -> Intake:
    return take_items(items, state, rules, {record.seq: as_stored(record) for record in stored})


def as_stored(record: Record) -> StoredRecord:
    return StoredRecord(record.receiver, record.seq, record.epoch, payload_hash(record.payload))


def assert_refused(intake: Intake, seq: int, reason: Reason) -> None:
    assert intake.refusal is not None
    assert (intake.refusal.seq, intake.refusal.reason) == (seq, reason)
    assert intake.refusal.detail


def test_nothing_of_a_stranger_is_looked_at_before_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sender and receiver are asked for first: neither payload nor signature of an outsider costs more than a look."""

    def never(*_arguments: object) -> None:
        raise AssertionError("it was looked at")

    for name in ("decode_readings", "payload_hash", "verify_record", "verify_checkpoint"):
        monkeypatch.setattr(intake_module, name, never)
    outside = replace(RULES, is_sender_active=False)
    assert_refused(take([TO_PEER], NEW, outside), 1, Reason.NOT_A_MEMBER)
    assert_refused(take([make_checkpoint(make_checkpointed(1))], NEW, outside), 1, Reason.NOT_A_MEMBER)
    assert_refused(take([replace(TO_PEER, receiver=STRANGER)]), 1, Reason.UNKNOWN_RECEIVER)


def test_payloads_of_a_stranger_are_not_even_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[object] = []
    monkeypatch.setattr(intake_module, "count_readings", counted.append)
    assert_refused(take([GOOD], NEW, replace(RULES, is_sender_active=False)), 1, Reason.NOT_A_MEMBER)
    assert counted == []


def test_room_is_asked_for_once_for_each_message_to_a_slave_and_never_for_one_to_the_master() -> None:
    asked: list[ObjectId] = []

    def has_room(oid: ObjectId) -> bool:
        asked.append(oid)
        return True

    later = sign_record(DEVICE_KEY, DOMAIN, GID, DEVICE, PEER, 3, 1, make_payload(3))
    intake = take([TO_PEER, make_signed(2), later, TO_PEER], NEW, replace(RULES, has_room=has_room))
    assert intake.refusal is None
    assert asked == [PEER, PEER]


def test_signed_message_to_a_slave_inside_an_open_period_is_no_part_of_it() -> None:
    waiting = [make_checkpointed(1), make_checkpointed(3)]
    message = sign_record(DEVICE_KEY, DOMAIN, GID, DEVICE, PEER, 2, 1, make_payload(2))
    intake = take([waiting[0], message, waiting[1], make_checkpoint(*waiting)])
    assert intake.refusal is None
    assert intake.state == DeviceState(3, 3)


def test_signed_records_are_accepted_with_hash_and_count_of_readings() -> None:
    records = [make_signed(1), make_signed(2, payload=make_payload(2, readings=3))]
    intake = take(records, NEW, SIGNED_ONLY)
    assert [accepted.record for accepted in intake.records] == records
    assert [accepted.readings for accepted in intake.records] == [1, 3]
    assert intake.records[0].payload_hash == payload_hash(records[0].payload)
    assert intake.state == DeviceState(last_seq=2, evidence_seq=2)
    assert intake.refusal is None
    assert intake.ack(credit_bytes=9, epoch=1) == Ack(2, 2, 9, 1)


def test_seqs_may_have_gaps() -> None:
    assert take([make_signed(3), make_signed(70)]).state == DeviceState(70, 70)


def test_checkpointed_records_wait_and_their_checkpoint_covers_them() -> None:
    records = [make_checkpointed(seq) for seq in (1, 2, 5)]
    waiting = take(records)
    assert waiting.state == DeviceState(5, 0, make_period(*records))
    closed = take([make_checkpoint(*records)], waiting.state)
    assert closed.state == DeviceState(5, 5)
    assert closed.checkpoints == (make_checkpoint(*records),)
    assert closed.records == ()


def test_records_and_checkpoints_of_several_periods_fit_one_frame() -> None:
    first, second = make_checkpointed(1), make_checkpointed(2)
    intake = take([first, make_checkpoint(first), second, make_checkpoint(second), make_signed(3)])
    assert intake.state == DeviceState(3, 3)
    assert len(intake.checkpoints) == 2


def test_signed_record_within_a_period_does_not_hide_what_still_waits() -> None:
    waiting = [make_checkpointed(5), make_checkpointed(6)]
    intake = take([*waiting, make_signed(7)], DeviceState(4, 4))
    assert intake.state == DeviceState(7, 4, make_period(*waiting))
    assert take([make_checkpoint(*waiting)], intake.state).state == DeviceState(7, 7)


def test_intake_stops_at_the_first_refusal_and_keeps_what_came_before() -> None:
    intake = take([make_signed(1), make_signed(2, key=STRANGER_KEY), make_signed(3)])
    assert_refused(intake, 2, Reason.BAD_SIGNATURE)
    assert [accepted.record.seq for accepted in intake.records] == [1]
    assert intake.state == DeviceState(1, 1)
    assert intake.ack(credit_bytes=0, epoch=1) == Ack(1, 1, 0, 1, 2, Reason.BAD_SIGNATURE)


GOOD = make_signed(1)
TO_PEER = sign_record(DEVICE_KEY, DOMAIN, GID, DEVICE, PEER, 1, 1, make_payload(1))
REFUSED: dict[str, tuple[Item, IntakeRules, Reason]] = {
    "revoked sender": (GOOD, replace(RULES, is_sender_active=False), Reason.NOT_A_MEMBER),
    "seq zero": (make_signed(0), RULES, Reason.BAD_RANGE),
    "seq beyond 56 bits": (make_signed(1 << 56), RULES, Reason.BAD_RANGE),
    "epoch too old": (GOOD, RULES_EPOCH_2, Reason.STALE_EPOCH),
    "epoch not there yet": (make_signed(1, epoch=2), RULES, Reason.STALE_EPOCH),
    "receiver unknown": (replace(GOOD, receiver=STRANGER), RULES, Reason.UNKNOWN_RECEIVER),
    "receiver outside, payload and signature rubbish": (
        SignedRecord(STRANGER, 1, 1, b"rubbish", Signature(bytes(64))),
        RULES,
        Reason.UNKNOWN_RECEIVER,
    ),
    "sender outside, all else rubbish": (
        SignedRecord(STRANGER, 0, 9, b"rubbish", Signature(bytes(64))),
        replace(RULES, is_sender_active=False),
        Reason.NOT_A_MEMBER,
    ),
    "message to a slave under a checkpoint": (
        CheckpointedRecord(PEER, 1, 1, make_payload(1)),
        RULES,
        Reason.EVIDENCE_REQUIRED,
    ),
    "no room for a message to a slave": (TO_PEER, replace(RULES, has_room=lambda _oid: False), Reason.QUEUE_FULL),
    "forged message where there is no room": (
        replace(TO_PEER, signature=GOOD.signature),
        replace(RULES, has_room=lambda _oid: False),
        Reason.BAD_SIGNATURE,
    ),
    "receiver itself": (replace(GOOD, receiver=DEVICE), RULES, Reason.UNKNOWN_RECEIVER),
    "too large": (make_signed(1, payload=bytes(1_001)), RULES, Reason.TOO_LARGE),
    "no evidence": (make_checkpointed(1), SIGNED_ONLY, Reason.EVIDENCE_REQUIRED),
    "empty payload": (make_signed(1, payload=b""), RULES, Reason.MALFORMED),
    "no SenML": (make_signed(1, payload=b"\x80"), RULES, Reason.MALFORMED),
    "no SenML, unsigned": (replace(make_checkpointed(1), payload=b"{}"), RULES, Reason.MALFORMED),
    "another key": (make_signed(1, key=STRANGER_KEY), RULES, Reason.BAD_SIGNATURE),
    "another chain": (GOOD, replace(RULES, domain=OTHER_DOMAIN), Reason.BAD_SIGNATURE),
    "another payload": (replace(GOOD, payload=make_payload(2)), RULES, Reason.BAD_SIGNATURE),
    "another seq": (replace(GOOD, seq=2), RULES, Reason.BAD_SIGNATURE),
    "zero signature": (replace(GOOD, signature=Signature(bytes(64))), RULES, Reason.BAD_SIGNATURE),
    "checkpoint of nothing": (make_checkpoint(make_checkpointed(1)), RULES, Reason.BAD_RANGE),
}


@pytest.mark.parametrize(("item", "rules", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_item_is_refused_and_changes_nothing(item: Item, rules: IntakeRules, reason: Reason) -> None:
    intake = take([item], NEW, rules)
    assert_refused(intake, item.last_seq if isinstance(item, Checkpoint) else item.seq, reason)
    assert (intake.records, intake.checkpoints, intake.repetitions) == ((), (), 0)
    assert intake.state == NEW


def test_revoked_sender_gets_no_repetition_acknowledged_and_no_period_closed() -> None:
    record = make_checkpointed(1)
    state = take([record]).state
    revoked = replace(RULES, is_sender_active=False)
    assert_refused(take([record], state, revoked, record), 1, Reason.NOT_A_MEMBER)
    assert_refused(take([make_checkpoint(record)], state, revoked), 1, Reason.NOT_A_MEMBER)


def test_payload_of_exactly_the_largest_size_is_taken() -> None:
    payload = make_payload(1, readings=40)
    terms = replace(TERMS, payload_max_bytes=len(payload))
    assert take([make_signed(1, payload=payload)], NEW, replace(RULES, terms=terms)).refusal is None


# Repetitions


def test_lookups_are_asked_for_what_may_be_there_only() -> None:
    checkpoint = make_checkpoint(make_checkpointed(2))
    signed = [make_signed(at) for at in (0, 1, 4, 6)]
    items: list[Item] = [*signed[:3], make_checkpointed(5), signed[3], checkpoint]
    assert seqs_to_look_up(DeviceState(5, 5), items) == [1, 4, 5]
    assert seqs_to_look_up(NEW, items) == []


def test_repeated_record_is_acknowledged_and_not_accepted_again() -> None:
    intake = take([GOOD, make_signed(2)], DeviceState(1, 1), RULES, GOOD)
    assert [accepted.record.seq for accepted in intake.records] == [2]
    assert intake.repetitions == 1
    assert intake.state == DeviceState(2, 2)


def test_every_repetition_of_a_frame_is_counted() -> None:
    record = make_checkpointed(2)
    checkpoint = make_checkpoint(record)
    assert take([GOOD, GOOD, GOOD, record, checkpoint, checkpoint, checkpoint]).repetitions == 4


def test_record_is_verified_by_the_key_of_its_epoch() -> None:
    by_epoch = {1: DEVICE_KEY.address, 2: STRANGER_KEY.address}
    assert take([GOOD], NEW, replace(RULES, address_in=by_epoch.__getitem__)).refusal is None


def test_refusal_tells_the_log_what_was_wrong() -> None:
    refusal = take([make_signed(3)], DeviceState(5, 5)).refusal
    assert refusal is not None
    assert refusal.detail == "record 3 comes after 5"


def test_record_signed_again_under_another_epoch_is_a_repetition() -> None:
    for again in (make_signed(1, epoch=2), make_checkpointed(1, epoch=2)):
        intake = take([again], DeviceState(1, 1), RULES_EPOCH_2, GOOD)
        assert intake.refusal is None
        assert intake.repetitions == 1


@pytest.mark.parametrize(
    "other", [make_signed(1, payload=make_payload(9)), replace(GOOD, receiver=DEVICE)], ids=["payload", "receiver"]
)
def test_stored_seq_with_other_content_is_equivocation(other: Record) -> None:
    intake = take([other, make_signed(2)], DeviceState(1, 1), RULES, GOOD)
    assert_refused(intake, 1, Reason.EQUIVOCATION)
    assert intake.state == DeviceState(1, 1)


def test_seq_of_a_gap_is_refused_as_not_rising() -> None:
    assert_refused(take([make_signed(3)], DeviceState(5, 5)), 3, Reason.SEQ_NOT_RISING)


def test_record_twice_in_one_frame_is_a_repetition_and_its_contradiction_is_equivocation() -> None:
    assert take([GOOD, GOOD]).repetitions == 1
    intake = take([GOOD, make_signed(1, payload=make_payload(9))])
    assert_refused(intake, 1, Reason.EQUIVOCATION)
    assert intake.state == DeviceState(1, 1)


def test_repeated_checkpoint_is_acknowledged_and_not_accepted_again() -> None:
    record = make_checkpointed(1)
    state = take([record, make_checkpoint(record)]).state
    intake = take([make_checkpoint(record)], state)
    assert (intake.checkpoints, intake.repetitions, intake.refusal) == ((), 1, None)


@pytest.mark.parametrize(("first_seq", "last_seq"), [(0, 1), (2, 1)])
def test_impossible_checkpoint_of_covered_records_is_no_repetition(first_seq: int, last_seq: int) -> None:
    checkpoint = replace(make_checkpoint(make_checkpointed(1)), first_seq=first_seq, last_seq=last_seq)
    assert_refused(take([checkpoint], DeviceState(5, 5)), 1, Reason.BAD_RANGE)


# Checkpoints

WAITING = [make_checkpointed(seq) for seq in (1, 2, 3)]
WAITING_STATE = DeviceState(3, 0, make_period(*WAITING))
BAD_CHECKPOINTS = {
    "part of the period": (make_checkpoint(*WAITING[:2]), Reason.BAD_RANGE),
    "end of the period": (make_checkpoint(*WAITING[1:]), Reason.BAD_RANGE),
    "beyond the period": (make_checkpoint(*WAITING, make_checkpointed(4)), Reason.BAD_RANGE),
    "backwards": (replace(make_checkpoint(*WAITING), first_seq=3, last_seq=1), Reason.BAD_RANGE),
    "first seq zero": (replace(make_checkpoint(*WAITING), first_seq=0), Reason.BAD_RANGE),
    "another epoch": (replace(make_checkpoint(*WAITING), epoch=2), Reason.BAD_RANGE),
    "another key": (make_checkpoint(*WAITING, key=STRANGER_KEY), Reason.BAD_SIGNATURE),
    "hash not the signed one": (replace(make_checkpoint(*WAITING), running_hash=bytes(32)), Reason.BAD_SIGNATURE),
    "other records": (
        make_checkpoint(WAITING[0], replace(WAITING[1], payload=b"other"), WAITING[2]),
        Reason.EQUIVOCATION,
    ),
    "left one out": (make_checkpoint(WAITING[0], WAITING[2]), Reason.EQUIVOCATION),
}


@pytest.mark.parametrize(("checkpoint", "reason"), BAD_CHECKPOINTS.values(), ids=BAD_CHECKPOINTS.keys())
def test_bad_checkpoint_is_refused_and_leaves_the_period_open(checkpoint: Item, reason: Reason) -> None:
    intake = take([checkpoint], WAITING_STATE)
    assert intake.refusal is not None
    assert intake.refusal.reason == reason
    assert intake.state == WAITING_STATE
    assert intake.checkpoints == ()


def test_period_longer_than_the_terms_allow_needs_its_checkpoint_first() -> None:
    records = [make_checkpointed(seq) for seq in range(1, 6)]
    full = take(records)
    assert_refused(full, 5, Reason.EVIDENCE_REQUIRED)
    assert full.state.last_seq == 4
    assert take([make_checkpoint(*records[:4]), records[4]], full.state).refusal is None
    assert take([make_signed(5)], full.state).refusal is None


def test_period_may_be_closed_after_the_master_has_asked_for_signatures() -> None:
    assert take([make_checkpoint(*WAITING)], WAITING_STATE, SIGNED_ONLY).state == DeviceState(3, 3)


def test_period_of_the_old_epoch_is_closed_after_the_epoch_rose() -> None:
    intake = take([make_checkpoint(*WAITING), make_checkpointed(4, epoch=2)], WAITING_STATE, RULES_EPOCH_2)
    assert intake.refusal is None
    assert intake.state == DeviceState(4, 3, make_period(make_checkpointed(4, epoch=2)))


def test_full_period_of_the_old_epoch_does_not_keep_the_new_one_from_beginning() -> None:
    full = [make_checkpointed(seq) for seq in (1, 2, 3, 4)]
    later = make_checkpointed(5, epoch=2)
    assert take([later], take(full).state, RULES_EPOCH_2).state == DeviceState(5, 0, make_period(later))


def test_old_periods_checkpoint_is_verified_by_the_key_of_its_epoch() -> None:
    rotated = replace(
        RULES_EPOCH_2, address_in=lambda epoch: DEVICE_KEY.address if epoch == 1 else STRANGER_KEY.address
    )
    assert take([make_checkpoint(*WAITING)], WAITING_STATE, rotated).refusal is None
    by_new_key = make_checkpoint(*WAITING, key=STRANGER_KEY)
    assert_refused(take([by_new_key], WAITING_STATE, rotated), 3, Reason.BAD_SIGNATURE)
    assert take([make_signed(4, epoch=2, key=STRANGER_KEY)], WAITING_STATE, rotated).refusal is None


def test_record_of_the_new_epoch_gives_up_a_period_that_was_not_closed() -> None:
    later = make_checkpointed(4, epoch=2)
    intake = take([later], WAITING_STATE, RULES_EPOCH_2)
    assert intake.state == DeviceState(4, 0, make_period(later))
    assert_refused(take([make_checkpoint(*WAITING)], intake.state, RULES_EPOCH_2), 3, Reason.BAD_RANGE)
    assert take([make_checkpoint(later)], intake.state, RULES_EPOCH_2).state == DeviceState(4, 4)


# Restart


def test_state_after_a_restart_in_the_middle_of_a_period_is_the_state_before() -> None:
    before = take([make_signed(1), make_checkpointed(3), make_signed(4), make_checkpointed(6)]).state
    uncovered = [as_stored(make_checkpointed(3)), as_stored(make_checkpointed(6))]
    restored = DeviceState.restore(6, uncovered)
    assert restored == before
    checkpoint = make_checkpoint(make_checkpointed(3), make_checkpointed(6))
    assert take([checkpoint], restored).state == DeviceState(6, 6)


def test_restored_state_waits_for_the_newest_epochs_records_only() -> None:
    later = make_checkpointed(4, epoch=2)
    before = take([later], WAITING_STATE, RULES_EPOCH_2).state
    assert DeviceState.restore(4, [as_stored(record) for record in (*WAITING, later)]) == before


def test_state_without_uncovered_records_is_all_covered() -> None:
    assert DeviceState.restore(0, []) == NEW
    assert DeviceState.restore(9, []) == DeviceState(9, 9)


# The gate of a stream


def test_gate_closes_at_a_refusal_and_opens_at_its_resume() -> None:
    gate = StreamGate()
    assert gate.is_open
    assert gate.after(take([GOOD])).is_open
    closed = gate.after(take([CheckpointedRecord(STRANGER, 8, 1, b"")]))
    assert not closed.is_open
    assert closed.resume(Resume(8)).is_open


@pytest.mark.parametrize(("gate", "named"), [(StreamGate(), 1), (StreamGate(8), 7), (StreamGate(8), 0)])
def test_resume_that_does_not_name_the_refused_seq_raises(gate: StreamGate, named: int) -> None:
    with pytest.raises(UnexpectedMessageError):
        gate.resume(Resume(named))


def take_frame_by_frame(frames: Sequence[Sequence[Item]], rules: IntakeRules) -> Intake:
    """As a stream does without putting frames together: what follows a refusal is passed over."""
    state, repetitions = NEW, 0
    records: list[AcceptedRecord] = []
    checkpoints: list[Checkpoint] = []
    known: dict[int, StoredRecord] = {}
    for frame in frames:
        intake = take_items(frame, state, rules, known)
        state = intake.state
        records += intake.records
        checkpoints += intake.checkpoints
        repetitions += intake.repetitions
        known |= {accepted.record.seq: as_stored(accepted.record) for accepted in intake.records}
        if intake.refusal:
            return Intake(state, tuple(records), tuple(checkpoints), repetitions, intake.refusal)
    return Intake(state, tuple(records), tuple(checkpoints), repetitions, None)


@pytest.mark.parametrize("seed", range(40))
def test_frames_put_together_are_judged_like_one_after_the_other(seed: int) -> None:
    chance = random.Random(seed)
    items: list[Item] = []
    waiting: list[CheckpointedRecord] = []
    for seq in range(1, chance.randrange(2, 17)):
        match chance.randrange(12):
            case 0 if items:
                items.append(chance.choice(items))
            case 1:
                items.append(replace(make_checkpointed(seq), payload=chance.choice([b"{}", b"", make_payload(3)])))
            case 2:
                items.append(replace(make_signed(seq), epoch=chance.choice([1, 2])))
            case 3 if waiting:
                items.append(make_checkpoint(*waiting))
                waiting = []
            case 4 | 5:
                items.append(make_signed(seq, payload=make_payload(seq, readings=chance.randrange(1, 4))))
            case _:
                waiting.append(make_checkpointed(seq))
                items.append(waiting[-1])
    frames, rest = [], items
    while rest:
        cut = chance.randrange(1, 4)
        frames.append(rest[:cut])
        rest = rest[cut:]
    assert take(items) == take_frame_by_frame(frames, RULES)


def test_record_that_was_found_good_before_is_not_checked_again() -> None:
    unverified = replace(GOOD, signature=Signature(bytes(64)))
    assert take_items([unverified], NEW, RULES, {}, signed={unverified}).refusal is None
    assert_refused(take_items([unverified], NEW, RULES, {}, signed={GOOD}), 1, Reason.BAD_SIGNATURE)
