"""group_protocol against the contract: every digest, identifier and recovery, on random and on known bad input.

The contract shows no digest, but it accepts a signature only over its own: so a signature over Python's digest that it
takes says that both digests are the same, and one over a digest of changed fields that it refuses says that each field
counts.
"""

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from group_protocol.crypto.keys import (
    CURVE_ORDER,
    PrivateKey,
    derive_address,
    parse_public_key,
    recover_address,
    verify_signature,
)
from group_protocol.errors import VerificationError
from group_protocol.identifiers import Address, Signature, derive_object_id
from group_protocol.ports import RegistryIdentity
from group_protocol.tokens import issue_token
from group_protocol.typed_data import TypedDataDomain, derive_group_id
from tests.contract.local_evm import START_S, LocalEvm
from tests.contract.local_register import LocalRegister

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors" / "wycheproof"
ROUNDS = 12
TOP_BIT = 1 << 255

Pair = tuple[bytes, bytes]


def pair(signature: bytes) -> Pair:
    return signature[:32], signature[32:]


def random_key(source: random.Random) -> PrivateKey:
    return PrivateKey.from_secret(source.randrange(1, CURVE_ORDER).to_bytes(32, "big"))


@pytest.fixture
def source(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.node.name)


@pytest.fixture
def identity(register: LocalRegister) -> RegistryIdentity:
    return RegistryIdentity(register.evm.chain_id, Address(register.address))


@pytest.fixture
def domain(identity: RegistryIdentity) -> TypedDataDomain:
    return TypedDataDomain(identity)


@pytest.mark.parametrize("chain_id", [1, 1337, 2**53 - 1])
def test_domain_separator_is_the_contracts(chain_id: int) -> None:
    register = LocalRegister.deploy(LocalEvm(chain_id=chain_id))
    domain = TypedDataDomain(RegistryIdentity(chain_id, Address(register.address)))
    assert register.read("domainSeparator") == domain.separator


def test_group_id_is_the_contracts(register: LocalRegister, identity: RegistryIdentity, source: random.Random) -> None:
    for _ in range(ROUNDS):
        master, salt = source.randbytes(20), source.randbytes(32)
        assert register.read("deriveGroupId", master, salt) == derive_group_id(identity, Address(master), salt)


class Lives:
    """A group with two members, made with Python's digests alone; every act signs what `group_protocol` says."""

    def __init__(self, register: LocalRegister, domain: TypedDataDomain, source: random.Random) -> None:
        self.register, self.domain, self.source = register, domain, source
        self.master, self.slave, self.new = (random_key(source) for _ in range(3))
        self.salt, self.deadline = source.randbytes(32), source.randrange(START_S, 2**64)
        self.gid = derive_group_id(domain.identity, self.master.address, self.salt)
        self.oid = derive_object_id(self.slave.address)
        self.seq = source.randrange(1, 2**56)
        self.hash = source.randbytes(32)

    def create(self) -> tuple[Any, ...]:
        digest = self.domain.create_group_digest(self.salt, self.master.address, self.deadline)
        return "createGroup", self.salt, self.master.address, self.deadline, pair(self.master.sign_digest(digest))

    def associate(self) -> tuple[Any, ...]:
        token = issue_token(self.master, self.gid, self.slave.address)
        signed = self.slave.sign_digest(self.domain.association_digest(self.gid, token, self.deadline))
        return "associate", (self.gid, pair(token), pair(signed), self.deadline)

    def verify_exchange(self) -> tuple[Any, ...]:
        return "verifyExchange", *self._exchange()

    def record_exchange(self) -> tuple[Any, ...]:
        return "recordExchange", *self._exchange()

    def verify_checkpoint(self) -> tuple[Any, ...]:
        first = self.source.randrange(2**63)
        fields = (self.gid, self.oid, first, first + self.source.randrange(2**63), 1, self.hash)
        return "verifyCheckpoint", *fields, pair(self.slave.sign_digest(self.domain.checkpoint_digest(*fields)))

    def anchor(self) -> tuple[Any, ...]:
        first = self.source.randrange(2**63)
        fields = (self.gid, self.hash, first, first + self.source.randrange(2**63))
        return "anchor", *fields, pair(self.master.sign_digest(self.domain.anchor_digest(*fields)))

    def rotate(self) -> tuple[Any, ...]:
        fields = (self.gid, self.oid, self.new.address, self.deadline)
        digest = self.domain.rotation_digest(*fields)
        return "rotate", *fields, pair(self.slave.sign_digest(digest)), pair(self.new.sign_digest(digest))

    def revoke(self) -> tuple[Any, ...]:
        fields = (self.gid, self.oid, self.deadline)
        return "revoke", *fields, pair(self.master.sign_digest(self.domain.revocation_digest(*fields)))

    def rotate_master(self) -> tuple[Any, ...]:
        new = random_key(self.source)
        fields = (self.gid, new.address, self.deadline)
        digest = self.domain.master_rotation_digest(*fields)
        return "rotateMaster", *fields, pair(self.master.sign_digest(digest)), pair(new.sign_digest(digest))

    def _exchange(self) -> tuple[Any, ...]:
        fields = (self.gid, self.oid, derive_object_id(self.master.address), self.hash, self.seq, 1)
        return *fields, pair(self.slave.sign_digest(self.domain.exchange_digest(*fields)))


