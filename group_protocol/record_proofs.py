"""A proof that one record was stored, said by its device, and anchored (``docs/protocol.md`` §10).

A proof names everything that is to be checked; what the chain has to say to it, :mod:`chain_gateway.proof_check` asks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from group_protocol.anchored_records import AnchoredRecord
from group_protocol.errors import DecodingError, VerificationError
from group_protocol.identifiers import (
    HASH_BYTES,
    SIGNATURE_BYTES,
    Address,
    GroupId,
    ObjectId,
    SessionId,
    Signature,
    parse_address,
    parse_group_id,
    parse_object_id,
)
from group_protocol.merkle import compute_root_from_path
from group_protocol.records import (
    Checkpoint,
    CheckpointPeriod,
    SignedRecord,
    payload_hash,
    verify_checkpoint,
    verify_record,
)
from group_protocol.shallow_json import load_shallow_json
from group_protocol.typed_data import TypedDataDomain

FORMAT: Final = "vgroup record proof 1"
PROOF_MAX_BYTES: Final = 16 * 1024 * 1024
"""A checkpoint over 65,536 records makes a proof of some 10 MB; what is larger is none."""
_SESSION_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class AnchorPlace:
    """An anchor and where it stands on the chain."""

    root: bytes
    from_record: int
    to_record: int
    transaction_hash: bytes
    block_number: int


@dataclass(frozen=True, slots=True)
class PeriodRecord:
    """A record of a checkpoint's period, as far as the running hash needs it."""

    receiver: ObjectId
    seq: int
    payload_hash: bytes


@dataclass(frozen=True, slots=True)
class CheckpointProof:
    """The evidence of a checkpointed record: its checkpoint and all records of the period, in order."""

    checkpoint: Checkpoint
    records: tuple[PeriodRecord, ...]


@dataclass(frozen=True, slots=True)
class RecordProof:
    """Everything that a third party needs beside the chain.

    Attributes:
        index: Of the leaf, from 0.
        size: Leaves of the tree.
        path: Neighbours, the lowest first.
        checkpoint: There if the record has no signature of its own.
    """

    chain_id: int
    contract: Address
    gid: GroupId
    anchor: AnchorPlace
    index: int
    size: int
    path: tuple[bytes, ...]
    record: AnchoredRecord
    payload: bytes
    checkpoint: CheckpointProof | None

    def verify_anchored(self) -> None:
        """Check that the record is a leaf of the anchor, and the payload the record's.

        Raises:
            VerificationError: It is not.
        """
        record, anchor = self.record, self.anchor
        if payload_hash(self.payload) != record.payload_hash:
            raise VerificationError("the payload does not give the record's hash")
        if not anchor.from_record <= record.number <= anchor.to_record:
            raise VerificationError("the record's number is not in the anchor's range")
        root = compute_root_from_path(record.leaf(self.gid), self.index, self.size, self.path)
        if root != anchor.root:
            raise VerificationError("the record does not lead to the anchor's root: it or the path was altered")

    def verify_said(self, domain: TypedDataDomain, signer: Address) -> None:
        """Check that the device said it. ``signer``: its address in the record's epoch, by the chain.

        Raises:
            VerificationError: The signature is another's, or over something else.
        """
        record = self.record
        if record.signature is not None:
            item = SignedRecord(record.receiver, record.seq, record.epoch, self.payload, record.signature)
            verify_record(item, domain, self.gid, record.sender, signer)
            return
        if self.checkpoint is None:
            raise VerificationError("there is neither a signature nor a checkpoint")
        self._verify_period(self.checkpoint)
        verify_checkpoint(self.checkpoint.checkpoint, domain, self.gid, record.sender, signer)

    def _verify_period(self, proof: CheckpointProof) -> None:
        record, checkpoint = self.record, proof.checkpoint
        if PeriodRecord(record.receiver, record.seq, record.payload_hash) not in proof.records:
            raise VerificationError("the checkpoint's period does not hold the record")
        first, *rest = proof.records
        period = CheckpointPeriod.begin(first.receiver, first.seq, checkpoint.epoch, first.payload_hash)
        for item in rest:
            if item.seq <= period.last_seq:
                raise VerificationError("the records of the checkpoint's period do not rise")
            period = period.extend(item.receiver, item.seq, item.payload_hash)
        if not period.spans(checkpoint) or period.running_hash != checkpoint.running_hash:
            raise VerificationError("the records are not those that the checkpoint signs")
        if checkpoint.epoch != record.epoch:
            raise VerificationError("the checkpoint is of another epoch than the record")

    def to_json(self) -> dict[str, object]:
        """As §10 has it."""
        record, anchor = self.record, self.anchor
        return {
            "format": FORMAT,
            "chain_id": self.chain_id,
            "contract": "0x" + self.contract.hex(),
            "gid": self.gid.hex(),
            "anchor": {
                "root": anchor.root.hex(),
                "from_record": anchor.from_record,
                "to_record": anchor.to_record,
                "transaction": "0x" + anchor.transaction_hash.hex(),
                "block": anchor.block_number,
            },
            "tree": {"index": self.index, "size": self.size, "path": [node.hex() for node in self.path]},
            "record": {
                "number": record.number,
                "from": record.sender.hex(),
                "to": record.receiver.hex(),
                "seq": record.seq,
                "epoch": record.epoch,
                "payload": self.payload.hex(),
                "payload_hash": record.payload_hash.hex(),
                "sid": record.sid.hex(),
                "received_at_unix_ms": record.received_at_unix_ms,
                "signature": None if record.signature is None else record.signature.hex(),
            },
            "checkpoint": None if self.checkpoint is None else _checkpoint_to_json(self.checkpoint),
        }


