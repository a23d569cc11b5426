"""A slave over the core's machines alone, as small as the page allows, for tests with a hostile network."""

from dataclasses import dataclass

from group_protocol.channels import RequestSender, SlaveSession, StreamSender
from group_protocol.crypto.aead import Aead
from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import Reason, RemoteProtocolError, UnexpectedMessageError
from group_protocol.frames import Ack, Items, Open, Resume, decode_master_frame, encode_frame
from group_protocol.handshake import SlaveHandshake, SlaveState
from group_protocol.identifiers import Address, GroupId, ObjectId, SessionId, Signature, Token, derive_object_id
from group_protocol.messages import KeysSessionRequest, SealedAnswer, parse_keys_session_answer
from group_protocol.messages_rotation import RotationCall
from group_protocol.records import (
    CheckpointedRecord,
    CheckpointPeriod,
    Item,
    payload_hash,
    sign_checkpoint,
    sign_record,
)
from group_protocol.senml import Reading, encode_readings
from group_protocol.suites import Suite
from group_protocol.tickets import AssociationCall, RegistryResult, Ticket
from tests.support.hostile_master import DOMAIN
from tests.support.hostile_network import Lane, Packet, Port, Witness, lane_of, slave_view
from tests.support.seeded import SeededRandom


@dataclass(frozen=True)
class Bundle:
    """Records that travel together: signed ones, or checkpointed ones with their checkpoint."""

    payloads: dict[int, bytes]
    is_signed: bool

    @property
    def last_seq(self) -> int:
        return max(self.payloads)


