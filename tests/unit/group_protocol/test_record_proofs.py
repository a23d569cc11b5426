"""What a proof of a record shows and what it does not, whoever made it."""

from typing import Any, Final

import pytest

from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import VerificationError
from group_protocol.record_proofs import PeriodRecord, RecordProof
from group_protocol.records import sign_checkpoint
from tests.support.record_proofs import (
    ANCHOR,
    CHECKPOINT,
    COVERED,
    EVIDENCE,
    FROM_PEER,
    PERIOD,
    PERIODIC,
    SIGNED,
    STORE,
    by_device,
    proof_of,
    with_evidence,
)
from tests.support.records import (
    DEVICE,
    DEVICE_KEY,
    DOMAIN,
    GID,
    OTHER_DOMAIN,
    OTHER_GID,
    PEER,
    PEER_KEY,
    STRANGER_KEY,
    make_period,
    replace,
)


@pytest.mark.parametrize("number", STORE)
def test_proof_of_every_record_holds(number: int) -> None:
    proof = proof_of(number)
    proof.verify_anchored()
    proof.verify_said(DOMAIN, PEER_KEY.address if number == 9 else DEVICE_KEY.address)


def test_record_alone_in_its_anchor_needs_no_path() -> None:
    alone = replace(ANCHOR, root=SIGNED.record.leaf(GID), from_record=3, to_record=3)
    replace(SIGNED, anchor=alone, index=0, size=1, path=()).verify_anchored()


def test_checkpoint_over_one_record_proves_it() -> None:
    checkpoint = sign_checkpoint(DEVICE_KEY, DOMAIN, GID, DEVICE, make_period(COVERED[1]))
    with_evidence(checkpoint, EVIDENCE.records[1:2]).verify_said(DOMAIN, DEVICE_KEY.address)


# ---- what is not anchored ----

NOT_ANCHORED: Final[dict[str, dict[str, Any]]] = {
    "payload of another record": {"payload": STORE[7].payload},
    "record that was altered": {"record": replace(SIGNED.record, seq=2)},
    "record's time that was altered": {"record": replace(SIGNED.record, received_at_unix_ms=1)},
    "evidence that was altered": {"record": replace(SIGNED.record, signature=FROM_PEER.signature)},
    "other group": {"gid": OTHER_GID},
    "root of another tree": {"anchor": replace(ANCHOR, root=b"r" * 32)},
    "range that begins behind the record": {"anchor": replace(ANCHOR, from_record=4)},
    "range that ends before the record": {"anchor": replace(ANCHOR, from_record=1, to_record=2)},
    "another leaf's place": {"index": 1},
    "no leaf's place": {"index": 5},
    "larger tree": {"size": 9},
    "path that is too short": {"path": SIGNED.path[:-1]},
    "path that is too long": {"path": (*SIGNED.path, b"n" * 32)},
    "path in another order": {"path": SIGNED.path[::-1]},
}


@pytest.mark.parametrize("change", NOT_ANCHORED.values(), ids=NOT_ANCHORED)
def test_record_that_the_anchor_does_not_hold_raises_verification_error(change: dict[str, Any]) -> None:
    with pytest.raises(VerificationError):
        replace(SIGNED, **change).verify_anchored()


# ---- what the device did not say ----


@pytest.mark.parametrize("proof", [SIGNED, PERIODIC], ids=["signed", "checkpointed"])
def test_evidence_counts_for_its_signer_chain_group_and_sender_only(proof: RecordProof) -> None:
    proof.verify_said(DOMAIN, DEVICE_KEY.address)
    with pytest.raises(VerificationError):
        proof.verify_said(DOMAIN, STRANGER_KEY.address)
    with pytest.raises(VerificationError):
        proof.verify_said(OTHER_DOMAIN, DEVICE_KEY.address)
    with pytest.raises(VerificationError):
        replace(proof, gid=OTHER_GID).verify_said(DOMAIN, DEVICE_KEY.address)
    with pytest.raises(VerificationError):
        replace(proof, record=replace(proof.record, sender=PEER)).verify_said(DOMAIN, DEVICE_KEY.address)