def _checkpoint_to_json(proof: CheckpointProof) -> dict[str, object]:
    checkpoint = proof.checkpoint
    return {
        "first_seq": checkpoint.first_seq,
        "last_seq": checkpoint.last_seq,
        "epoch": checkpoint.epoch,
        "running_hash": checkpoint.running_hash.hex(),
        "signature": checkpoint.signature.hex(),
        "records": [[item.receiver.hex(), item.seq, item.payload_hash.hex()] for item in proof.records],
    }


def parse_record_proof(raw: bytes) -> RecordProof:
    """Read a proof file. Whether it is true, its methods and the chain say.

    Raises:
        DecodingError: It is no proof of this format.
    """
    if len(raw) > PROOF_MAX_BYTES:
        raise DecodingError(f"a proof has at most {PROOF_MAX_BYTES} bytes")
    try:
        fields = load_shallow_json(raw)
        if fields["format"] != FORMAT:
            raise DecodingError(f"this is no {FORMAT!r}")
        return _parse(fields)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise DecodingError(f"this is no proof of a record: {exc!r}") from exc


def _parse(fields: Mapping[str, Any]) -> RecordProof:
    anchor, tree, record, checkpoint = fields["anchor"], fields["tree"], fields["record"], fields["checkpoint"]
    signature = record["signature"]
    if signature is not None and checkpoint is not None:
        raise DecodingError("a checkpoint stands only where the record has no signature")
    return RecordProof(
        chain_id=_number(fields["chain_id"]),
        contract=parse_address(_unhex(_without_prefix(fields["contract"]))),
        gid=parse_group_id(_unhex(fields["gid"])),
        anchor=AnchorPlace(
            _exactly(anchor["root"], HASH_BYTES),
            _number(anchor["from_record"]),
            _number(anchor["to_record"]),
            _exactly(_without_prefix(anchor["transaction"]), HASH_BYTES),
            _number(anchor["block"]),
        ),
        index=_number(tree["index"]),
        size=_number(tree["size"]),
        path=tuple(_exactly(node, HASH_BYTES) for node in _list(tree["path"])),
        record=AnchoredRecord(
            number=_number(record["number"]),
            sender=parse_object_id(_unhex(record["from"])),
            receiver=parse_object_id(_unhex(record["to"])),
            seq=_number(record["seq"]),
            epoch=_number(record["epoch"]),
            payload_hash=_exactly(record["payload_hash"], HASH_BYTES),
            sid=SessionId(_exactly(record["sid"], _SESSION_BYTES)),
            received_at_unix_ms=_number(record["received_at_unix_ms"]),
            signature=None if signature is None else Signature(_exactly(signature, SIGNATURE_BYTES)),
        ),
        payload=_unhex(record["payload"]),
        checkpoint=None if checkpoint is None else _parse_checkpoint(checkpoint),
    )


def _parse_checkpoint(fields: Mapping[str, Any]) -> CheckpointProof:
    records = tuple(
        PeriodRecord(parse_object_id(_unhex(to)), _number(seq), _exactly(digest, HASH_BYTES))
        for to, seq, digest in _list(fields["records"])
    )
    if not records:
        raise DecodingError("a checkpoint's period has a record")
    return CheckpointProof(
        Checkpoint(
            _number(fields["first_seq"]),
            _number(fields["last_seq"]),
            _number(fields["epoch"]),
            _exactly(fields["running_hash"], HASH_BYTES),
            Signature(_exactly(fields["signature"], SIGNATURE_BYTES)),
        ),
        records,
    )


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):  # an object would be gone through by its names
        raise DecodingError("a list of the proof is none")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 64:
        raise DecodingError(f"{str(value)[:32]!r} is no number of a proof")
    return value


def _without_prefix(text: str) -> str:
    if not text.startswith("0x"):
        raise DecodingError(f"{text[:8]!r} does not begin with 0x")
    return text[2:]


def _unhex(text: str) -> bytes:
    raw = bytes.fromhex(text)
    if raw.hex() != text:  # fromhex takes capitals and white space too: a proof would have many texts
        raise DecodingError("a value of the proof is not lower-case hex")
    return raw


def _exactly(text: str, length_bytes: int) -> bytes:
    raw = _unhex(text)
    if len(raw) != length_bytes:
        raise DecodingError(f"a value of the proof has {len(raw)} bytes, not {length_bytes}")
    return raw
