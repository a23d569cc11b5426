"""The slave's sending against the core's own rules for a master, joined in memory."""

import random
from collections.abc import AsyncIterator

import pytest

from group_protocol.crypto.keys import PrivateKey
from group_protocol.device_state import DeviceState, StoredRecord
from group_protocol.errors import Reason
from group_protocol.frames import Ack, Items, Resume, decode_slave_frame
from group_protocol.identifiers import Address, GroupId, ObjectId, derive_object_id
from group_protocol.intake import IntakeRules, StreamGate, seqs_to_look_up, take_items
from group_protocol.ports import RegistryIdentity
from group_protocol.records import Checkpoint, CheckpointedRecord, Record, SignedRecord, payload_hash
from group_protocol.senml import Reading, encode_readings
from group_protocol.tickets import EvidencePolicy, SessionTerms
from group_protocol.typed_data import TypedDataDomain
from slave_client.buffer import Buffer
from slave_client.buffered_record import BufferLimits
from slave_client.outbox import TO_MASTER, Outbox, Sender, Verdict
from slave_client.state_directory import StateDirectory
from tests.support.seeded import ManualClock, SeededRandom

KEY = PrivateKey.from_secret(b"\x22" * 32)
OID = derive_object_id(KEY.address)
MASTER_OID = ObjectId(b"m" * 16)
OTHER_OID = ObjectId(b"o" * 16)
GID = GroupId(b"g" * 16)
DOMAIN = TypedDataDomain(RegistryIdentity(1337, Address(b"c" * 20)))
SENDER = Sender(KEY, DOMAIN, GID, OID, MASTER_OID)


def make_terms(
    policy: EvidencePolicy = EvidencePolicy.CHECKPOINTS, *, records: int = 10, seconds: int = 5
) -> SessionTerms:
    return SessionTerms(policy, records, seconds, 65_536, 86_400)


class MemoryMaster:
    """Judges frames by the core's intake and stores what is good."""

    def __init__(self, terms: SessionTerms) -> None:
        self.terms = terms
        self.epoch = 1
        self.credit_bytes = 1 << 20
        self.is_active = True
        self.has_room = True
        self.state = DeviceState()
        self.records: list[Record] = []
        self.checkpoints: list[Checkpoint] = []
        self.gate = StreamGate()

    def ack(self) -> Ack:
        return Ack(self.state.last_seq, self.state.evidence_seq, self.credit_bytes, self.epoch)

    def take(self, plaintext: bytes) -> Ack | None:
        frame = decode_slave_frame(plaintext)
        assert isinstance(frame, Items)
        if not self.gate.is_open:
            return None
        stored = {
            record.seq: record for record in self.stored() if record.seq in seqs_to_look_up(self.state, frame.items)
        }
        intake = take_items(frame.items, self.state, self._rules(), stored)
        self.state = intake.state
        self.records += [accepted.record for accepted in intake.records]
        self.checkpoints += intake.checkpoints
        self.gate = self.gate.after(intake)
        return intake.ack(credit_bytes=self.credit_bytes, epoch=self.epoch)

    def resume(self, refused_seq: int) -> None:
        self.gate = self.gate.resume(Resume(refused_seq))

    def stored(self) -> list[StoredRecord]:
        return [StoredRecord(r.receiver, r.seq, r.epoch, payload_hash(r.payload)) for r in self.records]

    def _rules(self) -> IntakeRules:
        return IntakeRules(
            domain=DOMAIN,
            gid=GID,
            sender=OID,
            is_sender_active=self.is_active,
            epoch=self.epoch,
            address_in=lambda _epoch: KEY.address,
            is_active_member=lambda oid: oid in (MASTER_OID, OTHER_OID),
            master=MASTER_OID,
            has_room=lambda _oid: self.has_room,
            terms=self.terms,
        )


@pytest.fixture
async def buffer(directory: StateDirectory) -> AsyncIterator[Buffer]:
    buffer = await Buffer.open(directory, b"s" * 32, limits=BufferLimits(), clock=ManualClock(), random=SeededRandom(1))
    yield buffer
    await buffer.close()


def payload(value: float) -> bytes:
    return encode_readings([Reading("ppg", 1_700_000_000.0, value)])


async def fill(buffer: Buffer, count: int) -> None:
    for _ in range(count):
        buffer.append(payload(float(buffer.fill().next_seq)), TO_MASTER)
    await buffer.commit()


async def begun(buffer: Buffer, master: MemoryMaster, clock: ManualClock | None = None, *, epoch: int = 1) -> Outbox:
    outbox = Outbox(buffer, SENDER, master.terms, sending_epoch=epoch, clock=clock or ManualClock())
    master.gate = StreamGate()
    await outbox.begin(master.ack())
    return outbox


