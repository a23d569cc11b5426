"""Two handshake machines joined in memory: the pieces that protocol tests share."""

from dataclasses import dataclass, replace
from typing import Any

from group_protocol.channels import MasterSession, SlaveSession
from group_protocol.crypto.aead import Aead
from group_protocol.crypto.keys import PrivateKey
from group_protocol.handshake import MasterHandshake, MasterPolicy, SlaveHandshake
from group_protocol.identifiers import Address, GroupId, ObjectId, derive_object_id
from group_protocol.key_changes import KeyChange
from group_protocol.messages import (
    KeysSessionAnswer,
    KeysSessionRequest,
    SealedAnswer,
    SealedRequest,
    parse_keys_session_answer,
)
from group_protocol.ports import Random
from group_protocol.suites import Suite
from group_protocol.tickets import EvidencePolicy, MembershipState, SessionTerms, Ticket
from group_protocol.tokens import issue_token
from tests.support.seeded import SeededRandom

MASTER_KEY = PrivateKey.from_secret(bytes.fromhex("11" * 32))
SLAVE_KEY = PrivateKey.from_secret(bytes.fromhex("22" * 32))
STRANGER_KEY = PrivateKey.from_secret(bytes.fromhex("33" * 32))
GID = GroupId(bytes.fromhex("c0ffee00" * 4))
CODE = bytes.fromhex("0123456789abcdef0123456789abcdef")
CONTRACT = Address(bytes.fromhex("42" * 20))
CHAIN_ID = 1337
TERMS = SessionTerms(EvidencePolicy.SIGNED, 64, 5, 65_536, 86_400)
OFFERS = {
    Suite.H1: (Suite.H1, Suite.E1),
    Suite.E1: (Suite.E1,),
    Suite.R1: (Suite.R1,),
}
ALL_SUITES = MasterPolicy(GID, frozenset(Suite))


def make_slave(
    suite: Suite = Suite.E1,
    *,
    random: Random | None = None,
    key: PrivateKey = SLAVE_KEY,
    master: Address = MASTER_KEY.address,
    gid: GroupId | None = None,
    code: bytes | None = CODE,
    aeads: tuple[Aead, ...] = (Aead.A256GCM,),
    software: str = "",
    oid: ObjectId | None = None,
    key_changes: tuple[KeyChange, ...] = (),
) -> SlaveHandshake:
    return SlaveHandshake(
        key=key,
        master=master,
        gid=gid,
        suites=OFFERS[suite],
        aeads=aeads,
        pairing_code=code,
        random=random or SeededRandom(1),
        software=software,
        oid=oid,
        key_changes=key_changes,
    )


def make_ticket(address: Address = SLAVE_KEY.address, key: PrivateKey = MASTER_KEY) -> Ticket:
    return Ticket(
        gid=GID,
        oid=derive_object_id(address),
        address=address,
        token=issue_token(key, GID, address),
        master_oid=derive_object_id(key.address),
        chain_id=CHAIN_ID,
        contract=CONTRACT,
        state=MembershipState.NOT_ASSOCIATED,
        epoch=1,
        deadline_unix_s=1_800_000_000,
        last_seq=0,
        terms=TERMS,
    )


@dataclass
class Exchange:
    """A whole exchange over bodies, with every message kept."""

    slave: SlaveHandshake
    master: MasterHandshake
    m1: KeysSessionRequest
    m2: KeysSessionAnswer
    m3: SealedRequest
    m4: SealedAnswer
    slave_session: SlaveSession
    master_session: MasterSession


def answer_m1(
    m1: KeysSessionRequest, *, policy: MasterPolicy = ALL_SUITES, key: PrivateKey = MASTER_KEY
) -> tuple[MasterHandshake, KeysSessionAnswer]:
    return MasterHandshake.answer(m1, key=key, policy=policy, random=SeededRandom(2))


def receive_m2(slave: SlaveHandshake, m2: KeysSessionAnswer) -> SealedRequest:
    parsed = parse_keys_session_answer(m2.to_body())
    m3 = slave.receive_keys_session(parsed)
    assert isinstance(m3, SealedRequest)
    return m3


def run_exchange(suite: Suite = Suite.E1, aead: Aead = Aead.A256GCM) -> Exchange:
    slave = make_slave(suite, aeads=(aead,))
    m1 = KeysSessionRequest.from_body(slave.start().to_body())
    master, m2 = answer_m1(m1)
    m3 = SealedRequest.from_body(receive_m2(slave, m2).to_body())
    identity = master.receive_identity(m3)
    master.verify_pairing(CODE)
    master_session, m4 = master.admit(make_ticket(identity.address))
    m4 = SealedAnswer.from_body(m4.to_body())
    slave.receive_ticket(m4)
    return Exchange(slave, master, m1, m2, m3, m4, slave.session, master_session)


def flip(raw: bytes, index: int) -> bytes:
    """The same bytes with one bit of the byte at ``index`` turned."""
    position = index % len(raw)
    return raw[:position] + bytes([raw[position] ^ 0x01]) + raw[position + 1 :]


def tampered_m2(m2: KeysSessionAnswer, name: str, index: int) -> KeysSessionAnswer:
    changed: dict[str, Any] = {name: flip(getattr(m2, name), index)}
    return replace(m2, **changed)
