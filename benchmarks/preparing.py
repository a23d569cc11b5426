"""What a device computes before it can send: an association request and a record (Table 2's times).

Each is measured beside the bare sum of its primitives: the same calls of coincurve, Keccak, SHA-256 and AES-GCM, with
operands of the same lengths and every object made beforehand, one after the other. What is above that sum is ours:
layouts, checks, JSON, base64, bookkeeping.
"""

import hashlib
from collections.abc import Callable

import coincurve
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.core_join import CoreMaster, CoreSlave
from benchmarks.fixtures import DEVICE_KEY, DOMAIN
from benchmarks.paper import PaperBench
from benchmarks.timing import REFERENCE, Probe, probe_call
from group_protocol.channels import SlaveSession
from group_protocol.crypto.keccak import keccak256
from group_protocol.frames import Items, encode_frame
from group_protocol.records import CheckpointedRecord, CheckpointPeriod, payload_hash, sign_record
from group_protocol.senml import Reading, decode_readings, encode_readings
from group_protocol.suites import Suite
from group_protocol.tickets import AssociationCall, Ticket

ASSOCIATION = "association request"
ASSOCIATION_BARE = "association request, bare primitives"
ASSOCIATION_PAPER = "association request, paper's"
SIGNED = "signed record"
SIGNED_BARE = "signed record, bare primitives"
CHECKPOINTED = "checkpointed record"
CHECKPOINTED_FROM_READING = "checkpointed record, from the reading on"
SIGNED_FROM_READING = "signed record, from the reading on"
DATA_PAPER = "data message, paper's"
DATA_PAPER_SIGNED = "data message, paper's, signed (4.2)"
SENML_ONE = "SenML of 1 reading"
SENML_HUNDRED = "SenML of 100 readings"
SENML_HUNDRED_DECODED = "SenML of 100 readings, decoded"

_READING = Reading("ppg", 1_700_000_000.25, 0.5123, "V")
_STRUCT_ASSOCIATION_BYTES = 5 * 32
_STRUCT_EXCHANGE_BYTES = 7 * 32
_DIGEST_PREIMAGE_BYTES = 66
_ASSOCIATION_CALL_BYTES = 136
_FRAME_OVERHEAD_BYTES = 1 + 37 + 64
_AAD_BYTES = 22


def reference_probe() -> Probe:
    """One bare signature, to normalise by."""
    key = coincurve.PrivateKey(DEVICE_KEY.secret)
    digest = bytes(range(32))
    return probe_call(REFERENCE, lambda: key.sign_recoverable(digest, hasher=None), 400)


def _open_session() -> tuple[SlaveSession, Ticket]:
    """A device's end of a session, after a join in memory."""
    master, slave = CoreMaster(), CoreSlave(Suite.E1, DEVICE_KEY)
    body = slave.first()
    while slave.path:
        body = slave.take(master.answer(slave.path, body))
    return slave.established


def association_probes() -> list[Probe]:
    """From the ticket of M4 to the body of ``POST /assoc``: digest, signature, layout, seal, base64, JSON."""
    paper = PaperBench()
    return [
        reference_probe(),
        probe_call(ASSOCIATION, association_call(), 300),
        probe_call(ASSOCIATION_BARE, _association_primitives(), 300),
        probe_call(ASSOCIATION_PAPER, paper.prepare_association, 100),
    ]


def association_call() -> Callable[[], object]:
    """What ``slave_client.joining`` does for M5 before it sends."""
    session, ticket = _open_session()
    control = session.control

    def prepare() -> bytes:
        digest = DOMAIN.association_digest(ticket.gid, ticket.token, ticket.deadline_unix_s)
        call = AssociationCall(ticket.token, DEVICE_KEY.sign_digest(digest), ticket.deadline_unix_s)
        return control.seal_request(call.encode()).to_body()

    return prepare


