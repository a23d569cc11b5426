import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from group_protocol.crypto.exchange import answer_share, make_slave_share, parse_rsa_public_key
from group_protocol.errors import DecodingError, LocalProtocolError, RemoteProtocolError, VerificationError
from group_protocol.suites import Suite
from tests.support.handshakes import OFFERS, flip
from tests.support.seeded import SeededRandom


@pytest.mark.parametrize(
    ("suite", "slave_bytes", "master_bytes", "ikm_bytes"),
    [(Suite.H1, 1_216, 1_120, 64), (Suite.E1, 32, 32, 32), (Suite.R1, 294, 256, 32)],
)
def test_both_sides_agree_and_shares_have_their_documented_lengths(
    suite: Suite, slave_bytes: int, master_bytes: int, ikm_bytes: int
) -> None:
    share = make_slave_share(OFFERS[suite], SeededRandom(1))
    wire, ikm = answer_share(suite, share.wire, offers_h1=suite is Suite.H1, random=SeededRandom(2))
    assert share.agree(suite, wire) == ikm
    assert (len(share.wire), len(wire), len(ikm)) == (slave_bytes, master_bytes, ikm_bytes)


@pytest.mark.parametrize("suite", [Suite.H1, Suite.E1])
def test_same_random_bytes_give_the_same_share(suite: Suite) -> None:
    assert (
        make_slave_share(OFFERS[suite], SeededRandom(7)).wire == make_slave_share(OFFERS[suite], SeededRandom(7)).wire
    )


@pytest.mark.parametrize("suite", list(Suite))
@pytest.mark.parametrize("length", [0, 31, 33, 1_119, 1_121])
def test_master_share_of_the_wrong_length_is_refused(suite: Suite, length: int) -> None:
    share = make_slave_share(OFFERS[suite], SeededRandom(1))
    with pytest.raises(RemoteProtocolError):
        share.agree(suite, bytes(length))


def test_flipped_ciphertext_gives_another_secret_or_none() -> None:
    share = make_slave_share(OFFERS[Suite.H1], SeededRandom(1))
    wire, ikm = answer_share(Suite.H1, share.wire, offers_h1=True, random=SeededRandom(2))
    assert share.agree(Suite.H1, flip(wire, 40)) != ikm
    rsa_share = make_slave_share(OFFERS[Suite.R1], SeededRandom(1))
    wire, _ = answer_share(Suite.R1, rsa_share.wire, offers_h1=False, random=SeededRandom(2))
    with pytest.raises(VerificationError):
        rsa_share.agree(Suite.R1, flip(wire, 40))


def test_suite_that_was_not_offered_is_a_local_error() -> None:
    with pytest.raises(LocalProtocolError):
        make_slave_share(OFFERS[Suite.E1], SeededRandom(1)).agree(Suite.H1, bytes(1_120))
    with pytest.raises(LocalProtocolError):
        make_slave_share(OFFERS[Suite.R1], SeededRandom(1)).agree(Suite.E1, bytes(32))


def test_all_zero_point_from_the_master_is_refused() -> None:
    with pytest.raises(VerificationError):
        make_slave_share(OFFERS[Suite.E1], SeededRandom(1)).agree(Suite.E1, bytes(32))


def test_encapsulation_key_out_of_range_is_refused() -> None:
    share = make_slave_share(OFFERS[Suite.H1], SeededRandom(1)).wire
    with pytest.raises(DecodingError, match="ML-KEM"):
        answer_share(Suite.H1, share[:32] + b"\xff" * 1_184, offers_h1=True, random=SeededRandom(2))


def _der(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def test_rsa_key_of_another_size_exponent_or_kind_is_refused() -> None:
    for der in (
        b"",
        b"\x30\x00",
        _der(rsa.generate_private_key(65_537, 1_024)),  # noqa: S505 - too small on purpose
        _der(rsa.generate_private_key(3, 2_048)),
        _der(ec.generate_private_key(ec.SECP256R1())),
        bytes(423),
    ):
        with pytest.raises(DecodingError):
            parse_rsa_public_key(der)


def test_rsa_key_with_trailing_bytes_is_refused() -> None:
    with pytest.raises(DecodingError):
        parse_rsa_public_key(_der(rsa.generate_private_key(65_537, 2_048)) + b"\0")


def test_rsa_key_with_an_even_modulus_is_refused() -> None:
    der = _der(rsa.generate_private_key(65_537, 2_048))
    modulus_ends_at = len(der) - 5  # the exponent's tag, length and three bytes follow
    even = der[: modulus_ends_at - 1] + bytes([der[modulus_ends_at - 1] ^ 1]) + der[modulus_ends_at:]
    with pytest.raises(DecodingError):
        answer_share(Suite.R1, even, offers_h1=False, random=SeededRandom(1))


def test_rsa_key_of_the_largest_size_is_taken() -> None:
    der = _der(rsa.generate_private_key(65_537, 3_072))
    assert len(der) == 422
    answer, _ = answer_share(Suite.R1, der, offers_h1=False, random=SeededRandom(1))
    assert len(answer) == 384
