"""A master over the core's machines alone, as small as the page allows, for tests with a hostile network."""

from dataclasses import dataclass, field, replace

from group_protocol.channels import MasterSession, RepeatedRequest, parse_stream_opening
from group_protocol.crypto.keys import PrivateKey, verify_signature
from group_protocol.device_state import DeviceState, StoredRecord
from group_protocol.errors import DecodingError, PairingError, Reason, RemoteProtocolError, UnexpectedMessageError
from group_protocol.frames import Items, Open, Resume, decode_slave_frame, encode_frame
from group_protocol.handshake import CookieJar, MasterHandshake, MasterPolicy
from group_protocol.identifiers import Address, GroupId, ObjectId, SessionId, derive_object_id
from group_protocol.intake import Intake, IntakeRules, StreamGate, seqs_to_look_up, take_items
from group_protocol.messages import KeysSessionRequest, SealedRequest
from group_protocol.messages_rotation import RotationCall
from group_protocol.pairing import derive_code_id
from group_protocol.ports import RegistryIdentity
from group_protocol.suites import Suite
from group_protocol.tickets import (
    AssociationCall,
    EvidencePolicy,
    MembershipState,
    RegistryResult,
    SessionTerms,
    Ticket,
)
from group_protocol.tokens import issue_token
from group_protocol.typed_data import TypedDataDomain
from tests.support.hostile_network import Port, Witness, lane_of, master_view
from tests.support.seeded import SeededRandom

DOMAIN = TypedDataDomain(RegistryIdentity(1337, Address(bytes.fromhex("42" * 20))))
TERMS = SessionTerms(EvidencePolicy.CHECKPOINTS, 8, 5, 1_000, 86_400)
CREDIT_BYTES = 1 << 20


@dataclass
class Device:
    """What the master knows of one enrolled device. ``keys``: its addresses, each with the epoch that it began in."""

    oid: ObjectId
    keys: list[tuple[int, Address]]
    state: DeviceState = field(default_factory=DeviceState)
    records: dict[int, StoredRecord] = field(default_factory=dict)

    @property
    def address(self) -> Address:
        return self.keys[-1][1]

    def address_in(self, epoch: int) -> Address:
        return next((address for first, address in reversed(self.keys) if first <= epoch), self.keys[0][1])


@dataclass
class OpenSession:
    """A session from M4 on."""

    session: MasterSession
    device: Device
    address: Address
    m3: bytes
    m4: bytes
    gate: StreamGate = field(default_factory=StreamGate)
    has_stream: bool = False
    is_stream_broken: bool = False

    @property
    def is_rotated(self) -> bool:
        return self.address != self.device.address


