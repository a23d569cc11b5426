"""A master on a loopback port over the in-memory registry, and devices that talk to it with the core's own machines."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from group_protocol.channels import SlaveSession
from group_protocol.crypto.aead import Aead
from group_protocol.crypto.keys import PrivateKey
from group_protocol.frames import Ack, Items, MasterFrame, Open, SlaveFrame, decode_master_frame, encode_frame
from group_protocol.handshake import SlaveHandshake
from group_protocol.identifiers import GroupId, ObjectId, derive_object_id
from group_protocol.key_changes import KeyChange
from group_protocol.messages import KeysSessionRequest, SealedAnswer, SealedRequest, parse_keys_session_answer
from group_protocol.ports import RegistryIdentity
from group_protocol.records import (
    Checkpoint,
    CheckpointedRecord,
    CheckpointPeriod,
    Item,
    SignedRecord,
    payload_hash,
    sign_checkpoint,
    sign_record,
)
from group_protocol.senml import Reading, encode_readings
from group_protocol.suites import Suite
from group_protocol.tickets import AssociationCall, RegistryResult, Ticket
from group_protocol.typed_data import TypedDataDomain
from master_api.config import MasterConfig
from master_api.context import MasterContext, build_context
from master_api.operations import Endpoint, Operations
from master_api.pairing import invite
from master_api.service import MasterService
from master_api.store.store import Store
from tests.support.fake_registry import FakeRegistry
from tests.support.seeded import ManualClock, SeededRandom

MASTER_KEY = PrivateKey.from_secret(bytes.fromhex("11" * 32))


def device_key(number: int) -> PrivateKey:
    return PrivateKey.from_secret(number.to_bytes(32, "big"))


def payload(value: float, time_s: float = 1_700_000_000.0) -> bytes:
    return encode_readings([Reading("ppg", time_s, value, "1")])


class Edge(Protocol):
    """The network side of a master: all that a device needs of it."""

    http: aiohttp.ClientSession

    @property
    def url(self) -> str: ...

    async def exchange(self, path: str, body: bytes) -> bytes: ...


@dataclass
class Bench:
    """A running master and everything a test needs to reach into it."""

    service: MasterService
    registry: FakeRegistry
    clock: ManualClock
    store: Store
    operations: Operations
    url: str
    http: aiohttp.ClientSession

    @property
    def context(self) -> MasterContext:
        return self.service.context

    async def make_code(self, name: str = "bed 1", lifetime_s: float = 900) -> bytes:
        return (await invite(self.context, name, "127.0.0.1", 3000, lifetime_s)).pairing.code

    async def post(self, path: str, body: bytes | AsyncIterator[bytes], **options: Any) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} | options.pop("headers", {})
        async with self.http.post(self.url + path, data=body, headers=headers, **options) as answer:
            return answer.status, await answer.read()

    async def exchange(self, path: str, body: bytes) -> bytes:
        status, answer = await self.post(path, body)
        assert status == 200, (status, answer)
        return answer

    def device(self, number: int, *, code: bytes | None = None, suite: Suite = Suite.E1) -> "Device":
        return Device(self, device_key(number), code, suite)

    async def joined_device(self, number: int) -> "Device":
        """A device that is paired, associated, and has a session."""
        device = self.device(number, code=await self.make_code(f"bed {number}"))
        await device.open_session()
        await device.associate()
        return device


class Device:
    """A slave made of the core's machines alone."""

    def __init__(self, bench: Edge, key: PrivateKey, code: bytes | None, suite: Suite) -> None:
        self.bench = bench
        self.key = key
        self.code = code
        self.suite = suite
        self.oid: ObjectId = derive_object_id(key.address)
        self.seq = 0
        self.random = SeededRandom(int.from_bytes(key.secret, "big"))
        self.ticket: Ticket
        self.session: SlaveSession
        self.m3: SealedRequest
        self.key_changes: tuple[KeyChange, ...] = ()

    def begin(self) -> SlaveHandshake:
        return SlaveHandshake(
            key=self.key,
            master=MASTER_KEY.address,
            gid=None,
            oid=self.oid,
            suites=(self.suite,),
            aeads=(Aead.A256GCM,),
            pairing_code=self.code,
            random=self.random,
            key_changes=self.key_changes,
        )

    async def ask_for_keys(self) -> tuple[SlaveHandshake, SealedRequest]:
        """M1, M2 (and M1R if it comes): the handshake and the M3 to send."""
        handshake = self.begin()
        m1 = handshake.start()
        answer = handshake.receive_keys_session(
            parse_keys_session_answer(await self.bench.exchange("/keysSession", m1.to_body()))
        )
        if isinstance(answer, KeysSessionRequest):
            answer = handshake.receive_keys_session(
                parse_keys_session_answer(await self.bench.exchange("/keysSession", answer.to_body()))
            )
        assert isinstance(answer, SealedRequest)
        return handshake, answer

    async def open_session(self) -> Ticket:
        handshake, self.m3 = await self.ask_for_keys()
        answer = await self.bench.exchange("/getTicket", self.m3.to_body())
        self.ticket = handshake.receive_ticket(SealedAnswer.from_body(answer))
        self.session = handshake.session
        return self.ticket

    @property
    def domain(self) -> TypedDataDomain:
        return TypedDataDomain(RegistryIdentity(self.ticket.chain_id, self.ticket.contract))

    @property
    def gid(self) -> GroupId:
        return self.ticket.gid

    def association(self) -> AssociationCall:
        deadline = self.ticket.deadline_unix_s
        digest = self.domain.association_digest(self.gid, self.ticket.token, deadline)
        return AssociationCall(self.ticket.token, self.key.sign_digest(digest), deadline)

    async def associate(self) -> RegistryResult:
        return await self.ask_control("/assoc", self.association().encode())

    async def ask_control(self, path: str, plaintext: bytes) -> RegistryResult:
        request = self.session.control.seal_request(plaintext)
        answer = await self.bench.exchange(path, request.to_body())
        return RegistryResult.decode(self.session.control.open_answer(request.seq, SealedAnswer.from_body(answer)))

    def record(self, *, epoch: int | None = None, content: bytes | None = None, seq: int | None = None) -> SignedRecord:
        """The device's next record, signed."""
        if seq is None:
            self.seq += 1
            seq = self.seq
        return sign_record(
            self.key,
            self.domain,
            self.gid,
            self.oid,
            self.ticket.master_oid,
            seq,
            self.ticket.epoch if epoch is None else epoch,
            payload(float(seq)) if content is None else content,
        )

    def message(self, receiver: ObjectId, content: bytes | None = None, *, epoch: int | None = None) -> SignedRecord:
        """The next record, to another slave."""
        self.seq += 1
        said = payload(float(self.seq)) if content is None else content
        current = self.ticket.epoch if epoch is None else epoch
        return sign_record(self.key, self.domain, self.gid, self.oid, receiver, self.seq, current, said)

    def checkpoint(self, *records: CheckpointedRecord) -> Checkpoint:
        """The checkpoint that covers these records, signed."""
        first, *rest = records
        period = CheckpointPeriod.begin(first.receiver, first.seq, first.epoch, payload_hash(first.payload))
        for record in rest:
            period = period.extend(record.receiver, record.seq, payload_hash(record.payload))
        return sign_checkpoint(self.key, self.domain, self.gid, self.oid, period)

    def seal_items(self, *items: Item) -> SealedRequest:
        return self.session.data.seal_request(encode_frame(Items(items)))

    async def send(self, *items: Item) -> Ack:
        return await self.send_request(self.seal_items(*items))

    async def send_request(self, request: SealedRequest) -> Ack:
        answer = await self.bench.exchange("/data", request.to_body())
        frame = decode_master_frame(self.session.data.open_answer(request.seq, SealedAnswer.from_body(answer)))
        assert isinstance(frame, Ack)
        return frame

    async def open_stream(self) -> "DeviceStream":
        socket = await self.bench.http.ws_connect(self.bench.url + "/stream")
        stream = DeviceStream(self.session, socket)
        await socket.send_bytes(self.session.stream_opening(encode_frame(Open())))
        return stream


