"""Making a proof of a record for a third party (``docs/protocol.md`` §10)."""

from sqlalchemy import Connection, select
from sqlalchemy.sql.elements import ColumnElement

from group_protocol.anchored_records import AnchoredRecord
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, Reason, RefusedError
from group_protocol.identifiers import OBJECT_ID_BYTES, ObjectId
from group_protocol.merkle import compute_path, compute_root
from group_protocol.record_proofs import AnchorPlace, CheckpointProof, PeriodRecord, RecordProof
from master_api.current_group import FormedGroup
from master_api.store import schema
from master_api.store.anchors import AnchorRow, Leaf, fetch_anchor_of, fetch_leaves, iterate_leaf_contents, make_leaves
from master_api.store.records import CheckpointRow


def make_record_proof(connection: Connection, group: FormedGroup, wanted: str) -> RecordProof:
    """Prove a record, named by its number or as ``oid/seq``.

    Raises:
        ConfigurationError: That is no name of a record.
        RefusedError: There is no such record, it is not anchored yet, its checkpoint has not come, or the store is not
            what was anchored.
    """
    number, payload = _find(connection, wanted)
    (record,) = iterate_leaf_contents(connection, number, number)
    anchor = fetch_anchor_of(connection, number)
    if anchor is None or anchor.transaction_hash is None or anchor.block_number is None:
        raise RefusedError(
            Reason.EVIDENCE_REQUIRED,
            f"record {number} is not anchored yet",
            remedy="Run: vgroup records anchor",
            code=ErrorCode.RECORD_NOT_ANCHORED,
        )
    leaves = _leaves_of(connection, group, anchor)
    hashes = [leaf.leaf_hash for leaf in leaves]
    index = next((at for at, leaf in enumerate(leaves) if leaf.number == number), None)
    if index is None or hashes[index] != record.leaf(group.gid):
        raise RefusedError(
            Reason.EQUIVOCATION,
            f"record {number} is not the one that was anchored",
            remedy="Run: vgroup records verify",
            code=ErrorCode.RECORD_ALTERED,
        )
    return RecordProof(
        chain_id=group.row.chain_id,
        contract=group.row.contract,
        gid=group.gid,
        anchor=AnchorPlace(
            anchor.root, anchor.from_record, anchor.to_record, anchor.transaction_hash, anchor.block_number
        ),
        index=index,
        size=len(leaves),
        path=tuple(compute_path(hashes, index)),
        record=record,
        payload=payload,
        checkpoint=_find_checkpoint(connection, record) if record.signature is None else None,
    )


def _find(connection: Connection, wanted: str) -> tuple[int, bytes]:
    table = schema.records
    row = connection.execute(select(table.c.number, table.c.payload).where(_named(wanted))).one_or_none()
    if row is None:
        raise RefusedError(
            Reason.UNKNOWN_OBJECT,
            f"there is no record {wanted}",
            remedy="See: vgroup records export",
            code=ErrorCode.NO_SUCH_RECORD,
        )
    return row.number, row.payload


def _named(wanted: str) -> ColumnElement[bool]:
    table = schema.records
    oid, slash, seq = wanted.strip().removeprefix("0x").partition("/")
    try:
        if not slash:
            return table.c.number == _natural(oid)
        raw = bytes.fromhex(oid)
        if len(raw) == OBJECT_ID_BYTES:
            return (table.c.oid == ObjectId(raw)) & (table.c.seq == _natural(seq))
    except ValueError:
        pass
    raise ConfigurationError(
        f"{wanted!r} names no record",
        remedy="Give its number, or OID/SEQ with the whole oid.",
        code=ErrorCode.ARGUMENT_WRONG,
    )


def _natural(text: str) -> int:
    number = int(text)
    if not 0 <= number < 1 << 63:
        raise ValueError(text)
    return number


def _leaves_of(connection: Connection, group: FormedGroup, anchor: AnchorRow) -> list[Leaf]:
    """The anchor's leaves: as they were kept, or if those were altered, as the records give them now."""
    for leaves in (
        fetch_leaves(connection, anchor.from_record),
        make_leaves(connection, group.gid, anchor.from_record, anchor.to_record),
    ):
        if leaves and compute_root([leaf.leaf_hash for leaf in leaves]) == anchor.root:
            return leaves
    raise _not_as_anchored(f"records {anchor.from_record} to {anchor.to_record} are not those that were anchored")


def _not_as_anchored(message: str) -> RefusedError:
    return RefusedError(
        Reason.EQUIVOCATION, message, remedy="Run: vgroup records verify", code=ErrorCode.RECORD_ALTERED
    )


def _find_checkpoint(connection: Connection, record: AnchoredRecord) -> CheckpointProof:
    checkpoints, records = schema.checkpoints, schema.records
    row = connection.execute(
        select(checkpoints)
        .where(
            checkpoints.c.oid == record.sender,
            checkpoints.c.first_seq <= record.seq,
            checkpoints.c.last_seq >= record.seq,
        )
        .limit(1)
    ).one_or_none()
    if row is None:
        raise RefusedError(
            Reason.EVIDENCE_REQUIRED,
            f"no checkpoint covers record {record.number} yet",
            remedy="Wait for the device's next checkpoint.",
            code=ErrorCode.RECORD_NOT_ANCHORED,
        )
    checkpoint = CheckpointRow(*row).to_item()
    period = connection.execute(
        select(records.c.receiver, records.c.seq, records.c.payload_hash)
        .where(
            records.c.oid == record.sender,
            records.c.seq >= checkpoint.first_seq,
            records.c.seq <= checkpoint.last_seq,
            records.c.signature.is_(None),
        )
        .order_by(records.c.seq)
    )
    return CheckpointProof(checkpoint, tuple(PeriodRecord(ObjectId(to), seq, digest) for to, seq, digest in period))