async def pump(outbox: Outbox, master: MemoryMaster, *, closes_period: bool = True) -> None:
    """Frames and ACKs, one after the other, until the outbox has nothing more to say."""
    for _ in range(10_000):
        if outbox.epoch_to_begin is not None:
            outbox.begin_epoch(outbox.epoch_to_begin)
        frame = await outbox.next_frame(closes_period=closes_period)
        if frame is None:
            if outbox.epoch_to_begin is None:
                return
            continue
        ack = master.take(frame)
        assert ack is not None
        if await outbox.take_ack(ack) is Verdict.RESUME:
            master.resume(ack.refused_seq)
    raise AssertionError("the outbox never comes to rest")


@pytest.mark.parametrize("policy", list(EvidencePolicy))
async def test_every_record_is_stored_once_with_evidence_and_leaves_the_buffer(
    buffer: Buffer, policy: EvidencePolicy
) -> None:
    master = MemoryMaster(make_terms(policy))
    await fill(buffer, 95)
    outbox = await begun(buffer, master)
    await pump(outbox, master)
    assert [record.seq for record in master.records] == list(range(1, 96))
    assert master.state.evidence_seq == 95
    assert outbox.is_drained
    await buffer.commit()
    assert buffer.fill().records == 0


async def test_record_without_evidence_stays_in_the_buffer(buffer: Buffer) -> None:
    master = MemoryMaster(make_terms(records=10))
    await fill(buffer, 15)
    outbox = await begun(buffer, master)
    await pump(outbox, master, closes_period=False)
    assert (master.state.last_seq, master.state.evidence_seq) == (15, 10)
    await buffer.commit()
    assert buffer.fill().records == 5


async def test_checkpoint_falls_due_by_age(buffer: Buffer) -> None:
    clock = ManualClock()
    master = MemoryMaster(make_terms(seconds=5))
    await fill(buffer, 3)
    outbox = await begun(buffer, master, clock)
    await pump(outbox, master, closes_period=False)
    assert outbox.due_s == clock.monotonic_s() + 5.0
    assert master.state.evidence_seq == 0
    clock.advance(5.0)
    await pump(outbox, master, closes_period=False)
    assert master.state.evidence_seq == 3
    assert outbox.due_s is None


async def test_first_checkpoint_of_a_session_falls_due_at_the_drawn_share_and_the_next_at_the_full_age(
    buffer: Buffer,
) -> None:
    clock = ManualClock()
    master = MemoryMaster(make_terms(seconds=5))
    outbox = Outbox(buffer, SENDER, master.terms, sending_epoch=1, clock=clock, draw_share=lambda: 0.5)
    await outbox.begin(master.ack())
    for waits_s, evidence in ((2.5, 2), (5.0, 4), (5.0, 6)):
        await fill(buffer, 2)
        await pump(outbox, master, closes_period=False)
        assert outbox.due_s == clock.monotonic_s() + waits_s
        clock.advance(waits_s)
        await pump(outbox, master, closes_period=False)
        assert master.state.evidence_seq == evidence


async def test_first_checkpoint_of_a_session_comes_after_the_drawn_share_of_the_records_that_still_fit(
    buffer: Buffer,
) -> None:
    master = MemoryMaster(make_terms(records=10))
    await fill(buffer, 4)
    await pump(await begun(buffer, master), master, closes_period=False)
    outbox = Outbox(buffer, SENDER, master.terms, sending_epoch=1, clock=ManualClock(), draw_share=lambda: 0.5)
    await outbox.begin(master.ack())
    await fill(buffer, 23)
    await pump(outbox, master, closes_period=False)
    assert [(point.first_seq, point.last_seq) for point in master.checkpoints] == [(1, 7), (8, 17), (18, 27)]


async def test_first_checkpoint_of_a_new_epoch_falls_due_at_a_share_too(buffer: Buffer) -> None:
    clock = ManualClock()
    master = MemoryMaster(make_terms(records=100, seconds=5))
    shares = iter([1.0, 0.2])
    outbox = Outbox(buffer, SENDER, master.terms, sending_epoch=1, clock=clock, draw_share=lambda: next(shares))
    await outbox.begin(master.ack())
    await fill(buffer, 2)
    await pump(outbox, master, closes_period=False)
    master.epoch = 2
    await outbox.take_ack(master.ack())
    await fill(buffer, 2)
    await pump(outbox, master, closes_period=False)
    assert [point.epoch for point in master.checkpoints] == [1]
    assert outbox.due_s == clock.monotonic_s() + 1.0


