"""A master's parts without sockets: context over the in-memory registry, a group, and devices enrolled in the store."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from group_protocol.channels import MasterSession
from group_protocol.crypto.keys import PrivateKey
from group_protocol.identifiers import ObjectId, Token, derive_object_id
from group_protocol.messages import SealedAnswer
from group_protocol.ports import AssociationRequest, RevocationRequest, RotationRequest
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
from group_protocol.tickets import MembershipState
from group_protocol.tokens import issue_token
from master_api.config import MasterConfig
from master_api.context import MasterContext, build_context
from master_api.current_group import FormedGroup
from master_api.operations import Endpoint, Operations
from master_api.record_intake import RecordIntake
from master_api.service import MasterService
from master_api.sessions import DeviceRecords, LiveSession
from master_api.signature_checks import SignatureChecks
from master_api.store.devices import DeviceRow, fetch_keys_of, insert_device
from master_api.store.records import fetch_device_state
from master_api.store.rotations import RotationRow, keep_rotation
from master_api.store.store import Store
from tests.support.fake_registry import FakeRegistry
from tests.support.handshakes import run_exchange
from tests.support.seeded import ManualClock, SeededRandom

MASTER_KEY = PrivateKey.from_secret(bytes.fromhex("11" * 32))


def device_key(number: int) -> PrivateKey:
    return PrivateKey.from_secret(number.to_bytes(32, "big"))


@dataclass
class Parts:
    """What the tests of single services need."""

    service: MasterService
    registry: FakeRegistry
    clock: ManualClock
    operations: Operations

    @property
    def context(self) -> MasterContext:
        return self.service.context

    @property
    def store(self) -> Store:
        return self.context.store

    @property
    def group(self) -> FormedGroup:
        return self.context.group.require()

    @property
    def deadline(self) -> int:
        return int(self.clock.now_unix_s()) + 60

    async def close(self) -> None:
        await self.service.close()
        self.store.close()

    async def enrol(self, number: int, *, associated: bool = True) -> ObjectId:
        """A device in the store and, if wished, on the contract."""
        key, group = device_key(number), self.group
        oid = derive_object_id(key.address)
        row = DeviceRow(
            oid, group.gid, key.address, f"bed {number}", MembershipState.NOT_ASSOCIATED, self.clock.now_unix_s()
        )
        await self.store.write(lambda connection: insert_device(connection, row))
        if associated:
            token = issue_token(MASTER_KEY, group.gid, key.address)
            request = key.sign_digest(group.domain.association_digest(group.gid, token, self.deadline))
            await self.registry.associate(AssociationRequest(group.gid, token, request, self.deadline))
        return oid

    async def revoke(self, oid: ObjectId) -> None:
        digest = self.group.domain.revocation_digest(self.group.gid, oid, self.deadline)
        await self.registry.revoke(
            RevocationRequest(self.group.gid, oid, self.deadline, MASTER_KEY.sign_digest(digest))
        )

    async def rotate(self, oid: ObjectId, old: PrivateKey, new: PrivateKey) -> None:
        digest = self.group.domain.rotation_digest(self.group.gid, oid, new.address, self.deadline)
        by_old, by_new = old.sign_digest(digest), new.sign_digest(digest)
        proof = RotationRow(oid, new.address, old.address, self.deadline, by_old, by_new)
        await self.store.write(lambda connection: keep_rotation(connection, proof))
        await self.registry.rotate(RotationRequest(self.group.gid, oid, new.address, self.deadline, by_old, by_new))

    def signed(self, key: PrivateKey, oid: ObjectId, seq: int, *, epoch: int = 1) -> SignedRecord:
        group = self.group
        return sign_record(key, group.domain, group.gid, oid, group.master_oid, seq, epoch, content(seq))

    def unsigned(self, seq: int, *, epoch: int = 1) -> CheckpointedRecord:
        return CheckpointedRecord(self.group.master_oid, seq, epoch, content(seq))

    def checkpoint(self, key: PrivateKey, oid: ObjectId, *records: CheckpointedRecord) -> Checkpoint:
        first, *rest = records
        period = CheckpointPeriod.begin(first.receiver, first.seq, first.epoch, payload_hash(first.payload))
        for record in rest:
            period = period.extend(record.receiver, record.seq, payload_hash(record.payload))
        return sign_checkpoint(key, self.group.domain, self.group.gid, oid, period)


def content(seq: int) -> bytes:
    return encode_readings([Reading("ppg", 1_700_000_000.0 + seq, float(seq), "1")])


async def make_parts(folder: Path, *, has_group: bool = True, **settings: Any) -> Parts:
    """A master that does not listen. Close it."""
    clock = ManualClock()
    registry = FakeRegistry(clock.now_unix_s)
    store = Store(f"sqlite:///{folder / 'master.sqlite3'}")
    config = MasterConfig(data_dir=folder, **settings)
    service = MasterService(build_context(config, MASTER_KEY, registry, store, clock, SeededRandom(7)))
    await service.open()
    parts = Parts(service, registry, clock, Operations(service, Endpoint("127.0.0.1", 3000)))
    if has_group:
        await parts.operations.create_group("ward 3")
    return parts


def intake_parts(parts: Parts) -> dict[str, Any]:
    """The arguments of a RecordIntake."""
    return {
        "store": parts.store,
        "group": parts.context.group,
        "registry": parts.registry,
        "clock": parts.clock,
        "terms": parts.context.config.terms,
        "post": parts.context.post,
        "credit_bytes": 1_000,
        "checks": SignatureChecks(0),
    }


def make_intake(parts: Parts) -> RecordIntake:
    return RecordIntake(**intake_parts(parts))


def make_live(parts: Parts, oid: ObjectId, session: MasterSession | None = None) -> LiveSession:
    state = parts.store.read_now(lambda connection: fetch_device_state(connection, oid))
    keys = parts.store.read_now(lambda connection: fetch_keys_of(connection, oid))
    return LiveSession(
        session=session or run_exchange().master_session,
        oid=oid,
        address=keys[-1].address,
        expires_s=1e9,
        m3_digest=b"",
        m4=SealedAnswer(b""),
        token=Token(b""),
        records=DeviceRecords(keys, committed=state, judged=state),
    )