ALTERED: Final[list[dict[str, Any]]] = [{"receiver": PEER}, {"seq": 9}, {"epoch": 2}]


@pytest.mark.parametrize("change", ALTERED, ids=lambda change: next(iter(change)))
@pytest.mark.parametrize("proof", [SIGNED, PERIODIC], ids=["signed", "checkpointed"])
def test_evidence_is_of_each_field_of_the_record(proof: RecordProof, change: dict[str, Any]) -> None:
    with pytest.raises(VerificationError):
        replace(proof, record=replace(proof.record, **change)).verify_said(DOMAIN, DEVICE_KEY.address)


def test_signature_is_over_the_payload() -> None:
    with pytest.raises(VerificationError):
        replace(SIGNED, payload=b"x").verify_said(DOMAIN, DEVICE_KEY.address)


def test_record_with_neither_signature_nor_checkpoint_raises_verification_error() -> None:
    with pytest.raises(VerificationError):
        replace(PERIODIC, checkpoint=None).verify_said(DOMAIN, DEVICE_KEY.address)


def test_false_signature_is_not_made_up_for_by_a_checkpoint() -> None:
    record = replace(PERIODIC.record, signature=FROM_PEER.signature)
    with pytest.raises(VerificationError):
        replace(PERIODIC, record=record).verify_said(DOMAIN, DEVICE_KEY.address)


_FIRST, _SECOND, _THIRD = EVIDENCE.records
NOT_THE_PERIOD: Final = {
    "none": (),
    "one is missing": (_FIRST, _SECOND),
    "the first is missing": (_SECOND, _THIRD),
    "one more": (*EVIDENCE.records, replace(_THIRD, seq=6)),
    "another order": (_SECOND, _FIRST, _THIRD),
    "one twice": (_FIRST, _SECOND, _SECOND, _THIRD),
    "another receiver": (_FIRST, _SECOND, replace(_THIRD, receiver=PEER)),
    "another first receiver": (replace(_FIRST, receiver=PEER), _SECOND, _THIRD),
    "another seq in between": (replace(_FIRST, seq=1), _SECOND, _THIRD),
    "another payload": (_FIRST, _SECOND, replace(_THIRD, payload_hash=b"p" * 32)),
    "another first payload": (replace(_FIRST, payload_hash=b"p" * 32), _SECOND, _THIRD),
}


@pytest.mark.parametrize("records", NOT_THE_PERIOD.values(), ids=NOT_THE_PERIOD)
def test_records_that_are_not_the_checkpoints_raise_verification_error(records: tuple[PeriodRecord, ...]) -> None:
    with pytest.raises(VerificationError):
        with_evidence(CHECKPOINT, records).verify_said(DOMAIN, DEVICE_KEY.address)


def test_good_checkpoint_over_other_records_does_not_prove_the_record() -> None:
    others = sign_checkpoint(DEVICE_KEY, DOMAIN, GID, DEVICE, make_period(COVERED[0], COVERED[2]))
    with pytest.raises(VerificationError):
        with_evidence(others, (_FIRST, _THIRD)).verify_said(DOMAIN, DEVICE_KEY.address)


def test_good_checkpoint_of_another_epoch_does_not_prove_the_record() -> None:
    with pytest.raises(VerificationError):
        with_evidence(by_device(epoch=2)).verify_said(DOMAIN, DEVICE_KEY.address)


@pytest.mark.parametrize("said", [{"first_seq": 1}, {"last_seq": 6}, {"running_hash": b"h" * 32}])
def test_checkpoint_that_the_device_signed_over_something_else_raises_verification_error(said: dict[str, Any]) -> None:
    with pytest.raises(VerificationError):
        with_evidence(by_device(**said)).verify_said(DOMAIN, DEVICE_KEY.address)


@pytest.mark.parametrize("key", [PEER_KEY, STRANGER_KEY])
def test_checkpoint_of_another_key_raises_verification_error(key: PrivateKey) -> None:
    with pytest.raises(VerificationError):
        with_evidence(sign_checkpoint(key, DOMAIN, GID, DEVICE, PERIOD)).verify_said(DOMAIN, DEVICE_KEY.address)
