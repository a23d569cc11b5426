"""A device, its group and its records: the pieces that the record tests share."""

import dataclasses
from typing import Any, TypeVar

from group_protocol.crypto.keys import PrivateKey
from group_protocol.identifiers import Address, GroupId, derive_object_id
from group_protocol.ports import RegistryIdentity
from group_protocol.records import (
    Checkpoint,
    CheckpointedRecord,
    CheckpointPeriod,
    SignedRecord,
    payload_hash,
    sign_checkpoint,
    sign_record,
)
from group_protocol.senml import Reading, encode_readings
from group_protocol.typed_data import TypedDataDomain

MASTER_KEY = PrivateKey.from_secret(bytes.fromhex("11" * 32))
DEVICE_KEY = PrivateKey.from_secret(bytes.fromhex("22" * 32))
STRANGER_KEY = PrivateKey.from_secret(bytes.fromhex("33" * 32))
MASTER = derive_object_id(MASTER_KEY.address)
DEVICE = derive_object_id(DEVICE_KEY.address)
STRANGER = derive_object_id(STRANGER_KEY.address)
PEER_KEY = PrivateKey.from_secret(bytes.fromhex("44" * 32))
PEER = derive_object_id(PEER_KEY.address)
GID = GroupId(bytes.fromhex("c0ffee00" * 4))
OTHER_GID = GroupId(bytes.fromhex("decade00" * 4))
DOMAIN = TypedDataDomain(RegistryIdentity(1337, Address(bytes.fromhex("42" * 20))))
OTHER_DOMAIN = TypedDataDomain(RegistryIdentity(1338, Address(bytes.fromhex("42" * 20))))


_Value = TypeVar("_Value")


def replace(value: _Value, **fields: Any) -> _Value:
    """``dataclasses.replace``, for records too, which are tuples."""
    if isinstance(value, tuple):
        replaced: _Value = value._replace(**fields)  # type: ignore[attr-defined] # a NamedTuple
        return replaced
    return dataclasses.replace(value, **fields)  # type: ignore[type-var] # what is no tuple here is a dataclass


def make_payload(seq: int, readings: int = 1) -> bytes:
    return encode_readings([Reading("ppg", 1_700_000_000.0 + at, float(seq), "1") for at in range(readings)])


def make_signed(
    seq: int, *, epoch: int = 1, payload: bytes | None = None, key: PrivateKey = DEVICE_KEY
) -> SignedRecord:
    content = make_payload(seq) if payload is None else payload
    return sign_record(key, DOMAIN, GID, DEVICE, MASTER, seq, epoch, content)


def make_checkpointed(seq: int, *, epoch: int = 1) -> CheckpointedRecord:
    return CheckpointedRecord(MASTER, seq, epoch, make_payload(seq))


def make_period(*records: CheckpointedRecord) -> CheckpointPeriod:
    first, *rest = records
    period = CheckpointPeriod.begin(first.receiver, first.seq, first.epoch, payload_hash(first.payload))
    for record in rest:
        period = period.extend(record.receiver, record.seq, payload_hash(record.payload))
    return period


def make_checkpoint(*records: CheckpointedRecord, key: PrivateKey = DEVICE_KEY) -> Checkpoint:
    return sign_checkpoint(key, DOMAIN, GID, DEVICE, make_period(*records))
