"""Any sequence of items: the intake keeps its promises, and a restart at any moment changes nothing."""

from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from group_protocol.device_state import DeviceState, StoredRecord
from group_protocol.errors import Reason
from group_protocol.intake import IntakeRules, seqs_to_look_up, take_items
from group_protocol.records import Checkpoint, CheckpointedRecord, CheckpointPeriod, Item, SignedRecord, sign_checkpoint
from group_protocol.tickets import EvidencePolicy, SessionTerms
from tests.support.records import DEVICE, DEVICE_KEY, DOMAIN, GID, MASTER, make_checkpointed, make_signed

RULES = IntakeRules(
    domain=DOMAIN,
    gid=GID,
    sender=DEVICE,
    is_sender_active=True,
    epoch=1,
    address_in=lambda _epoch: DEVICE_KEY.address,
    is_active_member=lambda oid: oid == MASTER,
    master=MASTER,
    has_room=lambda _oid: True,
    terms=SessionTerms(EvidencePolicy.CHECKPOINTS, 3, 5, 1_000, 86_400),
)


@dataclass
class Store:
    """What a master keeps, in memory."""

    records: dict[int, tuple[StoredRecord, bool]] = field(default_factory=dict)
    checkpoints: list[Checkpoint] = field(default_factory=list)

    def restore(self) -> DeviceState:
        covered_to = max((checkpoint.last_seq for checkpoint in self.checkpoints), default=0)
        uncovered = [
            record for seq, (record, is_signed) in sorted(self.records.items()) if not is_signed and seq > covered_to
        ]
        return DeviceState.restore(max(self.records, default=0), uncovered)


SEQS = st.integers(0, 12)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("signed"), SEQS, st.integers(1, 3)),
        st.tuples(st.just("checkpointed"), SEQS, st.integers(1, 3)),
        st.tuples(st.just("checkpoint"), SEQS, st.integers(1, 3)),
        st.tuples(st.just("epoch rises"), st.just(0), st.just(0)),
    ),
    max_size=30,
)


def make_item(kind: str, seq: int, epoch: int, state: DeviceState) -> Item:
    if kind == "signed":
        return make_signed(seq, epoch=epoch)
    if kind == "checkpointed":
        return make_checkpointed(seq, epoch=epoch)
    period = state.period or CheckpointPeriod.begin(MASTER, seq, epoch, bytes(32))
    return sign_checkpoint(DEVICE_KEY, DOMAIN, GID, DEVICE, period)


@given(STEPS)
def test_state_can_be_restored_after_every_frame(steps: list[tuple[str, int, int]]) -> None:
    store, state, rules = Store(), DeviceState(), RULES
    for kind, seq, epoch in steps:
        if kind == "epoch rises":
            rules = replace(rules, epoch=rules.epoch + 1)
            continue
        items = [make_item(kind, seq, epoch, state)]
        stored = {at: store.records[at][0] for at in seqs_to_look_up(state, items) if at in store.records}
        intake = take_items(items, state, rules, stored)
        for accepted in intake.records:
            record = accepted.record
            assert record.seq > state.last_seq
            assert record.epoch == rules.epoch
            kept = StoredRecord(record.receiver, record.seq, record.epoch, accepted.payload_hash)
            store.records[record.seq] = (kept, isinstance(record, SignedRecord))
        store.checkpoints += intake.checkpoints
        assert_advances(state, intake.state)
        state = intake.state
        assert store.restore() == state
        assert_evidence_is_there(store, state)


def assert_advances(before: DeviceState, after: DeviceState) -> None:
    assert after.last_seq >= before.last_seq
    assert after.evidence_seq >= before.evidence_seq
    assert after.evidence_seq <= after.last_seq
    assert (after.period is None) == (after.evidence_seq == after.last_seq)


def assert_evidence_is_there(store: Store, state: DeviceState) -> None:
    newest_epoch = max((record.epoch for record, is_signed in store.records.values() if not is_signed), default=0)
    for seq, (record, is_signed) in store.records.items():
        # A period that a newer epoch's records began after is given up.
        if seq <= state.evidence_seq and not is_signed and record.epoch == newest_epoch:
            assert any(kept.first_seq <= seq <= kept.last_seq for kept in store.checkpoints)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 6)), min_size=1, max_size=8), st.integers(1, 7))
def test_frames_cut_anywhere_give_the_same_state_as_one_frame(kinds: list[tuple[bool, int]], cut: int) -> None:
    items: list[SignedRecord | CheckpointedRecord] = [
        make_signed(seq) if is_signed else make_checkpointed(seq) for is_signed, seq in kinds
    ]
    whole = take_items(items, DeviceState(), RULES, {})
    first = take_items(items[:cut], DeviceState(), RULES, {})
    if first.refusal:
        assert (first.state, first.refusal) == (whole.state, whole.refusal)
        return
    stored = {
        accepted.record.seq: StoredRecord(
            accepted.record.receiver, accepted.record.seq, accepted.record.epoch, accepted.payload_hash
        )
        for accepted in first.records
    }
    second = take_items(items[cut:], first.state, RULES, stored)
    assert (second.state, second.refusal) == (whole.state, whole.refusal)
    assert first.records + second.records == whole.records
    expected = (Reason.EVIDENCE_REQUIRED, Reason.SEQ_NOT_RISING)
    assert whole.refusal is None or whole.refusal.reason in expected