ACTS: list[Callable[[Lives], tuple[Any, ...]]] = [
    Lives.create,
    Lives.associate,
    Lives.verify_exchange,
    Lives.record_exchange,
    Lives.verify_checkpoint,
    Lives.anchor,
    Lives.rotate,
    Lives.revoke,
    Lives.rotate_master,
]


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_contract_takes_what_was_signed_over_the_digests_of_python(
    register: LocalRegister, domain: TypedDataDomain, source: random.Random, round_number: int
) -> None:
    lives = Lives(register, domain, source)
    for act in ACTS:
        function, *arguments = act(lives)
        assert register.send(function, *arguments).succeeded, (round_number, function)


def test_token_of_python_is_taken_for_its_three_fields_alone(register: LocalRegister, source: random.Random) -> None:
    domain = TypedDataDomain(RegistryIdentity(register.evm.chain_id, Address(register.address)))
    lives, other = Lives(register, domain, source), Lives(register, domain, source)
    for one in (lives, other):
        assert register.send(*one.create()).succeeded
    for _ in range(ROUNDS):
        address = Address(source.randbytes(20))
        token = pair(issue_token(lives.master, lives.gid, address))
        oid = derive_object_id(address)
        assert register.read("tokenVerify", lives.gid, oid, address, token) is True
        assert register.read("tokenVerify", other.gid, oid, address, token) is False
        assert register.read("tokenVerify", lives.gid, other.oid, address, token) is False
        assert register.read("tokenVerify", lives.gid, oid, other.slave.address, token) is False


def same_verdict(register: LocalRegister, signer: Address, digest: bytes, signature: bytes) -> bool:
    """Ask both whether it is the signer's; they have to agree."""
    try:
        verify_signature(digest, Signature(signature), signer)
        taken = True
    except VerificationError:
        taken = False
    said: bool = register.read("signVerify", signer, digest, pair(signature))
    assert said is taken, (digest.hex(), signature.hex())
    return taken


def disturbed(source: random.Random, signature: bytes) -> Iterator[bytes]:
    """A signature's relatives, none of them good."""
    r, vs = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    s, parity = vs % TOP_BIT, vs // TOP_BIT
    others = [
        (r, vs ^ TOP_BIT),
        (r, vs ^ (1 << source.randrange(255))),
        (r ^ (1 << source.randrange(256)), vs),
        ((r + CURVE_ORDER) % 2**256, vs),
        (0, vs),
        (r, parity * TOP_BIT),
        (CURVE_ORDER, vs),
        (s, r % TOP_BIT),
        (r, (CURVE_ORDER - s) % TOP_BIT + (1 - parity) * TOP_BIT),
    ]
    for first, second in others:
        yield first.to_bytes(32, "big") + second.to_bytes(32, "big")


def test_good_and_disturbed_signatures_get_the_same_verdict(register: LocalRegister, source: random.Random) -> None:
    for _ in range(ROUNDS):
        key, digest = random_key(source), source.randbytes(32)
        signature = key.sign_digest(digest)
        assert same_verdict(register, key.address, digest, signature)
        for other in disturbed(source, signature):
            assert not same_verdict(register, key.address, digest, other)