class HostileTestSlave:
    """Says records and keeps them until they are acknowledged. ``receive`` answers what it sends next."""

    def __init__(
        self, name: str, key: PrivateKey, master_name: str, master: Address, code: bytes | None, witness: Witness
    ) -> None:
        self.name = name
        self.key = key
        self.master_name = master_name
        self.session: SlaveSession | None = None
        self.outbox: list[Bundle] = []
        self.oid: ObjectId = derive_object_id(key.address)
        self.candidate: PrivateKey | None = None
        self.keys = [key]
        self._session_key = key
        self._handshake_key = key
        self._master = master
        self._code = code
        self._gid: GroupId | None = None
        self._token = Token(b"")
        self._epoch = 1
        self._next_seq = 1
        self._sent_on_stream_to = 0
        self._has_stream = False
        self._handshake: SlaveHandshake | None = None
        self._waiting: dict[Lane, Port] = {}
        self._witness = witness
        self._random = SeededRandom(int.from_bytes(key.secret[-8:], "big"))

    def begin(
        self, suites: tuple[Suite, ...], aeads: tuple[Aead, ...], *, with_candidate: bool = False
    ) -> list[Packet]:
        """M1; under the new key, if one was asked for and ``with_candidate`` says so."""
        self._handshake_key = self.candidate if with_candidate and self.candidate is not None else self.key
        self._handshake = SlaveHandshake(
            key=self._handshake_key,
            master=self._master,
            gid=self._gid,
            oid=self.oid,
            suites=suites,
            aeads=aeads,
            pairing_code=self._code,
            random=self._random,
        )
        return [self._packet("/keysSession", self._handshake.start().to_body())]

    def say(self, count: int, *, is_signed: bool) -> None:
        payloads = {}
        for _ in range(count):
            seq = self._next_seq
            self._next_seq += 1
            payloads[seq] = encode_readings([Reading("ppg", 1_700_000_000.0, float(seq), "1")])
            self._witness.slave_said(self.oid, seq, payloads[seq])
        self.outbox.append(Bundle(payloads, is_signed))

    def ask_control(self) -> list[Packet]:
        if self.session is None:
            return []
        return self._seal_request("/assoc", AssociationCall(self._token, self._token_signature(), 1).encode())

    def ask_for_new_key(self) -> list[Packet]:
        """A rotation, or the same one again; both keys are kept until the new one has opened a session."""
        if self.session is None:
            return []
        if self.candidate is None:
            self.candidate = PrivateKey.from_secret(self._random.token_bytes(32))
            self.keys.append(self.candidate)
        self._witness.slave_wishes_key(self.oid, self.candidate.address)
        assert self._gid is not None
        digest = DOMAIN.rotation_digest(self._gid, self.oid, self.candidate.address, 1)
        by_old, by_new = self._session_key.sign_digest(digest), self.candidate.sign_digest(digest)
        return self._seal_request("/rotate", RotationCall(self.candidate.public_key, 1, by_old, by_new).encode())

    def send_data(self) -> list[Packet]:
        """Everything that is not acknowledged, in one frame."""
        if self.session is None or not self.outbox:
            return []
        return self._seal_request("/data", encode_frame(Items(self._items(0))))

    def open_stream(self) -> list[Packet]:
        if self.session is None or self._has_stream:
            return []
        self._has_stream = True
        self._sent_on_stream_to = 0
        return [self._seal_stream(encode_frame(Open()), is_opening=True)]

    def send_stream(self) -> list[Packet]:
        """Everything that was not sent on this stream yet."""
        if self.session is None or not self._has_stream or not (items := self._items(self._sent_on_stream_to)):
            return []
        self._sent_on_stream_to = self.outbox[-1].last_seq
        return [self._seal_stream(encode_frame(Items(items)))]

    def begin_generation(self, port: Port) -> None:
        if self.session is not None:
            senders: dict[Port, RequestSender | StreamSender] = {
                "/data": self.session.data,
                "/stream": self.session.stream_out,
            }
            sender = senders.get(port, self.session.control)
            sender.begin_generation()

    def receive(self, packet: Packet) -> list[Packet]:
        try:
            return self._receive(packet)
        except RemoteProtocolError:
            self._witness.refusals += 1
            return []

    def _receive(self, packet: Packet) -> list[Packet]:
        match packet.port:
            case "/keysSession":
                return self._receive_keys(packet.body)
            case "/getTicket":
                self._receive_ticket(packet.body)
                return []
            case "/assoc" | "/rotate" | "/data":
                return self._receive_answer(packet)
            case "/stream":
                return self._receive_stream(packet.body)

    def _receive_keys(self, body: bytes) -> list[Packet]:
        handshake = self._begun()
        answer = handshake.receive_keys_session(parse_keys_session_answer(body))
        if isinstance(answer, KeysSessionRequest):
            return [self._packet("/keysSession", answer.to_body())]
        assert handshake._session is not None
        self._witness.slave_proved_itself(slave_view(handshake._session, self._master, self._handshake_key.address))
        return [self._packet("/getTicket", answer.to_body())]

    def _receive_ticket(self, body: bytes) -> None:
        handshake = self._begun()
        ticket: Ticket = handshake.receive_ticket(SealedAnswer.from_body(body))
        assert handshake.state is SlaveState.ESTABLISHED
        self.session = handshake.session
        self._session_key = self._handshake_key
        self._witness.slave_established(slave_view(self.session, self._master, self._session_key.address))
        if self._session_key is self.candidate:
            self.key, self.candidate = self.candidate, None  # it has proved itself: the old one goes
        self._handshake, self._code = None, None
        self._gid, self._epoch, self._token = ticket.gid, ticket.epoch, ticket.token
        self._waiting = {}
        self._has_stream = False
        self._acknowledge(ticket.last_seq)

    def _begun(self) -> SlaveHandshake:
        if self._handshake is None:
            raise UnexpectedMessageError("no exchange was begun")
        return self._handshake

    def _receive_answer(self, packet: Packet) -> list[Packet]:
        lane = self._lane(packet.port, packet.seq)
        asked = self._waiting.get(lane)
        if self.session is None or asked is None:
            raise UnexpectedMessageError("nothing was asked")
        sender = self.session.data if asked == "/data" else self.session.control
        plaintext = sender.open_answer(packet.seq, SealedAnswer.from_body(packet.body))
        self._witness.slave_opened(lane, plaintext)
        del self._waiting[lane]
        if asked == "/data":
            self._take_ack(plaintext)
        else:
            result = RegistryResult.decode(plaintext)
            assert result.reason in {Reason.NONE, Reason.NOT_A_MEMBER, Reason.MALFORMED}
        return []

    def _receive_stream(self, message: bytes) -> list[Packet]:
        if self.session is None or not self._has_stream:
            raise UnexpectedMessageError("no stream was opened")
        plaintext = self.session.stream_in.open(message)
        self._witness.slave_opened(self._lane("/stream", int.from_bytes(message[:8], "big")), plaintext)
        ack = self._take_ack(plaintext)
        if ack.reason is Reason.NONE:
            return []
        self._sent_on_stream_to = 0
        return [self._seal_stream(encode_frame(Resume(ack.refused_seq)))]

    def _take_ack(self, plaintext: bytes) -> Ack:
        ack = decode_master_frame(plaintext)
        assert isinstance(ack, Ack)
        is_rotating = ack.reason is Reason.NOT_A_MEMBER and self.candidate is not None
        assert is_rotating or ack.reason in {Reason.NONE, Reason.STALE_EPOCH}, "an honest record was refused"
        self._epoch = max(self._epoch, ack.epoch)
        self._acknowledge(ack.last_seq)
        return ack

    def _acknowledge(self, last_seq: int) -> None:
        for bundle in [bundle for bundle in self.outbox if bundle.last_seq <= last_seq]:
            for seq in bundle.payloads:
                self._witness.slave_was_acknowledged(self.oid, seq)
            self.outbox.remove(bundle)

    def _items(self, after_seq: int) -> tuple[Item, ...]:
        return tuple(
            item for bundle in self.outbox if bundle.last_seq > after_seq for item in self._bundle_items(bundle)
        )

    def _bundle_items(self, bundle: Bundle) -> list[Item]:
        assert self._gid is not None
        own, to = self.oid, derive_object_id(self._master)
        if bundle.is_signed:
            return [
                sign_record(self._session_key, DOMAIN, self._gid, own, to, seq, self._epoch, payload)
                for seq, payload in bundle.payloads.items()
            ]
        records: list[Item] = []
        period: CheckpointPeriod | None = None
        for seq, payload in bundle.payloads.items():
            records.append(CheckpointedRecord(to, seq, self._epoch, payload))
            digest = payload_hash(payload)
            period = period.extend(to, seq, digest) if period else CheckpointPeriod.begin(to, seq, self._epoch, digest)
        assert period is not None
        return [*records, sign_checkpoint(self._session_key, DOMAIN, self._gid, own, period)]

    def _token_signature(self) -> Signature:
        assert self._gid is not None
        return self._session_key.sign_digest(DOMAIN.association_digest(self._gid, self._token, 1))

    def _seal_request(self, port: Port, plaintext: bytes) -> list[Packet]:
        assert self.session is not None
        sender = self.session.data if port == "/data" else self.session.control
        request = sender.seal_request(plaintext)
        lane = self._lane(port, request.seq)
        self._witness.slave_sealed(lane, plaintext)
        self._waiting[lane] = port
        return [self._packet(port, request.to_body(), request.seq)]

    def _seal_stream(self, frame: bytes, *, is_opening: bool = False) -> Packet:
        assert self.session is not None
        sid: SessionId = self.session.sid
        message = self.session.stream_out.seal(frame)
        self._witness.slave_sealed(self._lane("/stream", int.from_bytes(message[:8], "big")), frame)
        return Packet(self.name, self.master_name, "/stream", sid + message, is_opening=is_opening)

    def _lane(self, port: Port, seq: int) -> Lane:
        return lane_of(self.session.sid if self.session else SessionId(b""), port, seq)

    def _packet(self, port: Port, body: bytes, seq: int = 0) -> Packet:
        return Packet(self.name, self.master_name, port, body, seq)