class HostileTestMaster:
    """Answers requests; a refusal is None. Whatever is no RemoteProtocolError is a bug and comes through."""

    def __init__(self, key: PrivateKey, gid: GroupId, witness: Witness, seed: int) -> None:
        self.key = key
        self.gid = gid
        self.epoch = 1
        self.now_s = 0.0
        self.is_loaded = False
        self.invitations: dict[bytes, bytes] = {}
        self.enrolled: dict[Address, Device] = {}
        self._witness = witness
        self._random = SeededRandom(seed)
        self._cookies = CookieJar(self._random.token_bytes(32))
        self._policy = MasterPolicy(gid, frozenset(Suite))
        self._half_open: dict[SessionId, MasterHandshake] = {}
        self._sessions: dict[SessionId, OpenSession] = {}

    def invite(self, code: bytes) -> None:
        self.invitations[derive_code_id(code)] = code

    def receive(self, port: Port, body: bytes, *, is_opening: bool = False) -> list[bytes] | None:
        """Take one message; on /stream the socket is found by the sid, which stands before every message here."""
        try:
            match port:
                case "/keysSession":
                    return [self._keys_session(KeysSessionRequest.from_body(body))]
                case "/getTicket":
                    return [self._get_ticket(SealedRequest.from_body(body))]
                case "/assoc" | "/rotate" | "/data":
                    return [self._request(port, SealedRequest.from_body(body, max_bytes=262_144))]
                case "/stream":
                    sid, message = parse_stream_opening(body)
                    return self._open_stream(sid, message) if is_opening else self._stream(sid, message)
        except RemoteProtocolError:
            self._witness.refusals += 1
            return None

    def _keys_session(self, m1: KeysSessionRequest) -> bytes:
        if self.is_loaded and not self._cookies.is_valid("10.0.0.1", m1, self.now_s):
            return self._cookies.challenge("10.0.0.1", m1, self.now_s).to_body()
        handshake, m2 = MasterHandshake.answer(m1, key=self.key, policy=self._policy, random=self._random)
        self._half_open[m2.sid] = handshake
        return m2.to_body()

    def _get_ticket(self, m3: SealedRequest) -> bytes:
        known = self._sessions.get(m3.sid)
        if known is not None:
            if known.m3 != m3.to_body():
                raise UnexpectedMessageError("another M3")
            return known.m4
        handshake = self._half_open.get(m3.sid)
        if handshake is None:
            raise UnexpectedMessageError("no such exchange")
        identity = handshake.receive_identity(m3)
        if identity.address not in self.enrolled:
            code = self.invitations.get(identity.pairing.code_id) if identity.pairing else None
            if code is None:
                raise PairingError("not invited")
            handshake.verify_pairing(code)
            del self.invitations[derive_code_id(code)]
            oid = derive_object_id(identity.address)
            self.enrolled[identity.address] = Device(oid, [(self.epoch, identity.address)])
        device = self.enrolled[identity.address]
        session, m4 = handshake.admit(self._ticket(device))
        view = master_view(session, self.key.address, identity.address)
        self._witness.master_admitted(view, enrolled=identity.address in self.enrolled)
        del self._half_open[m3.sid]
        self._sessions = {sid: held for sid, held in self._sessions.items() if held.device is not device}
        self._sessions[m3.sid] = OpenSession(session, device, identity.address, m3.to_body(), m4.to_body())
        return m4.to_body()

    def _ticket(self, device: Device) -> Ticket:
        return Ticket(
            gid=self.gid,
            oid=device.oid,
            address=device.address,
            token=issue_token(self.key, self.gid, device.address, oid=device.oid),
            master_oid=derive_object_id(self.key.address),
            chain_id=1337,
            contract=DOMAIN.identity.contract,
            state=MembershipState.ACTIVE,
            epoch=self.epoch,
            deadline_unix_s=1_800_000_000,
            last_seq=device.state.last_seq,
            terms=TERMS,
        )

    def _request(self, port: Port, request: SealedRequest) -> bytes:
        held = self._find(request.sid)
        receiver = held.session.data if port == "/data" else held.session.control
        opened = receiver.open_request(request)
        if isinstance(opened, RepeatedRequest):
            return opened.answer.to_body()
        lane = lane_of(request.sid, port, opened.seq)
        self._witness.master_opened(lane, opened.plaintext)
        if port == "/data":
            frame = decode_slave_frame(opened.plaintext)
            assert isinstance(frame, Items)
            answer = encode_frame(self._take(held, frame).ack(credit_bytes=CREDIT_BYTES, epoch=self.epoch))
        else:
            answer = self._control(port, held, opened.plaintext).encode()
        self._witness.master_sealed(lane, answer)
        return receiver.seal_answer(opened.seq, answer).to_body()

    def _control(self, port: Port, held: OpenSession, plaintext: bytes) -> RegistryResult:
        try:
            if port == "/rotate":
                self._rotate(held, RotationCall.decode(plaintext))
            else:
                AssociationCall.decode(plaintext)
                if held.is_rotated:
                    return RegistryResult(MembershipState.ACTIVE, Reason.NOT_A_MEMBER, bytes(32), 0, self.epoch)
        except DecodingError:
            return RegistryResult(MembershipState.ACTIVE, Reason.MALFORMED, bytes(32), 0, self.epoch)
        return RegistryResult(MembershipState.ACTIVE, Reason.NONE, bytes(32), 1, self.epoch)

    def _rotate(self, held: OpenSession, call: RotationCall) -> None:
        """What master and contract do together (docs/protocol.md §7.1); asking again does no harm."""
        device, new = held.device, call.new_address
        if device.address == new:
            return
        digest = DOMAIN.rotation_digest(self.gid, device.oid, new, call.deadline_unix_s)
        assert new not in self.enrolled, "an honest device asks for a fresh key"
        verify_signature(digest, call.by_old, device.address)
        verify_signature(digest, call.by_new, new)
        self._witness.master_changed_key(device.oid, device.address, new)
        self._forget_key(device.address)
        self.enrolled[new] = device
        self.epoch += 1
        device.keys.append((self.epoch, new))

    def _forget_key(self, old: Address) -> None:
        del self.enrolled[old]

    def _find(self, sid: SessionId) -> OpenSession:
        held = self._sessions.get(sid)
        if held is None:
            raise UnexpectedMessageError("no such session")
        return held

    def _open_stream(self, sid: SessionId, message: bytes) -> list[bytes]:
        held = self._find(sid)
        if held.has_stream:
            raise UnexpectedMessageError("the session's stream was opened before")
        plaintext = held.session.stream_in.open(message)
        self._note_stream_unit(sid, message, plaintext)
        assert isinstance(decode_slave_frame(plaintext), Open)
        held.has_stream = True
        return [self._send_ack(held, take_items([], held.device.state, self._rules(held), {}))]

    def _stream(self, sid: SessionId, message: bytes) -> list[bytes]:
        held = self._find(sid)
        if not held.has_stream or held.is_stream_broken:
            raise UnexpectedMessageError("no such stream")
        try:
            plaintext = held.session.stream_in.open(message)
        except RemoteProtocolError:
            held.is_stream_broken = True
            raise
        self._note_stream_unit(sid, message, plaintext)
        frame = decode_slave_frame(plaintext)
        assert isinstance(frame, Items | Resume)
        if isinstance(frame, Resume):
            held.gate = held.gate.resume(frame)
            return []
        if not held.gate.is_open:
            return []
        intake = self._take(held, frame)
        held.gate = held.gate.after(intake)
        return [self._send_ack(held, intake)]

    def _note_stream_unit(self, sid: SessionId, message: bytes, plaintext: bytes) -> None:
        self._witness.master_opened(lane_of(sid, "/stream", int.from_bytes(message[:8], "big")), plaintext)

    def _send_ack(self, held: OpenSession, intake: Intake) -> bytes:
        frame = encode_frame(intake.ack(credit_bytes=CREDIT_BYTES, epoch=self.epoch))
        message = held.session.stream_out.seal(frame)
        lane = lane_of(held.session.sid, "/stream", int.from_bytes(message[:8], "big"))
        self._witness.master_sealed(lane, frame)
        return message

    def _rules(self, held: OpenSession) -> IntakeRules:
        own = derive_object_id(self.key.address)
        return IntakeRules(
            domain=DOMAIN,
            gid=self.gid,
            sender=held.device.oid,
            is_sender_active=not held.is_rotated,
            epoch=self.epoch,
            address_in=held.device.address_in,
            is_active_member=lambda oid: oid == own,
            master=own,
            has_room=lambda _oid: True,
            terms=TERMS,
        )

    def _take(self, held: OpenSession, frame: Items) -> Intake:
        device = held.device
        stored = {
            seq: device.records[seq] for seq in seqs_to_look_up(device.state, frame.items) if seq in device.records
        }
        intake = take_items(frame.items, device.state, self._rules(held), stored)
        for accepted in intake.records:
            record = accepted.record
            self._witness.master_stored(device.oid, record.seq, record.payload)
            device.records[record.seq] = StoredRecord(
                ObjectId(record.receiver), record.seq, record.epoch, accepted.payload_hash
            )
        device.state = replace(intake.state)
        return intake
