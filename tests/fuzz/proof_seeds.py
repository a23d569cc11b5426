"""First inputs for proofs of a record."""

import json

from group_protocol.anchored_records import AnchoredRecord
from group_protocol.identifiers import Address, GroupId, ObjectId, SessionId, Signature
from group_protocol.record_proofs import AnchorPlace, CheckpointProof, PeriodRecord, RecordProof
from group_protocol.records import Checkpoint

GID, OID, OTHER = GroupId(b"g" * 16), ObjectId(b"o" * 16), ObjectId(b"p" * 16)
SIGNATURE = Signature(b"s" * 64)


def proof_seeds() -> dict[str, list[bytes]]:
    """Proofs as the program writes them."""
    return {"record_proofs": [json.dumps(proof.to_json()).encode() for proof in _proofs()]}


def _proofs() -> list[RecordProof]:
    anchor = AnchorPlace(b"r" * 32, 1, 4, b"x" * 32, 9)
    checkpoint = CheckpointProof(
        Checkpoint(1, 2, 1, b"h" * 32, SIGNATURE),
        (PeriodRecord(OTHER, 1, b"q" * 32), PeriodRecord(OTHER, 2, b"w" * 32)),
    )
    proofs = []
    for signature, evidence in ((SIGNATURE, None), (None, checkpoint)):
        record = AnchoredRecord(
            number=2,
            sender=OID,
            receiver=OTHER,
            seq=1,
            epoch=1,
            payload_hash=b"q" * 32,
            sid=SessionId(b"i" * 16),
            received_at_unix_ms=1_700_000_000_000,
            signature=signature,
        )
        proofs.append(
            RecordProof(1337, Address(b"c" * 20), GID, anchor, 1, 4, (b"n" * 32,) * 2, record, b"pay", evidence)
        )
    return proofs
