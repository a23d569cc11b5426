"""Fixed keys, a ticket and an established session: what the measured calls work on."""

import os

from group_protocol.crypto.aead import Aead
from group_protocol.crypto.keys import PrivateKey
from group_protocol.handshake import MasterPolicy, SlaveHandshake
from group_protocol.identifiers import Address, GroupId, derive_object_id
from group_protocol.ports import RegistryIdentity
from group_protocol.suites import Suite
from group_protocol.tickets import EvidencePolicy, MembershipState, SessionTerms, Ticket
from group_protocol.tokens import issue_token
from group_protocol.typed_data import TypedDataDomain

MASTER_KEY = PrivateKey.from_secret(bytes.fromhex("11" * 32))
DEVICE_KEY = PrivateKey.from_secret(bytes.fromhex("22" * 32))
PAIRING_CODE = bytes.fromhex("0123456789abcdef0123456789abcdef")
GID = GroupId(bytes.fromhex("c0ffee00" * 4))
IDENTITY = RegistryIdentity(chain_id=1337, contract=Address(bytes.fromhex("42" * 20)))
DOMAIN = TypedDataDomain(IDENTITY)
TERMS = SessionTerms(EvidencePolicy.CHECKPOINTS, 1_000, 10, 65_536, 86_400)
POLICY = MasterPolicy(GID, frozenset(Suite))
DEADLINE_UNIX_S = 1_800_000_000


class SystemRandom:
    """The ``Random`` port on the operating system's source, as in production."""

    def token_bytes(self, length_bytes: int) -> bytes:
        """Fresh random bytes."""
        return os.urandom(length_bytes)


RANDOM = SystemRandom()


def make_ticket(address: Address) -> Ticket:
    """What M4 says to a new device."""
    return Ticket(
        gid=GID,
        oid=derive_object_id(address),
        address=address,
        token=issue_token(MASTER_KEY, GID, address),
        master_oid=derive_object_id(MASTER_KEY.address),
        chain_id=IDENTITY.chain_id,
        contract=IDENTITY.contract,
        state=MembershipState.NOT_ASSOCIATED,
        epoch=1,
        deadline_unix_s=DEADLINE_UNIX_S,
        last_seq=0,
        terms=TERMS,
    )


def offers(suite: Suite) -> tuple[Suite, ...]:
    """What a device offers that is to end with this suite."""
    return (Suite.H1, Suite.E1) if suite is Suite.H1 else (suite,)


def begin_join(suite: Suite, key: PrivateKey = DEVICE_KEY, code: bytes = PAIRING_CODE) -> SlaveHandshake:
    """A new device's handshake; its ephemeral keys are made here."""
    return SlaveHandshake(
        key=key,
        master=MASTER_KEY.address,
        gid=None,
        suites=offers(suite),
        aeads=(Aead.A256GCM, Aead.C20P1305),
        pairing_code=code,
        random=RANDOM,
    )
