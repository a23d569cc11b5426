"""Proofs built with the core alone: an anchor over five records of two devices, a checkpoint among their evidence."""

from typing import Any, Final

from group_protocol.anchored_records import AnchoredRecord
from group_protocol.identifiers import SessionId
from group_protocol.merkle import compute_path, compute_root
from group_protocol.record_proofs import AnchorPlace, CheckpointProof, PeriodRecord, RecordProof
from group_protocol.records import Checkpoint, Record, SignedRecord, payload_hash, sign_checkpoint, sign_record
from tests.support.records import (
    DEVICE,
    DEVICE_KEY,
    DOMAIN,
    GID,
    PEER,
    PEER_KEY,
    make_checkpointed,
    make_payload,
    make_period,
    make_signed,
    replace,
)

SID: Final = SessionId(b"s" * 16)
COVERED: Final = [make_checkpointed(seq) for seq in (2, 3, 5)]
PERIOD: Final = make_period(*COVERED)
CHECKPOINT: Final = sign_checkpoint(DEVICE_KEY, DOMAIN, GID, DEVICE, PERIOD)
EVIDENCE: Final = CheckpointProof(
    CHECKPOINT, tuple(PeriodRecord(record.receiver, record.seq, payload_hash(record.payload)) for record in COVERED)
)
FROM_PEER: Final = sign_record(PEER_KEY, DOMAIN, GID, PEER, DEVICE, 1, 1, make_payload(9))
STORE: Final[dict[int, Record]] = dict(zip((3, 4, 6, 7, 9), (make_signed(1), *COVERED, FROM_PEER), strict=True))
"""By number: numbers rise, with gaps."""


def anchored(number: int) -> AnchoredRecord:
    item = STORE[number]
    return AnchoredRecord(
        number=number,
        sender=PEER if item is FROM_PEER else DEVICE,
        receiver=item.receiver,
        seq=item.seq,
        epoch=item.epoch,
        payload_hash=payload_hash(item.payload),
        sid=SID,
        received_at_unix_ms=1_700_000_000_000 + number,
        signature=item.signature if isinstance(item, SignedRecord) else None,
    )


LEAVES: Final = [anchored(number).leaf(GID) for number in STORE]
ANCHOR: Final = AnchorPlace(compute_root(LEAVES), 3, 9, b"t" * 32, 77)


def proof_of(number: int) -> RecordProof:
    index = list(STORE).index(number)
    path = tuple(compute_path(LEAVES, index))
    record = anchored(number)
    return RecordProof(
        chain_id=1337,
        contract=DOMAIN.identity.contract,
        gid=GID,
        anchor=ANCHOR,
        index=index,
        size=len(LEAVES),
        path=path,
        record=record,
        payload=STORE[number].payload,
        checkpoint=EVIDENCE if record.signature is None else None,
    )


SIGNED: Final = proof_of(3)
PERIODIC: Final = proof_of(6)


def with_evidence(checkpoint: Checkpoint, records: tuple[PeriodRecord, ...] = EVIDENCE.records) -> RecordProof:
    return replace(PERIODIC, checkpoint=CheckpointProof(checkpoint, records))


def by_device(**fields: Any) -> Checkpoint:
    """A checkpoint that the device did sign, which says something else of the period."""
    return sign_checkpoint(DEVICE_KEY, DOMAIN, GID, DEVICE, replace(PERIOD, **fields))