async def test_checkpoint_under_way_keeps_the_outbox_from_being_drained(buffer: Buffer) -> None:
    master = MemoryMaster(make_terms())
    await fill(buffer, 3)
    outbox = await begun(buffer, master)
    await pump(outbox, master, closes_period=False)
    checkpoint = await outbox.next_frame(closes_period=True)
    assert checkpoint is not None
    await outbox.take_ack(master.ack())
    assert not outbox.is_drained
    ack = master.take(checkpoint)
    assert ack is not None
    await outbox.take_ack(ack)
    assert outbox.is_drained


async def test_new_session_closes_the_period_that_the_last_one_left_open(buffer: Buffer) -> None:
    master = MemoryMaster(make_terms())
    await fill(buffer, 7)
    await pump(await begun(buffer, master), master, closes_period=False)
    assert master.state.evidence_seq == 0
    await fill(buffer, 2)
    await pump(await begun(buffer, master), master)
    assert (master.state.last_seq, master.state.evidence_seq) == (9, 9)
    assert len(master.checkpoints) == 1
    assert master.checkpoints[0].first_seq == 1


async def test_epoch_that_rose_between_sessions_closes_the_period_under_the_old_epoch(buffer: Buffer) -> None:
    master = MemoryMaster(make_terms())
    await fill(buffer, 4)
    await pump(await begun(buffer, master), master, closes_period=False)
    master.epoch = 3
    await fill(buffer, 4)
    outbox = await begun(buffer, master)
    await pump(outbox, master)
    assert [record.epoch for record in master.records] == [1] * 4 + [3] * 4
    assert [(point.epoch, point.first_seq, point.last_seq) for point in master.checkpoints] == [(1, 1, 4), (3, 5, 8)]
    assert outbox.sending_epoch == 3


@pytest.mark.parametrize("policy", list(EvidencePolicy))
async def test_stale_epoch_is_signed_again_under_the_new_one_with_the_same_seq(
    buffer: Buffer, policy: EvidencePolicy
) -> None:
    master = MemoryMaster(make_terms(policy))
    await fill(buffer, 5)
    outbox = await begun(buffer, master)
    master.epoch = 2
    await pump(outbox, master)
    assert [(record.seq, record.epoch) for record in master.records] == [(seq, 2) for seq in range(1, 6)]
    assert master.state.evidence_seq == 5


async def test_frames_in_flight_behind_a_refusal_are_sent_again(buffer: Buffer) -> None:
    master = MemoryMaster(make_terms(EvidencePolicy.SIGNED))
    await fill(buffer, 300)
    outbox = await begun(buffer, master)
    frames = [await outbox.next_frame(), await outbox.next_frame()]
    master.epoch = 2
    acks = [master.take(frame) for frame in frames if frame]
    assert len(acks) == 2
    assert acks[1] is None
    assert acks[0] is not None
    assert await outbox.take_ack(acks[0]) is Verdict.RESUME
    master.resume(acks[0].refused_seq)
    await pump(outbox, master)
    assert [record.seq for record in master.records] == list(range(1, 301))


async def test_record_that_the_master_cannot_take_is_set_aside_and_the_rest_goes_on(buffer: Buffer) -> None:
    master = MemoryMaster(make_terms(EvidencePolicy.SIGNED))
    buffer.append(payload(1.0), TO_MASTER)
    buffer.append(b"no SenML", TO_MASTER)
    buffer.append(payload(3.0), ObjectId(b"stranger's oid.."))
    buffer.append(payload(4.0), TO_MASTER)
    await buffer.commit()
    outbox = await begun(buffer, master)
    await pump(outbox, master)
    assert [record.seq for record in master.records] == [1, 4]
    assert outbox.is_drained
    await buffer.commit()
    assert (buffer.fill().set_aside_records, buffer.fill().records) == (2, 0)


async def test_credit_bounds_what_is_in_flight_and_an_ack_gives_it_back(buffer: Buffer) -> None:
    master = MemoryMaster(make_terms(EvidencePolicy.SIGNED))
    master.credit_bytes = 2_000
    await fill(buffer, 100)
    outbox = await begun(buffer, master)
    first = await outbox.next_frame()
    assert first is not None
    assert len(first) <= 2_000
    assert await outbox.next_frame() is None
    ack = master.take(first)
    assert ack is not None
    await outbox.take_ack(ack)
    assert await outbox.next_frame() is not None


