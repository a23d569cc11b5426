"""Makes the frozen vectors of the protocol: ``python -m tests.vectors.make_vectors [--check]`` from the project's root.

Provenance: every fixed value is the start of SHA-256("vgroup vector: NAME") (repeated with a counter where more bytes
are needed), except three that need randomness a library keeps to itself, kept in ``inputs.json``: an RSA-2048 key made
once, one RSA-OAEP ciphertext for it, and one ML-KEM-768 encapsulation for the fixed key pair. Everything else follows
from ``docs/protocol.md``. All byte strings are hex. ``test_vectors.py`` beside this file checks the vectors against the
code and against a second reading of the page.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from group_protocol.anchored_records import AnchoredRecord
from group_protocol.channels import Channel, Direction, SessionKeys, SlaveSession
from group_protocol.crypto.aead import Aead
from group_protocol.crypto.exchange import EphemeralShare, RsaShare, SlaveShare
from group_protocol.crypto.kdf import derive, sha256
from group_protocol.crypto.keys import PrivateKey
from group_protocol.encoding import lp
from group_protocol.errors import Reason
from group_protocol.frames import Ack, Close, Items, Open, Resume, encode_frame
from group_protocol.handshake import MasterHandshake, MasterPolicy, SlaveHandshake
from group_protocol.handshake.transcript import HandshakeSecrets, compute_th1, master_digest, slave_digest
from group_protocol.identifiers import Address, SessionId, derive_object_id
from group_protocol.key_changes import KeyChange
from group_protocol.merkle import compute_path, compute_root
from group_protocol.messages import KeysSessionAnswer, KeysSessionRequest, SealedRequest
from group_protocol.pairing import PairingString, derive_code_id, make_pairing_proof
from group_protocol.peer_messages import Delivery, Receipt
from group_protocol.ports import RegistryIdentity
from group_protocol.records import (
    Checkpoint,
    CheckpointedRecord,
    CheckpointPeriod,
    encode_items,
    payload_hash,
    sign_checkpoint,
    sign_record,
)
from group_protocol.senml import Reading, encode_readings
from group_protocol.succession import MasterChange, Succession, SuccessionRequest
from group_protocol.suites import Suite
from group_protocol.tickets import (
    AssociationCall,
    EvidencePolicy,
    IdentityProof,
    MembershipState,
    PairingProof,
    RegistryResult,
    SessionTerms,
    Ticket,
)
from group_protocol.tokens import issue_token, token_digest
from group_protocol.typed_data import TypedDataDomain, derive_group_id

HERE = Path(__file__).parent
DEADLINE_UNIX_S = 1_800_000_000
TERMS = SessionTerms(EvidencePolicy.CHECKPOINTS, 256, 10, 65_536, 86_400)


def fixed(name: str, length_bytes: int) -> bytes:
    """The fixed value of this name."""
    blocks = -(-length_bytes // 32)
    return b"".join(
        hashlib.sha256(f"vgroup vector: {name}{f' {block}' if block else ''}".encode()).digest()
        for block in range(blocks)
    )[:length_bytes]


MASTER = PrivateKey.from_secret(fixed("master key", 32))
SLAVE = PrivateKey.from_secret(fixed("slave key", 32))
NEW_SLAVE = PrivateKey.from_secret(fixed("slave key after rotation", 32))
PEER = PrivateKey.from_secret(fixed("key of another slave", 32))
NEW_MASTER = PrivateKey.from_secret(fixed("master key after rotation", 32))
CODE = fixed("pairing code", 16)
SALT = fixed("salt", 32)
IDENTITY = RegistryIdentity(1_337, Address(fixed("contract", 20)))
DOMAIN = TypedDataDomain(IDENTITY)
GID = derive_group_id(IDENTITY, MASTER.address, SALT)
OID = derive_object_id(SLAVE.address)
MASTER_OID = derive_object_id(MASTER.address)


class FixedRandom:
    """A ``Random`` port that gives prepared values in order and nothing else."""

    def __init__(self, *values: bytes) -> None:
        self._values = list(values)

    def token_bytes(self, length_bytes: int) -> bytes:
        """The next prepared value, which must have the asked length."""
        value = self._values.pop(0)
        assert len(value) == length_bytes
        return value


def load_inputs() -> dict[str, str]:
    """The three values with a library's own randomness."""
    parsed: dict[str, str] = json.loads((HERE / "inputs.json").read_text())
    return parsed


