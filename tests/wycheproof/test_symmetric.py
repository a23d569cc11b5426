"""Wycheproof: AES-256-GCM through SealingKey, HKDF-SHA-256 in the one block that this protocol uses."""

import pytest

from group_protocol.crypto import aead
from group_protocol.crypto.aead import Aead, SealingKey
from group_protocol.crypto.kdf import hkdf_expand_one_block, hkdf_extract
from group_protocol.errors import VerificationError
from tests.wycheproof.reference import Case, load_cases


class GivenNonce:
    """In place of the layout of our nonces, which begin with four zero bytes as hardly any of the cases' do."""

    def __init__(self, nonce: bytes) -> None:
        self._nonce = nonce

    def pack(self, _zero: int, _seq: int) -> bytes:
        return self._nonce


def _has_our_sizes(case: Case) -> bool:
    return (case.group["keySize"], case.group["ivSize"], case.group["tagSize"]) == (256, 96, 128)


def test_aes_256_gcm_seals_and_opens_valid_cases_and_opens_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [case for case in load_cases("aes_gcm") if _has_our_sizes(case)]
    assert len(cases) == 66
    for case in cases:
        monkeypatch.setattr(aead, "_NONCE", GivenNonce(case.raw("iv")))
        key = SealingKey(Aead.A256GCM, case.raw("key"))
        sealed = case.raw("ct") + case.raw("tag")
        if case.is_valid:
            assert key.seal(0, case.raw("aad"), case.raw("msg")) == sealed
            assert key.open(0, case.raw("aad"), sealed) == case.raw("msg")
        else:
            with pytest.raises(VerificationError):
                key.open(0, case.raw("aad"), sealed)


def test_hkdf_block_is_the_beginning_of_every_valid_output() -> None:
    """A shorter output is a beginning of the block and a longer one begins with it, so every valid case counts."""
    cases = [case for case in load_cases("hkdf_sha256") if case.is_valid]
    assert len(cases) > 80
    for case in cases:
        block = hkdf_expand_one_block(hkdf_extract(case.raw("salt"), case.raw("ikm")), case.raw("info"))
        length = min(case.case["size"], len(block))
        assert block[:length] == case.raw("okm")[:length]