class DeviceStream:
    """The device's end of a stream."""

    def __init__(self, session: SlaveSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._session = session
        self.socket = socket

    async def send(self, frame: SlaveFrame) -> None:
        await self.socket.send_bytes(self._session.stream_out.seal(encode_frame(frame)))

    async def receive(self) -> MasterFrame:
        message = await self.socket.receive(timeout=5)
        assert message.type is aiohttp.WSMsgType.BINARY, message
        return decode_master_frame(self._session.stream_in.open(message.data))

    async def receive_ack(self) -> Ack:
        frame = await self.receive()
        assert isinstance(frame, Ack), frame
        return frame

    async def receive_close_code(self) -> int | None:
        """Read to the end of the socket; the WebSocket close code."""
        while True:
            message = await self.socket.receive(timeout=5)
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING):
                return self.socket.close_code


@asynccontextmanager
async def running_master(
    folder: Path,
    *,
    registry: FakeRegistry | None = None,
    clock: ManualClock | None = None,
    has_group: bool = True,
    **settings: Any,
) -> AsyncIterator[Bench]:
    """A master that listens; ``settings`` go to its configuration."""
    clock = clock or ManualClock()
    registry = registry or FakeRegistry(clock.now_unix_s)
    config = MasterConfig(data_dir=folder, port=0, shutdown_s=1.0, lingering_s=0.5, **settings)
    store = Store(config.resolved_store_url)
    service = MasterService(build_context(config, MASTER_KEY, registry, store, clock, SeededRandom(7)))
    try:
        await service.open()
        port = await service.listen()
        operations = Operations(service, Endpoint("127.0.0.1", port))
        if has_group and service.context.group.formed is None:
            await operations.create_group("ward 3")
        async with aiohttp.ClientSession() as http:
            yield Bench(service, registry, clock, store, operations, f"http://127.0.0.1:{port}", http)
    finally:
        await service.close()
        store.close()