def test_random_bytes_recover_to_the_same_address_or_to_nobody(register: LocalRegister, source: random.Random) -> None:
    recovered = 0
    for _ in range(60):
        digest, signature = source.randbytes(32), source.randbytes(64)
        try:
            signer = recover_address(digest, signature)
        except VerificationError:
            assert register.read("signVerify", bytes(20), digest, pair(signature)) is False
            continue
        recovered += 1
        assert register.read("signVerify", signer, digest, pair(signature)) is True
    assert recovered > 10  # half of all r are on the curve, nearly all of their s low in the 255 bits


# Wycheproof

FILES = ("ecdsa_secp256k1_sha256_bitcoin.json", "ecdsa_secp256k1_sha256_p1363.json")

EXPECTED = {
    FILES[0]: {"taken": 161, "refused": 34, "without EIP-2098 form": 268},
    FILES[1]: {"taken": 95, "refused": 24, "without EIP-2098 form": 133},
}


@cache
def groups_of(name: str) -> Any:
    path = VECTORS / name
    if not path.exists():
        pytest.skip(f"needs the reference vectors: wycheproof/{name}")
    return json.loads(path.read_text("utf-8"))["testGroups"]


def der_integer(raw: bytes) -> tuple[bytes, bytes]:
    """Read one DER integer strictly; raises ValueError."""
    if len(raw) < 3 or raw[0] != 2 or not 0 < raw[1] < 0x80 or len(raw) < 2 + raw[1]:
        raise ValueError("no integer")
    value = raw[2 : 2 + raw[1]]
    if value[0] & 0x80 or (value[0] == 0 and len(value) > 1 and not value[1] & 0x80):
        raise ValueError("negative or not the shortest")
    return value, raw[2 + raw[1] :]


def r_and_s(name: str, signature: bytes) -> tuple[int, int]:
    """Read a vector's signature; raises ValueError for one that EIP-2098 could not carry."""
    if "p1363" in name:
        if len(signature) != 64:
            raise ValueError("not 64 bytes")
        return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if len(signature) < 2 or signature[0] != 0x30 or signature[1] != len(signature) - 2:
        raise ValueError("no sequence")
    r, rest = der_integer(signature[2:])
    s, rest = der_integer(rest)
    if rest or len(r) > 33 or len(s) > 33:
        raise ValueError("something follows, or too long")
    return int.from_bytes(r, "big"), int.from_bytes(s, "big")


def compact_forms(name: str, signature: bytes) -> list[bytes]:
    """Both EIP-2098 forms of a vector's signature, none where there is none."""
    try:
        r, s = r_and_s(name, signature)
    except ValueError:
        return []
    if r >= 2**256 or s >= TOP_BIT:
        return []
    return [r.to_bytes(32, "big") + (s + parity * TOP_BIT).to_bytes(32, "big") for parity in (0, 1)]


@pytest.mark.parametrize("name", FILES)
def test_wycheproof_gets_the_same_verdict_from_python_and_the_contract(register: LocalRegister, name: str) -> None:
    """The contract and Python agree on each; what is good and low in s is taken, what is bad never is."""
    counts = {"taken": 0, "refused": 0, "without EIP-2098 form": 0}
    for group in groups_of(name):
        signer = derive_address(parse_public_key(bytes.fromhex(group["publicKey"]["uncompressed"])))
        for case in group["tests"]:
            digest = hashlib.sha256(bytes.fromhex(case["msg"])).digest()
            forms = compact_forms(name, bytes.fromhex(case["sig"]))
            verdicts = [same_verdict(register, signer, digest, form) for form in forms]
            counts["taken" if any(verdicts) else "refused" if forms else "without EIP-2098 form"] += 1
            if any(verdicts):
                assert case["result"] == "valid", case
                continue
            # A valid one is refused only where s is high (the file's malleability rule does not say so), or where
            # x of the ephemeral point is not below n: EIP-2098 has one bit of parity and no second for that.
            if case["result"] == "valid":
                r, s = r_and_s(name, bytes.fromhex(case["sig"]))
                assert s > CURVE_ORDER // 2 or r < 2**256 - CURVE_ORDER, case
    assert counts == EXPECTED[name]