async def test_no_credit_sends_nothing(buffer: Buffer) -> None:
    master = MemoryMaster(make_terms())
    master.credit_bytes = 0
    await fill(buffer, 3)
    assert await (await begun(buffer, master)).next_frame(closes_period=True) is None


async def test_record_larger_than_the_credit_is_sent_alone(buffer: Buffer) -> None:
    master = MemoryMaster(make_terms())
    master.credit_bytes = 100
    await fill(buffer, 3)
    await pump(await begun(buffer, master), master)
    assert master.state.evidence_seq == 3


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        (Reason.STORE_UNAVAILABLE, Verdict.BACK_OFF),
        (Reason.CHAIN_UNAVAILABLE, Verdict.BACK_OFF),
        (Reason.SHUTTING_DOWN, Verdict.BACK_OFF),
        (Reason.NOT_A_MEMBER, Verdict.NOT_A_MEMBER),
        (Reason.OBJECT_REVOKED, Verdict.NOT_A_MEMBER),
    ],
)
async def test_reason_that_is_not_the_records_fault_keeps_the_record(
    buffer: Buffer, reason: Reason, verdict: Verdict
) -> None:
    master = MemoryMaster(make_terms())
    await fill(buffer, 2)
    outbox = await begun(buffer, master)
    await outbox.next_frame()
    assert await outbox.take_ack(Ack(0, 0, 1_000, 1, 1, reason)) is verdict
    await buffer.commit()
    assert buffer.fill().records == 2
    assert buffer.fill().set_aside_records == 0


@pytest.mark.parametrize("reason", [Reason.STALE_EPOCH, Reason.MALFORMED, Reason.EVIDENCE_REQUIRED, Reason.BAD_RANGE])
async def test_master_that_repeats_the_same_refusal_is_left_alone_for_a_while(buffer: Buffer, reason: Reason) -> None:
    master = MemoryMaster(make_terms())
    await fill(buffer, 2)
    outbox = await begun(buffer, master)
    refusal = Ack(0, 0, 1_000, 1, 0, reason)
    await outbox.next_frame()
    assert await outbox.take_ack(refusal) is Verdict.RESUME
    await outbox.next_frame()
    assert await outbox.take_ack(refusal) is Verdict.BACK_OFF
    assert buffer.fill().set_aside_records == 0


async def test_master_that_asks_for_signatures_gets_them(buffer: Buffer) -> None:
    master = MemoryMaster(make_terms(EvidencePolicy.SIGNED))
    await fill(buffer, 3)
    outbox = Outbox(buffer, SENDER, make_terms(EvidencePolicy.CHECKPOINTS), sending_epoch=1, clock=ManualClock())
    await outbox.begin(master.ack())
    await pump(outbox, master)
    assert [record.seq for record in master.records] == [1, 2, 3]
    assert master.state.evidence_seq == 3


async def test_master_restored_from_an_old_backup_gets_signed_records_and_the_loss_is_counted(buffer: Buffer) -> None:
    master = MemoryMaster(make_terms())
    await fill(buffer, 6)
    outbox = await begun(buffer, master)
    first = await outbox.next_frame()
    assert first is not None
    ack = master.take(first)
    backup = master.state
    assert ack is not None
    await outbox.take_ack(ack)
    await pump(outbox, master)
    await buffer.commit()
    master.state = backup
    await fill(buffer, 4)
    later = await begun(buffer, master)
    await pump(later, master)
    assert later.is_drained
    assert later.records_without_evidence == 6
    assert all(not isinstance(record, CheckpointedRecord) for record in master.records[-4:])
    await buffer.commit()
    assert buffer.fill().records == 0


async def test_repetition_tells_a_data_session_where_the_evidence_stands(buffer: Buffer) -> None:
    master = MemoryMaster(make_terms())
    await fill(buffer, 6)
    await pump(await begun(buffer, master), master, closes_period=False)
    outbox = Outbox(buffer, SENDER, master.terms, sending_epoch=1, clock=ManualClock())
    frame = await outbox.find_repetition(master.state.last_seq)
    assert frame is not None
    ack = master.take(frame)
    assert ack is not None
    assert (ack.last_seq, ack.evidence_seq, ack.reason) == (6, 0, Reason.NONE)
    assert len(master.records) == 6


async def test_device_that_forgot_everything_acknowledged_has_no_repetition(buffer: Buffer) -> None:
    await fill(buffer, 6)
    buffer.acknowledge(4)
    await buffer.commit()
    outbox = Outbox(buffer, SENDER, make_terms(), sending_epoch=1, clock=ManualClock())
    assert await outbox.find_repetition(4) is None


