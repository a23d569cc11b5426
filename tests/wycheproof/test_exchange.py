"""Wycheproof: X25519, ML-KEM-768 and RSA-OAEP as the slave's shares and the master's answer use them."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from group_protocol.crypto.exchange import (
    MLKEM_SEED_BYTES,
    RSA_SECRET_BYTES,
    EphemeralShare,
    RsaShare,
    answer_share,
    make_slave_share,
)
from group_protocol.errors import DecodingError, RemoteProtocolError, VerificationError
from group_protocol.suites import Suite
from tests.wycheproof.reference import Case, load_cases

BASE_POINT = (9).to_bytes(32, "little")


class OneValue:
    """A ``Random`` port that gives this value, whatever length is asked."""

    def __init__(self, value: bytes) -> None:
        self._value = value

    def token_bytes(self, _length_bytes: int) -> bytes:
        return self._value


def test_x25519_gives_the_known_secret_on_both_sides_and_refuses_zero_ones() -> None:
    """The "acceptable" cases are points of the twist or not canonical: RFC 7748 takes them; zero secrets we refuse."""
    cases = load_cases("x25519")
    zero = 0
    for case in cases:
        slave = EphemeralShare(X25519PrivateKey.from_private_bytes(case.raw("private")), None)
        master_random = OneValue(case.raw("private"))
        if "ZeroSharedSecret" in case.flags:
            zero += 1
            assert case.raw("shared") == bytes(32)
            with pytest.raises(VerificationError):
                slave.agree(Suite.E1, case.raw("public"))
            with pytest.raises(VerificationError):
                answer_share(Suite.E1, case.raw("public"), offers_h1=False, random=master_random)
        else:
            assert slave.agree(Suite.E1, case.raw("public")) == case.raw("shared")
            _, ikm = answer_share(Suite.E1, case.raw("public"), offers_h1=False, random=master_random)
            assert ikm == case.raw("shared")
    assert zero == 31


def _is_about_the_seed(case: Case) -> bool:
    return len(case.raw("seed")) != MLKEM_SEED_BYTES


def test_mlkem_768_gives_the_known_secret_and_refuses_other_lengths() -> None:
    x25519_secret = bytes(range(32))
    peer = X25519PrivateKey.from_private_bytes(bytes(range(1, 33))).public_key().public_bytes_raw()
    for case in load_cases("mlkem_768"):
        if _is_about_the_seed(case):
            with pytest.raises(ValueError, match="seed"):
                MLKEM768PrivateKey.from_seed_bytes(case.raw("seed"))
            continue
        mlkem_key = MLKEM768PrivateKey.from_seed_bytes(case.raw("seed"))
        share = EphemeralShare(X25519PrivateKey.from_private_bytes(x25519_secret), mlkem_key)
        assert share.wire[32:] == case.raw("ek")
        if case.is_valid:
            assert share.agree(Suite.H1, peer + case.raw("c"))[:32] == case.raw("K")
        else:
            with pytest.raises(DecodingError):
                share.agree(Suite.H1, peer + case.raw("c"))


def test_mlkem_768_secret_of_the_library_opens_on_the_other_side() -> None:
    for case in load_cases("mlkem_768")[:20]:
        if _is_about_the_seed(case):
            continue
        mlkem_key = MLKEM768PrivateKey.from_seed_bytes(case.raw("seed"))
        slave = EphemeralShare(X25519PrivateKey.from_private_bytes(bytes(range(32))), mlkem_key)
        share, ikm = answer_share(Suite.H1, slave.wire, offers_h1=True, random=OneValue(bytes(range(1, 33))))
        assert slave.agree(Suite.H1, share) == ikm


def test_rsa_oaep_decrypts_only_valid_32_byte_secrets_without_label() -> None:
    taken = 0
    for case in load_cases("rsa_oaep_2048_sha256_mgf1sha256"):
        key = serialization.load_der_private_key(bytes.fromhex(case.group["privateKeyPkcs8"]), None)
        assert isinstance(key, RSAPrivateKey)
        if case.is_valid and not case.raw("label") and len(case.raw("msg")) == RSA_SECRET_BYTES:
            taken += 1
            assert RsaShare(key).agree(Suite.R1, case.raw("ct")) == case.raw("msg")
        else:
            with pytest.raises(RemoteProtocolError):
                RsaShare(key).agree(Suite.R1, case.raw("ct"))
    assert taken == 1


def test_rsa_answer_opens_under_a_fresh_share() -> None:
    share = make_slave_share((Suite.R1,), OneValue(b""))
    answer, ikm = answer_share(Suite.R1, share.wire, offers_h1=False, random=OneValue(bytes(range(32))))
    assert share.agree(Suite.R1, answer) == ikm == bytes(range(32))
