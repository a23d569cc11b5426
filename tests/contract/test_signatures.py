"""What is hashed and signed, against eth-account; and the forms of a signature that are refused."""

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_keys.datatypes import PrivateKey
from eth_keys.datatypes import Signature as KeySignature
from eth_utils.crypto import keccak

from tests.contract.acts import Actor, Signature
from tests.contract.local_evm import LocalEvm
from tests.contract.local_register import LocalRegister
from tests.contract.scenario import DEADLINE, Ward, signature_of_nobody

N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of secp256k1 (SEC 2, section 2.4.1)."""
HALF_N = N // 2
S_BITS = 2**255 - 1


def with_parity(signature: Signature, parity: int) -> Signature:
    vs = int.from_bytes(signature[1], "big") & S_BITS
    return signature[0], (vs | parity << 255).to_bytes(32, "big")


def parity_of(signature: Signature) -> int:
    return signature[1][0] >> 7


def signed_with_parity(actor: Actor, parity: int) -> tuple[bytes, Signature]:
    digests = (keccak(text=f"digest {number}") for number in range(64))
    return next((digest, made) for digest in digests if parity_of(made := actor.sign(digest)) == parity)


def test_domain_separator_is_the_one_of_eip_712(register: LocalRegister) -> None:
    kind = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    expected = encode(
        ["bytes32", "bytes32", "bytes32", "uint256", "address"],
        [keccak(text=kind), keccak(text="VirtualGroups"), keccak(text="1"), register.evm.chain_id, register.address],
    )
    assert register.read("domainSeparator") == keccak(expected)


@pytest.mark.parametrize("parity", [0, 1])
def test_signature_of_either_parity_verifies_and_with_the_other_does_not(
    register: LocalRegister, stranger: Actor, parity: int
) -> None:
    digest, signature = signed_with_parity(stranger, parity)
    assert register.read("signVerify", stranger.address, digest, signature) is True
    flipped = with_parity(signature, 1 - parity)
    assert register.read("signVerify", stranger.address, digest, flipped) is False


@pytest.mark.parametrize("s", [HALF_N + 1, S_BITS])
def test_high_s_that_ecrecover_would_take_is_refused_and_its_low_twin_is_not(
    register: LocalRegister, stranger: Actor, s: int
) -> None:
    """EIP-2098 leaves few high s: from n/2 to 2^255 - 1. So s is chosen, and the digest that it signs computed."""
    nonce = 12345
    point = PrivateKey(nonce.to_bytes(32, "big")).public_key.to_bytes()
    r, parity = int.from_bytes(point[:32], "big"), point[63] & 1
    digest = ((s * nonce - r * int.from_bytes(stranger.key.to_bytes(), "big")) % N).to_bytes(32, "big")
    high = r.to_bytes(32, "big"), (s | parity << 255).to_bytes(32, "big")
    low = r.to_bytes(32, "big"), (N - s | (1 - parity) << 255).to_bytes(32, "big")
    assert KeySignature(vrs=(parity, r, s)).recover_public_key_from_msg_hash(digest) == stranger.key.public_key
    assert register.read("signVerify", stranger.address, digest, high) is False
    assert register.read("signVerify", stranger.address, digest, low) is True


@pytest.mark.parametrize(("r", "s"), [(0, 0), (0, 1), (1, 0), (N, 1), (N + 1, 1), (2**256 - 1, 1)])
def test_r_and_s_outside_their_range_are_never_the_zero_address(register: LocalRegister, r: int, s: int) -> None:
    signature = r.to_bytes(32, "big"), s.to_bytes(32, "big")
    assert register.read("signVerify", bytes(20), keccak(text="digest"), signature) is False


def test_token_is_verified_over_its_fifty_two_bytes(register: LocalRegister, group: Ward, stranger: Actor) -> None:
    preimage = group.gid + stranger.oid + stranger.address
    assert len(preimage) == 52
    token = group.master.sign(keccak(preimage))
    assert register.read("tokenVerify", group.gid, stranger.oid, stranger.address, token) is True


@pytest.mark.parametrize("part", ["gid", "oid", "address"])
def test_token_with_another_part_is_refused(
    register: LocalRegister, group: Ward, other_group: Ward, stranger: Actor, part: str
) -> None:
    claims = {"gid": group.gid, "oid": stranger.oid, "address": stranger.address}
    token = group.master.token_for(group.gid, stranger)
    claims[part] = {"gid": other_group.gid, "oid": b"\1" * 16, "address": b"\1" * 20}[part]
    assert register.read("tokenVerify", *claims.values(), token) is False


@pytest.mark.parametrize("parity", [0, 1])
def test_association_with_tokens_and_requests_of_either_parity(
    register: LocalRegister, group: Ward, parity: int
) -> None:
    candidates = (group.request(Actor.named(f"candidate {number}")) for number in range(64))
    item = next(item for item in candidates if (parity_of(item[1]), parity_of(item[2])) == (parity, 1 - parity))
    assert register.send("associate", item).succeeded


@pytest.mark.parametrize("domain", ["chain", "contract"])
def test_act_that_was_signed_for_elsewhere_is_refused(
    register: LocalRegister, group: Ward, slave: Actor, stranger: Actor, domain: str
) -> None:
    """Every struct but Association, whose signer is whoever is recovered (test_associate has that one)."""
    evm = register.evm if domain == "contract" else LocalEvm(chain_id=1)
    acts = LocalRegister.deploy(evm).acts
    assert acts != register.acts
    salt, root = keccak(text="salt"), keccak(text="root")
    gid, master, oid = group.gid, group.master, slave.oid
    new = stranger.address
    record: dict[str, Any] = {"gid": gid, "from_": oid, "to": master.oid, "payloadHash": root, "seq": 1, "epoch": 1}
    run = {"gid": gid, "from_": oid, "firstSeq": 1, "lastSeq": 2, "epoch": 1, "runningHash": root}
    cases: list[tuple[str, str, list[Actor], dict[str, Any]]] = [
        ("createGroup", "CreateGroup", [stranger], {"salt": salt, "master": new, "deadline": DEADLINE}),
        ("revoke", "Revocation", [master], {"gid": gid, "oid": oid, "deadline": DEADLINE}),
        ("rotate", "Rotation", [slave, stranger], {"gid": gid, "oid": oid, "newAddress": new, "deadline": DEADLINE}),
        ("rotateMaster", "MasterRotation", [master, stranger], {"gid": gid, "newMaster": new, "deadline": DEADLINE}),
        ("recordExchange", "Exchange", [slave], record),
        (
            "verifyCheckpoint",
            "Checkpoint",
            [slave],
            {"firstSeq" if k == "a" else "lastSeq" if k == "b" else k: v for k, v in run.items()},
        ),
        ("anchor", "Anchor", [master], {"gid": gid, "root": root, "fromRecord": 1, "toRecord": 2}),
    ]
    for function, struct, signers, fields in cases:
        elsewhere = [acts.sign(signer, struct, **fields) for signer in signers]
        here = [register.acts.sign(signer, struct, **fields) for signer in signers]
        assert register.refusal(register.call(function, *fields.values(), *elsewhere)).name == (
            "VirtualGroups_BadSignature"
        ), function
        assert register.call(function, *fields.values(), *here).succeeded, function


def test_nobody_signs_for_a_group_that_does_not_exist(register: LocalRegister, stranger: Actor) -> None:
    arguments = (bytes(16), stranger.oid, stranger.address, signature_of_nobody())
    assert register.read("tokenVerify", *arguments) is False