def record_probes() -> list[Probe]:
    """From a payload (or a reading) to the sealed message that goes into the stream's socket."""
    paper = PaperBench()
    return [
        reference_probe(),
        probe_call(SIGNED, signed_record_call(), 300),
        probe_call(SIGNED_BARE, _signed_primitives(), 300),
        probe_call(CHECKPOINTED, checkpointed_record_call(), 1_000),
        probe_call(SIGNED_FROM_READING, signed_record_call(from_reading=True), 300),
        probe_call(CHECKPOINTED_FROM_READING, checkpointed_record_call(from_reading=True), 600),
        probe_call(DATA_PAPER, paper.prepare_data, 200),
        probe_call(DATA_PAPER_SIGNED, paper.prepare_signed_data, 100),
    ]


def signed_record_call(*, from_reading: bool = False) -> Callable[[], object]:
    """A record with its own signature: hash, digest, signature, frame, seal."""
    session, ticket = _open_session()
    stream = session.stream_out
    encoded = encode_readings([_READING])

    def prepare() -> bytes:
        payload = encode_readings([_READING]) if from_reading else encoded
        record = sign_record(DEVICE_KEY, DOMAIN, ticket.gid, ticket.oid, ticket.master_oid, 7, ticket.epoch, payload)
        return stream.seal(encode_frame(Items((record,))))

    return prepare


def checkpointed_record_call(*, from_reading: bool = False) -> Callable[[], object]:
    """A record that waits for a checkpoint: hash, link of the running hash, frame, seal."""
    session, ticket = _open_session()
    stream = session.stream_out
    encoded = encode_readings([_READING])
    period = CheckpointPeriod.begin(ticket.master_oid, 6, ticket.epoch, payload_hash(encoded))

    def prepare() -> bytes:
        payload = encode_readings([_READING]) if from_reading else encoded
        record = CheckpointedRecord(ticket.master_oid, 7, ticket.epoch, payload)
        period.extend(ticket.master_oid, 7, payload_hash(payload))
        return stream.seal(encode_frame(Items((record,))))

    return prepare


def senml_probes() -> list[Probe]:
    """Payloads alone."""
    readings = [Reading("ppg", 1_700_000_000.0 + at / 100, 0.5 + at / 1_000, "V") for at in range(100)]
    payload = encode_readings(readings)

    return [
        reference_probe(),
        probe_call(SENML_ONE, lambda: encode_readings([_READING]), 600),
        probe_call(SENML_HUNDRED, lambda: encode_readings(readings), 20),
        probe_call(SENML_HUNDRED_DECODED, lambda: decode_readings(payload), 30),
    ]


def _association_primitives() -> Callable[[], object]:
    struct, preimage = bytes(_STRUCT_ASSOCIATION_BYTES), bytes(_DIGEST_PREIMAGE_BYTES)
    sign, seal = _bare_sign(), _bare_seal(_ASSOCIATION_CALL_BYTES)

    def primitives() -> None:
        keccak256(struct)
        keccak256(preimage)
        sign()
        seal()

    return primitives


def _signed_primitives() -> Callable[[], object]:
    payload = encode_readings([_READING])
    struct, preimage = bytes(_STRUCT_EXCHANGE_BYTES), bytes(_DIGEST_PREIMAGE_BYTES)
    sign, seal = _bare_sign(), _bare_seal(_FRAME_OVERHEAD_BYTES + len(payload))

    def primitives() -> None:
        hashlib.sha256(payload).digest()
        keccak256(struct)
        keccak256(preimage)
        sign()
        seal()

    return primitives


def _bare_sign() -> Callable[[], object]:
    key, digest = coincurve.PrivateKey(DEVICE_KEY.secret), bytes(range(32))
    return lambda: key.sign_recoverable(digest, hasher=None)


def _bare_seal(plaintext_bytes: int) -> Callable[[], object]:
    cipher, nonce, plaintext, associated = AESGCM(bytes(32)), bytes(12), bytes(plaintext_bytes), bytes(_AAD_BYTES)
    return lambda: cipher.encrypt(nonce, plaintext, associated)
