"""A device in a session, made in memory, and the two operations of Table 2 as our protocol has them.

The calls are those of ``slave_client.joining`` and ``slave_client.outbox`` in the same order; that a running master
takes what comes out, `tests/integration/test_measure_bench.py` shows.
"""

from dataclasses import dataclass

from group_protocol.channels import SlaveSession
from group_protocol.crypto.aead import Aead
from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import ConfigurationError, LocalProtocolError
from group_protocol.frames import Items, encode_frame
from group_protocol.handshake import MasterHandshake, MasterPolicy, SlaveHandshake
from group_protocol.identifiers import Address, GroupId, derive_object_id
from group_protocol.limits import PAIRING_CODE_BYTES
from group_protocol.messages import SealedRequest
from group_protocol.ports import Random, RegistryIdentity
from group_protocol.records import CheckpointedRecord, SignedRecord, sign_record
from group_protocol.senml import Reading, encode_readings
from group_protocol.suites import Suite
from group_protocol.tickets import AssociationCall, EvidencePolicy, MembershipState, SessionTerms, Ticket
from group_protocol.tokens import issue_token
from group_protocol.typed_data import TypedDataDomain

_CHAIN_ID = 1337
_TERMS = SessionTerms(EvidencePolicy.SIGNED, 1_000, 10, 65_536, 86_400)
_DEADLINE_UNIX_S = 4_000_000_000


@dataclass(slots=True)
class BenchDevice:
    """A slave with an open session; it counts its records."""

    key: PrivateKey
    ticket: Ticket
    session: SlaveSession
    domain: TypedDataDomain
    seq: int = 0

    def prepare_association_request(self) -> bytes:
        """The body of M5: EIP-712 digest, one ECDSA signature, the layout of §7, sealing, base64url, JSON.

        Contains neither the making of keys, nor M1–M4, nor network or chain.
        """
        ticket = self.ticket
        digest = self.domain.association_digest(ticket.gid, ticket.token, ticket.deadline_unix_s)
        call = AssociationCall(ticket.token, self.key.sign_digest(digest), ticket.deadline_unix_s)
        return self.session.control.seal_request(call.encode()).to_body()

    def prepare_signed_data(self, reading: Reading) -> bytes:
        """The body of /data with one record under its own signature: SenML, SHA-256, EIP-712, ECDSA, sealing, JSON."""
        self.seq += 1
        ticket, payload = self.ticket, encode_readings([reading])
        record = sign_record(
            self.key, self.domain, ticket.gid, ticket.oid, ticket.master_oid, self.seq, ticket.epoch, payload
        )
        return self._seal(record)

    def prepare_checkpointed_data(self, reading: Reading) -> bytes:
        """Under the default policy: SenML, sealing, JSON. A signature for up to 1,000 of them comes later."""
        self.seq += 1
        payload = encode_readings([reading])
        return self._seal(CheckpointedRecord(self.ticket.master_oid, self.seq, self.ticket.epoch, payload))

    def _seal(self, record: SignedRecord | CheckpointedRecord) -> bytes:
        return self.session.data.seal_request(encode_frame(Items((record,)))).to_body()


def draw_key(random: Random) -> PrivateKey:
    """A fresh key; draws again in the 2^-128 case that the bytes are none."""
    while True:
        try:
            return PrivateKey.from_secret(random.token_bytes(32))
        except ConfigurationError:
            continue


def make_device(random: Random, aead: Aead, suite: Suite = Suite.E1) -> BenchDevice:
    """M1 to M4 between two machines in memory; afterwards the device can prepare M5 and data."""
    master_key, key, code = draw_key(random), draw_key(random), random.token_bytes(PAIRING_CODE_BYTES)
    gid = GroupId(random.token_bytes(16))
    slave = SlaveHandshake(
        key=key,
        master=master_key.address,
        gid=None,
        suites=(suite,),
        aeads=(aead,),
        pairing_code=code,
        random=random,
    )
    master, m2 = MasterHandshake.answer(
        slave.start(), key=master_key, policy=MasterPolicy(gid, frozenset(Suite)), random=random
    )
    m3 = slave.receive_keys_session(m2)
    if not isinstance(m3, SealedRequest):
        raise LocalProtocolError("the master in memory asked for a cookie")
    identity = master.receive_identity(m3)
    master.verify_pairing(code)
    contract = Address(random.token_bytes(20))
    ticket = Ticket(
        gid=gid,
        oid=derive_object_id(key.address),
        address=key.address,
        token=issue_token(master_key, gid, identity.address),
        master_oid=derive_object_id(master_key.address),
        chain_id=_CHAIN_ID,
        contract=contract,
        state=MembershipState.NOT_ASSOCIATED,
        epoch=1,
        deadline_unix_s=_DEADLINE_UNIX_S,
        last_seq=0,
        terms=_TERMS,
    )
    _, m4 = master.admit(ticket)
    return BenchDevice(
        key, slave.receive_ticket(m4), slave.session, TypedDataDomain(RegistryIdentity(_CHAIN_ID, contract))
    )