@pytest.mark.parametrize("seed", range(25))
async def test_any_mixture_of_lost_frames_lost_acks_new_epochs_and_policies_stores_each_record_once_in_order(
    buffer: Buffer, seed: int
) -> None:
    source = random.Random(seed)
    clock = ManualClock()
    master = MemoryMaster(make_terms(source.choice(list(EvidencePolicy)), records=source.randint(1, 8)))
    sending_epoch = 1
    for _ in range(12):
        master.credit_bytes = source.choice([300, 2_000, 1 << 20])
        outbox = await begun(buffer, master, clock, epoch=sending_epoch)
        sending_epoch = await _run_session(source, outbox, master, buffer, clock)
    outbox = await begun(buffer, master, clock, epoch=sending_epoch)
    await pump(outbox, master)
    await buffer.commit()
    assert outbox.is_drained
    assert buffer.fill().records == 0
    seqs = [record.seq for record in master.records]
    assert seqs == list(range(1, buffer.fill().next_seq))
    assert [record.payload for record in master.records] == [payload(float(seq)) for seq in seqs]
    assert master.state.evidence_seq == master.state.last_seq
    assert outbox.records_without_evidence == 0


async def _run_session(
    source: random.Random, outbox: Outbox, master: MemoryMaster, buffer: Buffer, clock: ManualClock
) -> int:
    """A session that breaks off somewhere; answers the epoch that the device has noted on its disk."""
    frames: list[bytes] = []
    acks: list[Ack] = []
    for _ in range(source.randint(1, 60)):
        match source.randint(0, 7):
            case 0:
                await fill(buffer, source.randint(1, 6))
            case 1:
                clock.advance(source.uniform(0, 4))
            case 2 if source.random() < 0.2:
                master.epoch += 1
                acks.append(master.ack())
            case 3 | 4 if outbox.epoch_to_begin is not None:
                outbox.begin_epoch(outbox.epoch_to_begin)
            case 3 | 4:
                frame = await outbox.next_frame(closes_period=source.random() < 0.1)
                frames += [frame] if frame else []
            case 5 if frames:
                ack = master.take(frames.pop(0))
                acks += [ack] if ack else []
            case 6 if acks:
                await _take_ack(outbox, master, acks.pop(0), frames)
            case _:
                pass
    return outbox.sending_epoch


async def _take_ack(outbox: Outbox, master: MemoryMaster, ack: Ack, frames: list[bytes]) -> None:
    if await outbox.take_ack(ack) is Verdict.RESUME:
        for frame in frames:
            master.take(frame)  # passed over: the gate is closed
        frames.clear()
        master.resume(ack.refused_seq)


@pytest.mark.parametrize("policy", list(EvidencePolicy))
async def test_message_to_a_slave_is_signed_by_itself_and_the_period_around_it_goes_on(
    buffer: Buffer, policy: EvidencePolicy
) -> None:
    master = MemoryMaster(make_terms(policy))
    outbox = await begun(buffer, master)
    for receiver in (TO_MASTER, OTHER_OID, TO_MASTER, OTHER_OID):
        buffer.append(payload(1.0), receiver)
    await buffer.commit()
    await pump(outbox, master)
    assert [record.receiver for record in master.records] == [MASTER_OID, OTHER_OID, MASTER_OID, OTHER_OID]
    assert [type(record) for record in master.records if record.receiver == OTHER_OID] == [SignedRecord] * 2
    assert master.ack().evidence_seq == 4
    assert outbox.is_drained


async def test_period_with_a_message_inside_is_closed_by_the_next_session(buffer: Buffer) -> None:
    """The period is made again from the buffer, without the message, which is no part of it."""
    master = MemoryMaster(make_terms())
    outbox = await begun(buffer, master)
    for receiver in (TO_MASTER, OTHER_OID, TO_MASTER):
        buffer.append(payload(1.0), receiver)
    await buffer.commit()
    await pump(outbox, master, closes_period=False)
    assert (master.ack().last_seq, master.ack().evidence_seq) == (3, 0)
    again = await begun(buffer, master)
    await pump(again, master)
    assert master.ack().evidence_seq == 3
    assert again.records_without_evidence == 0


async def test_message_for_which_there_is_no_room_is_set_aside_and_readings_go_on(buffer: Buffer) -> None:
    master = MemoryMaster(make_terms())
    master.has_room = False
    outbox = await begun(buffer, master)
    for receiver in (TO_MASTER, OTHER_OID, TO_MASTER):
        buffer.append(payload(1.0), receiver)
    await buffer.commit()
    await pump(outbox, master)
    assert [record.seq for record in master.records] == [1, 3]
    assert buffer.fill().set_aside_records == 1