def make_inputs() -> dict[str, str]:
    """Draw them anew; only for the first time: every R1 and H1 vector changes with them."""
    rsa_key = rsa.generate_private_key(65_537, 2_048)
    share = RsaShare(rsa_key)
    mlkem = MLKEM768PrivateKey.from_seed_bytes(fixed("ML-KEM seed", 64))
    secret, ciphertext = mlkem.public_key().encapsulate()
    from group_protocol.crypto.exchange import answer_share  # noqa: PLC0415 - used only when inputs are drawn

    rsa_ciphertext, _ = answer_share(Suite.R1, share.wire, offers_h1=False, random=FixedRandom(fixed("R1 secret", 32)))
    pkcs8 = rsa_key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "rsa_private_key_pkcs8_der": pkcs8.hex(),
        "rsa_oaep_ciphertext": rsa_ciphertext.hex(),
        "mlkem_ciphertext": ciphertext.hex(),
        "mlkem_shared_secret": secret.hex(),
    }


def _slave_share(suite: Suite, inputs: dict[str, str]) -> SlaveShare:
    if suite is Suite.R1:
        key = serialization.load_der_private_key(bytes.fromhex(inputs["rsa_private_key_pkcs8_der"]), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return RsaShare(key)
    x25519 = X25519PrivateKey.from_private_bytes(fixed("slave X25519 key", 32))
    mlkem = MLKEM768PrivateKey.from_seed_bytes(fixed("ML-KEM seed", 64)) if suite is Suite.H1 else None
    return EphemeralShare(x25519, mlkem)


def _encapsulation(suite: Suite, inputs: dict[str, str]) -> tuple[bytes, bytes]:
    if suite is Suite.R1:
        return fixed("R1 secret", 32), bytes.fromhex(inputs["rsa_oaep_ciphertext"])
    return bytes.fromhex(inputs["mlkem_shared_secret"]), bytes.fromhex(inputs["mlkem_ciphertext"])


def _ephemerals(suite: Suite, inputs: dict[str, str]) -> dict[str, Any]:
    if suite is Suite.R1:
        return {
            "slave_rsa_private_key_pkcs8_der": bytes.fromhex(inputs["rsa_private_key_pkcs8_der"]),
            "secret": fixed("R1 secret", 32),
        }
    values = {
        "slave_x25519_private_key": fixed("slave X25519 key", 32),
        "master_x25519_private_key": fixed("master X25519 key", 32),
    }
    if suite is Suite.H1:
        values["slave_mlkem_seed"] = fixed("ML-KEM seed", 64)
        values["mlkem_shared_secret"] = bytes.fromhex(inputs["mlkem_shared_secret"])
    return values


def make_handshake_vector(suite: Suite, aead: Aead, inputs: dict[str, str]) -> dict[str, Any]:
    """One whole exchange M1-M6 with every value on the way."""
    offers = (Suite.H1, Suite.E1) if suite is Suite.H1 else (suite,)
    share = _slave_share(suite, inputs)
    slave = SlaveHandshake(
        key=SLAVE,
        master=MASTER.address,
        gid=None,
        suites=offers,
        aeads=(aead,),
        pairing_code=CODE,
        random=FixedRandom(fixed("sn", 32)),
        share=share,
    )
    m1 = slave.start()
    randoms = [fixed("sid", 16), fixed("mn", 32)]
    if suite is not Suite.R1:
        randoms.append(fixed("master X25519 key", 32))
    master, m2 = MasterHandshake.answer(
        m1,
        key=MASTER,
        policy=MasterPolicy(GID, frozenset(Suite)),
        random=FixedRandom(*randoms),
        encapsulate=lambda _: _encapsulation(suite, inputs),
    )
    m3 = slave.receive_keys_session(m2)
    assert isinstance(m3, SealedRequest)
    master.receive_identity(m3)
    master.verify_pairing(CODE)
    ticket = Ticket(
        gid=GID,
        oid=OID,
        address=SLAVE.address,
        token=issue_token(MASTER, GID, SLAVE.address),
        master_oid=MASTER_OID,
        chain_id=IDENTITY.chain_id,
        contract=IDENTITY.contract,
        state=MembershipState.NOT_ASSOCIATED,
        epoch=1,
        deadline_unix_s=DEADLINE_UNIX_S,
        last_seq=0,
        terms=TERMS,
    )
    master_session, m4 = master.admit(ticket)
    slave.receive_ticket(m4)
    values = _secrets_of(m1, m2, share)
    session = slave.session
    call = AssociationCall(
        ticket.token, SLAVE.sign_digest(DOMAIN.association_digest(GID, ticket.token, DEADLINE_UNIX_S)), DEADLINE_UNIX_S
    )
    m5 = session.control.seal_request(call.encode())
    master_session.control.open_request(m5)
    result = RegistryResult(MembershipState.ACTIVE, Reason.NONE, fixed("transaction hash", 32), 12, 1)
    m6 = master_session.control.seal_answer(1, result.encode())
    frame = encode_frame(Items((make_signed_record(1),)))
    ack = encode_frame(Ack(1, 1, 1_048_576, 1, 0, Reason.NONE))
    data = session.data.seal_request(frame)
    master_session.data.open_request(data)
    return {
        "suite": suite,
        "aead": aead,
        "slave_secret": SLAVE.secret,
        "master_secret": MASTER.secret,
        "pairing_code": CODE,
        **_ephemerals(suite, inputs),
        "m1_body": m1.to_body().decode(),
        "m2_body": m2.to_body().decode(),
        **values,
        "m3_body": m3.to_body().decode(),
        "m4_plaintext": ticket.encode(),
        "m4_body": m4.to_body().decode(),
        "m5_plaintext": call.encode(),
        "m5_body": m5.to_body().decode(),
        "m6_plaintext": result.encode(),
        "m6_body": m6.to_body().decode(),
        "data_frame": frame,
        "data_body": data.to_body().decode(),
        "ack_frame": ack,
        "data_answer_body": master_session.data.seal_answer(0, ack).to_body().decode(),
        **_stream_messages(session, frame),
    }


def _secrets_of(m1: KeysSessionRequest, m2: KeysSessionAnswer, share: SlaveShare) -> dict[str, Any]:
    """Every intermediate value of §3.3, computed step by step beside the machines."""
    th1 = compute_th1(m1, suite=m2.suite, aead=m2.aead, sid=m2.sid, mn=m2.mn, share_m=m2.share)
    ikm = share.agree(m2.suite, m2.share)
    secrets = HandshakeSecrets.from_agreement(th1, ikm)
    th2 = secrets.compute_th2(m2.sig, m2.fin)
    digest = slave_digest(th2, MASTER.address, SLAVE.address)
    proof = PairingProof(derive_code_id(CODE), make_pairing_proof(CODE, th2, SLAVE.address))
    plaintext = IdentityProof(SLAVE.public_key, SLAVE.sign_digest(digest), proof).encode()
    keys = SessionKeys(m2.aead, m2.sid, secrets.secret, th2, sha256(lp(th2, plaintext)))
    return {
        "th1": th1,
        "ikm": ikm,
        "master_digest": master_digest(th1, MASTER.address),
        "sig": m2.sig,
        "hs": secrets.secret,
        "fin": m2.fin,
        "th2": th2,
        "k3": derive(secrets.secret, "s hs", th2),
        "slave_digest": digest,
        "m3_plaintext": plaintext,
        "th3": sha256(lp(th2, plaintext)),
        "ms": keys._master_secret,
        "keys": {
            f"{direction.name.lower()} {channel.name.lower()}": keys.ratchet(direction, channel)._key
            for direction in Direction
            for channel in Channel
        },
    }


def _stream_messages(session: SlaveSession, items: bytes) -> dict[str, Any]:
    opening = session.stream_opening(encode_frame(Open()))
    second = session.stream_out.seal(items)
    session.stream_out.begin_generation()
    return {
        "stream_opening": opening,
        "stream_second": second,
        "stream_first_of_generation_1": session.stream_out.seal(items),
        "stream_key_of_generation_1": session.stream_out._sealer._key,
    }


def make_payload(seq: int) -> bytes:
    """The SenML payload of the record with this seq."""
    return encode_readings([Reading("ppg", 1_700_000_000.0 + seq + step / 100, 500.0 + step) for step in range(3)])


def make_signed_record(seq: int) -> Any:
    """A signed record to the master."""
    return sign_record(
        SLAVE, DOMAIN, gid=GID, sender=OID, receiver=MASTER_OID, seq=seq, epoch=1, payload=make_payload(seq)
    )


def make_records_vector() -> dict[str, Any]:
    """Signed and checkpointed records, the running hash at each step, a checkpoint, and every frame."""
    signed = make_signed_record(1)
    checkpointed = [CheckpointedRecord(MASTER_OID, seq, 1, make_payload(seq)) for seq in (2, 3, 5)]
    period, chain = None, []
    for record in checkpointed:
        link = (record.receiver, record.seq)
        if period is None:
            period = CheckpointPeriod.begin(*link, record.epoch, payload_hash(record.payload))
        else:
            period = period.extend(*link, payload_hash(record.payload))
        chain.append(period.running_hash)
    assert period is not None
    checkpoint: Checkpoint = sign_checkpoint(SLAVE, DOMAIN, gid=GID, sender=OID, period=period)
    return {
        "gid": GID,
        "from": OID,
        "to": MASTER_OID,
        "payload": signed.payload,
        "payload_hash": payload_hash(signed.payload),
        "exchange_digest": DOMAIN.exchange_digest(GID, OID, MASTER_OID, payload_hash(signed.payload), 1, 1),
        "signed_record": encode_items([signed]),
        "checkpointed_records": [encode_items([record]) for record in checkpointed],
        "running_hashes": chain,
        "checkpoint_digest": DOMAIN.checkpoint_digest(GID, OID, 2, 5, 1, period.running_hash),
        "checkpoint": encode_items([checkpoint]),
        "frames": {
            "open": encode_frame(Open()),
            "items": encode_frame(Items((signed, *checkpointed, checkpoint))),
            "resume": encode_frame(Resume(7)),
            "close": encode_frame(Close(Reason.SHUTTING_DOWN)),
            "ack": encode_frame(Ack(5, 5, 1_048_576, 2, 6, Reason.STALE_EPOCH)),
        },
    }


def make_peer_vector() -> dict[str, Any]:
    """A message from the slave, after a change of its key, to another slave, and what the receiver answers."""
    receiver = derive_object_id(PEER.address)
    record = sign_record(
        NEW_SLAVE, DOMAIN, gid=GID, sender=OID, receiver=receiver, seq=6, epoch=2, payload=make_payload(6)
    )
    rotation = DOMAIN.rotation_digest(GID, OID, NEW_SLAVE.address, DEADLINE_UNIX_S)
    change = KeyChange(NEW_SLAVE.address, DEADLINE_UNIX_S, SLAVE.sign_digest(rotation), NEW_SLAVE.sign_digest(rotation))
    return {
        "gid": GID,
        "from": OID,
        "to": receiver,
        "first_address": SLAVE.address,
        "new_secret": NEW_SLAVE.secret,
        "deadline": DEADLINE_UNIX_S,
        "payload": record.payload,
        "signed_record": encode_items([record]),
        "frames": {
            "delivery": encode_frame(Delivery(9, OID, SLAVE.address, (change,), record)),
            "receipt": encode_frame(Receipt(9)),
            "receipt_of_refusal": encode_frame(Receipt(9, 8, Reason.BAD_SIGNATURE)),
        },
    }


def make_succession_vector() -> dict[str, Any]:
    """Two changes of the master's key, one after the other, as a slave is shown them that pinned the first."""
    last = PrivateKey.from_secret(fixed("last master", 32))
    steps = ((MASTER, NEW_MASTER), (NEW_MASTER, last))
    changes = []
    for old, new in steps:
        digest = DOMAIN.master_rotation_digest(GID, new.address, DEADLINE_UNIX_S)
        changes.append(MasterChange(new.address, DEADLINE_UNIX_S, old.sign_digest(digest), new.sign_digest(digest)))
    return {
        "pinned": MASTER.address,
        "secrets": [MASTER.secret, NEW_MASTER.secret, last.secret],
        "deadline": DEADLINE_UNIX_S,
        "changes": [change.encode() for change in changes],
        "newest": last.address,
        "request": SuccessionRequest(MASTER.address).to_body().decode(),
        "body": Succession(GID, IDENTITY, tuple(changes)).to_body().decode(),
    }


def make_anchor_vector() -> dict[str, Any]:
    """Leaves of five stored records, signed and checkpointed, their root, and the path of each."""
    sid = SessionId(fixed("sid", 16))
    records = [
        AnchoredRecord(
            number=number,
            sender=OID,
            receiver=MASTER_OID,
            seq=number,
            epoch=1,
            payload_hash=payload_hash(make_payload(number)),
            sid=sid,
            received_at_unix_ms=1_700_000_000_000 + number,
            signature=make_signed_record(number).signature if number % 2 else None,
        )
        for number in range(1, 6)
    ]
    leaves = [record.leaf(GID) for record in records]
    return {
        "gid": GID,
        "from": OID,
        "to": MASTER_OID,
        "sid": sid,
        "payload_hashes": [record.payload_hash for record in records],
        "signatures": [record.signature or b"" for record in records],
        "leaves": leaves,
        "root": compute_root(leaves),
        "paths": [compute_path(leaves, index) for index in range(len(leaves))],
        "digest": DOMAIN.anchor_digest(GID, compute_root(leaves), 1, 5),
    }


def make_identifiers_vector() -> dict[str, Any]:
    """Addresses, ids, token, pairing, and every EIP-712 digest."""
    token = issue_token(MASTER, GID, SLAVE.address)
    root = fixed("root", 32)
    return {
        "chain_id": IDENTITY.chain_id,
        "contract": IDENTITY.contract,
        "master_secret": MASTER.secret,
        "master_public_key": MASTER.public_key,
        "master_address": MASTER.address,
        "master_oid": MASTER_OID,
        "slave_secret": SLAVE.secret,
        "slave_public_key": SLAVE.public_key,
        "slave_address": SLAVE.address,
        "slave_oid": OID,
        "salt": SALT,
        "gid": GID,
        "token_digest": token_digest(GID, OID, SLAVE.address),
        "token": token,
        "pairing_code": CODE,
        "pairing_string": PairingString(MASTER.address, CODE, "master.local", 3000).to_text(),
        "code_id": derive_code_id(CODE),
        "domain_separator": DOMAIN.separator,
        "deadline": DEADLINE_UNIX_S,
        "new_slave_address": NEW_SLAVE.address,
        "new_master_address": NEW_MASTER.address,
        "root": root,
        "digests": {
            "CreateGroup": DOMAIN.create_group_digest(SALT, MASTER.address, DEADLINE_UNIX_S),
            "Association": DOMAIN.association_digest(GID, token, DEADLINE_UNIX_S),
            "Revocation": DOMAIN.revocation_digest(GID, OID, DEADLINE_UNIX_S),
            "Rotation": DOMAIN.rotation_digest(GID, OID, NEW_SLAVE.address, DEADLINE_UNIX_S),
            "MasterRotation": DOMAIN.master_rotation_digest(GID, NEW_MASTER.address, DEADLINE_UNIX_S),
            "Anchor": DOMAIN.anchor_digest(GID, root, 1, 100),
        },
    }


def to_text(value: Any) -> str:
    """JSON with bytes as hex."""
    return json.dumps(_hex(value), indent=1) + "\n"


def _hex(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: _hex(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_hex(item) for item in value]
    return value


def make_all() -> dict[str, str]:
    """Every vector file's name and content."""
    inputs = load_inputs()
    return {
        "identifiers.json": to_text(make_identifiers_vector()),
        "h1.json": to_text(make_handshake_vector(Suite.H1, Aead.A256GCM, inputs)),
        "e1.json": to_text(make_handshake_vector(Suite.E1, Aead.C20P1305, inputs)),
        "r1.json": to_text(make_handshake_vector(Suite.R1, Aead.A256GCM, inputs)),
        "records.json": to_text(make_records_vector()),
        "succession.json": to_text(make_succession_vector()),
        "peer.json": to_text(make_peer_vector()),
        "anchor.json": to_text(make_anchor_vector()),
    }


def main(arguments: list[str]) -> int:
    """Write the files, or with ``--check`` name those that differ."""
    if not (HERE / "inputs.json").exists():
        (HERE / "inputs.json").write_text(to_text(make_inputs()))
    differing = [name for name, text in make_all().items() if _differs(HERE / name, text)]
    if arguments == ["--check"]:
        print("\n".join(f"differs: {name}" for name in differing) or "vectors are as committed")  # noqa: T201
        return 1 if differing else 0
    for name, text in make_all().items():
        (HERE / name).write_text(text)
    return 0


def _differs(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text() != text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
