import sys

import pytest

from group_protocol.crypto import keccak
from group_protocol.crypto.kdf import sha256
from group_protocol.crypto.keccak import keccak256
from group_protocol.crypto.keys import (
    CURVE_ORDER,
    PrivateKey,
    derive_address,
    parse_public_key,
    recover_address,
    verify_signature,
)
from group_protocol.errors import ConfigurationError, DecodingError, VerificationError
from tests.support.handshakes import SLAVE_KEY, STRANGER_KEY, flip

PAPER_KEY = bytes.fromhex(
    "0494fe008e4f92d91490699b2446b5eba94b1c8994ada07a98fc38444bea05c8d7"
    "0e98fd7be93b226fd23301ad0b862113a9b9a57d67cd312bd7294fcd686f9d9c"
)
"""The paper's figure 11, after two reading errors of its scan are mended."""
DIGEST = sha256(b"what is signed")


def test_keccak_is_ethereums() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


@pytest.mark.parametrize("has_pysha3", [True, False])
def test_keccak_is_the_same_with_either_library(has_pysha3: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_pysha3:
        monkeypatch.setitem(sys.modules, "eth_hash.backends.pysha3", None)
        monkeypatch.delattr("eth_hash.backends.pysha3", raising=False)
    assert keccak._fastest()(b"abc") == keccak256(b"abc")


def test_address_of_the_first_key_is_the_known_one() -> None:
    key = PrivateKey.from_secret((1).to_bytes(32, "big"))
    assert key.address.hex() == "7e5f4552091a69125d5dfcb7b8c2659029395bdf"


def test_key_of_the_papers_figure_11_is_a_point() -> None:
    assert parse_public_key(PAPER_KEY) == PAPER_KEY
    assert len(derive_address(PAPER_KEY)) == 20


@pytest.mark.parametrize("number", range(1, 9))
def test_compressed_key_parses_to_the_same_65_bytes(number: int) -> None:
    key = PrivateKey.from_secret(number.to_bytes(32, "big")).public_key
    assert parse_public_key(bytes([2 + (key[-1] & 1)]) + key[1:33]) == key


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        PAPER_KEY[1:],
        PAPER_KEY + b"\0",
        PAPER_KEY[:33],
        b"\x06" + PAPER_KEY[1:],
        b"\x07" + PAPER_KEY[1:],
        b"\x04" + bytes(64),
        b"\x02" + b"\xff" * 32,
        PAPER_KEY[:-1] + b"\x9d",
        bytes(65),
    ],
    ids=["empty", "no-prefix", "too-long", "cut", "hybrid-06", "hybrid-07", "zero", "x-too-large", "off-curve", "null"],
)
def test_public_key_of_another_form_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodingError):
        parse_public_key(raw)


@pytest.mark.parametrize("secret", [b"", bytes(32), CURVE_ORDER.to_bytes(32, "big"), b"\xff" * 32, b"\1" * 31])
def test_secret_outside_the_curves_order_is_refused(secret: bytes) -> None:
    with pytest.raises(ConfigurationError):
        PrivateKey.from_secret(secret)


def test_secret_does_not_print() -> None:
    assert SLAVE_KEY.secret.hex() not in repr(SLAVE_KEY)
    assert repr(SLAVE_KEY.secret) not in repr(SLAVE_KEY)


@pytest.mark.parametrize("number", range(16))
def test_signature_recovers_to_its_signer_with_either_parity(number: int) -> None:
    digest = sha256(bytes([number]))
    signature = SLAVE_KEY.sign_digest(digest)
    assert len(signature) == 64
    assert recover_address(digest, signature) == SLAVE_KEY.address
    verify_signature(digest, signature, SLAVE_KEY.address)


def test_both_parities_occur_in_the_packed_form() -> None:
    tops = {SLAVE_KEY.sign_digest(sha256(bytes([number])))[32] >> 7 for number in range(16)}
    assert tops == {0, 1}


@pytest.mark.parametrize("index", [0, 31, 32, 33, 63])
def test_signature_with_a_flipped_bit_is_refused(index: int) -> None:
    signature = SLAVE_KEY.sign_digest(DIGEST)
    with pytest.raises(VerificationError):
        verify_signature(DIGEST, flip(signature, index), SLAVE_KEY.address)


def test_signature_of_another_key_or_digest_is_refused() -> None:
    with pytest.raises(VerificationError):
        verify_signature(DIGEST, STRANGER_KEY.sign_digest(DIGEST), SLAVE_KEY.address)
    with pytest.raises(VerificationError):
        verify_signature(sha256(b"other"), SLAVE_KEY.sign_digest(DIGEST), SLAVE_KEY.address)


def _packed(r: int, s: int, parity: int) -> bytes:
    return r.to_bytes(32, "big") + (s | parity << 255).to_bytes(32, "big")


def _twin(signature: bytes) -> tuple[int, int, int]:
    packed = int.from_bytes(signature[32:], "big")
    return int.from_bytes(signature[:32], "big"), packed & ((1 << 255) - 1), packed >> 255


@pytest.mark.parametrize("s", [CURVE_ORDER // 2 + 1, (1 << 255) - 1])
def test_high_s_that_still_fits_the_packed_form_is_refused(s: int) -> None:
    r, _, parity = _twin(SLAVE_KEY.sign_digest(DIGEST))
    with pytest.raises(VerificationError, match="high s"):
        recover_address(DIGEST, _packed(r, s, parity))


@pytest.mark.parametrize("part", ["r", "s", "both"])
def test_zero_in_a_signature_is_refused(part: str) -> None:
    r, s, parity = _twin(SLAVE_KEY.sign_digest(DIGEST))
    zeroed = {"r": (0, s), "s": (r, 0), "both": (0, 0)}[part]
    with pytest.raises(VerificationError):
        recover_address(DIGEST, _packed(*zeroed, parity))


@pytest.mark.parametrize("r", [CURVE_ORDER, CURVE_ORDER + 1, (1 << 256) - 1, 5])
def test_r_that_is_out_of_range_or_no_abscissa_is_refused(r: int) -> None:
    _, s, _ = _twin(SLAVE_KEY.sign_digest(DIGEST))
    with pytest.raises(VerificationError):
        recover_address(DIGEST, _packed(r, s, 0))


@pytest.mark.parametrize("length", [0, 63, 65])
def test_signature_of_the_wrong_length_is_refused(length: int) -> None:
    with pytest.raises(VerificationError):
        recover_address(DIGEST, bytes(length))
    with pytest.raises(VerificationError):
        recover_address(DIGEST[:-1], SLAVE_KEY.sign_digest(DIGEST))


@pytest.mark.parametrize("r", [1, 2, 3, 4])
@pytest.mark.parametrize("s", [1, 2, CURVE_ORDER // 2])
def test_smallest_and_largest_numbers_of_a_signature_recover_to_a_key(r: int, s: int) -> None:
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert len(recover_address(DIGEST, signature)) == 20


@pytest.mark.parametrize(("digest_bytes", "signature_bytes"), [(31, 64), (33, 64), (32, 63), (32, 65), (32, 0)])
def test_digest_or_signature_of_the_wrong_length_recovers_to_nobody(digest_bytes: int, signature_bytes: int) -> None:
    good = PrivateKey.from_secret(bytes(31) + b"\x05").sign_digest(DIGEST)
    with pytest.raises(VerificationError, match="wrong length"):
        recover_address((DIGEST + b"\0")[:digest_bytes], (good + b"\0")[:signature_bytes])
