"""What is fuzzed: every decoder of bytes that a peer or a user hands in.

A target takes any bytes. It may refuse them with the error that the decoder promises; every other error, and every
input whose decoding does not survive encoding and decoding again, is a finding.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Final

from group_protocol.channels import parse_stream_opening
from group_protocol.crypto.aead import Aead
from group_protocol.crypto.exchange import answer_share, parse_rsa_public_key
from group_protocol.crypto.keys import CURVE_ORDER, derive_address, parse_public_key, recover_address
from group_protocol.device_state import DeviceState, StoredRecord
from group_protocol.encoding import Reader, b64decode, b64encode
from group_protocol.errors import (
    ConfigurationError,
    DecodingError,
    LocalProtocolError,
    RemoteProtocolError,
    VerificationError,
)
from group_protocol.extensions import Standing
from group_protocol.frames import decode_master_frame, decode_slave_frame, encode_frame
from group_protocol.handshake import MasterHandshake, SlaveHandshake
from group_protocol.intake import IntakeRules, seqs_to_look_up, take_items
from group_protocol.limits import DATA_BODY_MAX_BYTES
from group_protocol.messages import KeysSessionRequest, SealedAnswer, SealedRequest, parse_keys_session_answer
from group_protocol.messages_rotation import RotationCall
from group_protocol.pairing import parse_pairing_string
from group_protocol.peer_messages import decode_delivery, encode_delivery, verify_delivery
from group_protocol.records import decode_items, encode_items
from group_protocol.senml import decode_readings, encode_readings
from group_protocol.succession import Succession, SuccessionRequest
from group_protocol.suites import Suite
from group_protocol.tickets import AssociationCall, EvidencePolicy, IdentityProof, RegistryResult, SessionTerms, Ticket
from tests.fuzz import chain_targets, edge_targets, file_targets, finding_targets, gateway_targets, proof_targets
from tests.support.handshakes import ALL_SUITES, MASTER_KEY, Exchange, make_slave, run_exchange
from tests.support.records import DEVICE, DEVICE_KEY, DOMAIN, GID, MASTER
from tests.support.seeded import SeededRandom

Target = Callable[[bytes], None]


def fuzz_m1(raw: bytes) -> None:
    try:
        m1 = KeysSessionRequest.from_body(raw)
    except DecodingError:
        return
    assert KeysSessionRequest.from_body(m1.to_body()) == m1
    try:
        MasterHandshake.answer(m1, key=MASTER_KEY, policy=ALL_SUITES, random=SeededRandom(0))
    except RemoteProtocolError:
        return


def fuzz_m2(raw: bytes) -> None:
    try:
        m2 = parse_keys_session_answer(raw)
    except DecodingError:
        return
    assert parse_keys_session_answer(m2.to_body()) == m2
    slave = _waiting_slave()
    try:
        slave.receive_keys_session(m2)
    except RemoteProtocolError:
        return


def fuzz_successions(raw: bytes) -> None:
    """The first byte chooses question or answer."""
    kind: type[Succession | SuccessionRequest] = SuccessionRequest if raw[:1] == b"q" else Succession
    try:
        decoded = kind.from_body(raw[1:])
    except DecodingError:
        return
    assert kind.from_body(decoded.to_body()) == decoded
    if isinstance(decoded, Succession):
        try:
            decoded.verify(MASTER_KEY.address)
        except VerificationError:
            return


def _waiting_slave() -> SlaveHandshake:
    slave = make_slave(Suite.E1, random=SeededRandom(5), aeads=(Aead.A256GCM, Aead.C20P1305))
    slave.start()
    return slave


@cache
def _exchange() -> Exchange:
    return run_exchange()


def fuzz_sealed_bodies(raw: bytes) -> None:
    try:
        request = SealedRequest.from_body(raw, max_bytes=DATA_BODY_MAX_BYTES)
    except DecodingError:
        pass
    else:
        assert SealedRequest.from_body(request.to_body(), max_bytes=DATA_BODY_MAX_BYTES) == request
        _refuse_request(request)
    try:
        answer = SealedAnswer.from_body(raw)
    except DecodingError:
        return
    assert SealedAnswer.from_body(answer.to_body()) == answer


def _refuse_request(request: SealedRequest) -> None:
    for receiver in (_exchange().master_session.control, _exchange().master_session.data):
        try:
            receiver.open_request(request)
        except RemoteProtocolError:
            continue
        raise AssertionError("a request opened that nobody sealed")


def fuzz_base64url(raw: bytes) -> None:
    text = raw.decode("utf-8", "surrogateescape")
    try:
        decoded = b64decode(text)
    except DecodingError:
        return
    assert b64encode(decoded) == text


_INNER: Final = (IdentityProof, Ticket, AssociationCall, RegistryResult, RotationCall)


def fuzz_inner_plaintexts(raw: bytes) -> None:
    """The first byte chooses the layout. Extensions are skipped, so that only what they follow comes back."""
    if not raw:
        return
    kind = _INNER[raw[0] % len(_INNER)]
    try:
        decoded = kind.decode(raw[1:])
    except DecodingError:
        return
    if not isinstance(decoded, IdentityProof) or decoded.unsupported is None:  # which is never encoded again
        assert kind.decode(decoded.encode()) == decoded
    assert raw[1:].startswith(_without_extensions(decoded).encode())


_Inner = IdentityProof | Ticket | AssociationCall | RegistryResult | RotationCall


def _without_extensions(decoded: _Inner) -> _Inner:
    if isinstance(decoded, IdentityProof):
        return replace(decoded, software="", key_history=None)
    return replace(decoded, software="", standing=Standing.GOOD) if isinstance(decoded, Ticket) else decoded


def fuzz_extensions(raw: bytes) -> None:
    reader = Reader(raw)
    try:
        reader.extensions()
    except DecodingError:
        return
    reader.end()


def fuzz_items(raw: bytes) -> None:
    try:
        items = decode_items(raw)
    except DecodingError:
        return
    assert encode_items(items) == raw


def fuzz_frames(raw: bytes) -> None:
    for decode in (decode_slave_frame, decode_master_frame):
        try:
            frame = decode(raw)
        except DecodingError:
            continue
        encoded = encode_frame(frame)
        assert raw.startswith(encoded)
        assert decode(encoded) == frame


def fuzz_deliveries(raw: bytes) -> None:
    """A master's DELIVERY: whatever decodes is encoded again as it was, and nobody's word is believed for it."""
    try:
        delivery = decode_delivery(raw)
    except DecodingError:
        return
    encoded = encode_delivery(delivery)
    assert raw.startswith(encoded)
    assert decode_delivery(encoded) == delivery
    try:
        verify_delivery(delivery, DOMAIN, GID, MASTER)
    except VerificationError:
        return
    raise AssertionError("a message was believed that nobody said")


def fuzz_intake(raw: bytes) -> None:
    """Any items a proven device may send: judged, never an error; and what is taken is never taken again."""
    try:
        items = decode_items(raw)
    except DecodingError:
        return
    intake = take_items(items, DeviceState(), RULES, {})
    stored = {
        accepted.record.seq: StoredRecord(
            accepted.record.receiver, accepted.record.seq, accepted.record.epoch, accepted.payload_hash
        )
        for accepted in intake.records
    }
    looked_up = {seq: stored[seq] for seq in seqs_to_look_up(intake.state, items) if seq in stored}
    again = take_items(items, intake.state, RULES, looked_up)
    assert not again.records
    assert not again.checkpoints


RULES: Final = IntakeRules(
    domain=DOMAIN,
    gid=GID,
    sender=DEVICE,
    is_sender_active=True,
    epoch=1,
    address_in=lambda _epoch: DEVICE_KEY.address,
    is_active_member=lambda oid: oid == MASTER,
    master=MASTER,
    has_room=lambda _oid: True,
    terms=SessionTerms(EvidencePolicy.CHECKPOINTS, 3, 5, 1_000, 86_400),
)


def fuzz_senml(raw: bytes) -> None:
    try:
        readings = decode_readings(raw)
    except DecodingError:
        return
    try:
        encoded = encode_readings(readings)
    except LocalProtocolError:
        # Base names of 255 characters for a thousand readings fit no payload once they are resolved.
        assert sum(len(reading.name) for reading in readings) > 30_000
        return
    assert decode_readings(encoded) == readings


def fuzz_pairing_string(raw: bytes) -> None:
    text = raw.decode("utf-8", "surrogateescape")
    try:
        pairing = parse_pairing_string(text)
    except ConfigurationError:
        return
    assert parse_pairing_string(pairing.to_text()) == pairing


def fuzz_stream_openings(raw: bytes) -> None:
    try:
        sid, message = parse_stream_opening(raw)
    except DecodingError:
        return
    assert sid + message == raw
    for receiver in (_exchange().master_session.stream_in, _exchange().slave_session.stream_in):
        try:
            receiver.open(message)
        except RemoteProtocolError:
            continue
        raise AssertionError("a message opened that nobody sealed")


def fuzz_public_keys(raw: bytes) -> None:
    try:
        key = parse_public_key(raw)
    except DecodingError:
        return
    assert len(key) == 65
    assert parse_public_key(key) == key
    assert len(derive_address(key)) == 20
    assert len(raw) == 33 or raw == key


def fuzz_shares(raw: bytes) -> None:
    """The slave's share in each suite, as M1 carried it."""
    for suite, offers_h1 in ((Suite.E1, False), (Suite.E1, True), (Suite.H1, True), (Suite.R1, False)):
        try:
            answer, ikm = answer_share(suite, raw, offers_h1=offers_h1, random=SeededRandom(0))
        except RemoteProtocolError:
            continue
        assert answer
        assert len(ikm) == (64 if suite is Suite.H1 else 32)
        if suite is Suite.R1:
            assert parse_rsa_public_key(raw).key_size >= 2_048


def fuzz_signatures(raw: bytes) -> None:
    """A digest of 32 bytes, then a signature."""
    digest, signature = raw[:32], raw[32:]
    try:
        address = recover_address(digest, signature)
    except VerificationError:
        return
    assert len(address) == 20
    assert recover_address(digest, signature) == address
    s = int.from_bytes(signature[32:], "big") & ((1 << 255) - 1)
    assert 0 < s <= CURVE_ORDER // 2


TARGETS: Final[dict[str, Target]] = {
    name.removeprefix("fuzz_"): target
    for module in (chain_targets, edge_targets, file_targets, finding_targets, gateway_targets, proof_targets)
    for name, target in [*globals().items(), *vars(module).items()]
    if name.startswith("fuzz_")
}
