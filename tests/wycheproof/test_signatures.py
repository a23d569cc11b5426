"""Wycheproof: ECDSA over secp256k1 as we verify it, by recovering the signer's address (EIP-2098, low s).

What a recovering verifier does differently from the file on purpose is named and counted here.
"""

from collections import Counter
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from group_protocol.crypto.kdf import sha256
from group_protocol.crypto.keys import CURVE_ORDER, derive_address, parse_public_key, recover_address, verify_signature
from group_protocol.errors import VerificationError
from group_protocol.identifiers import Address
from tests.wycheproof.reference import Case, load_cases

FIELD_PRIME = 2**256 - 2**32 - 977


class Signature(NamedTuple):
    r: int
    s: int

    def forms(self) -> list[bytes]:
        """Both EIP-2098 forms, one for each parity; none where r or s does not fit."""
        if not (0 <= self.r < 1 << 256 and 0 <= self.s < 1 << 255):
            return []
        r = self.r.to_bytes(32, "big")
        return [r + (self.s | parity << 255).to_bytes(32, "big") for parity in (0, 1)]


def _signer(case: Case) -> Address:
    return derive_address(parse_public_key(bytes.fromhex(case.group["publicKey"]["uncompressed"])))


def _accepted(case: Case, signature: Signature) -> int:
    """How many of the two forms verify."""
    digest, signer, accepted = sha256(case.raw("msg")), _signer(case), 0
    for form in signature.forms():
        try:
            verify_signature(digest, form, signer)
        except VerificationError:
            continue
        assert recover_address(digest, form) == signer
        accepted += 1
    return accepted


def _judge(case: Case, signature: Signature) -> str:
    """Whether we say what the file says, or how we differ."""
    accepted = _accepted(case, signature)
    if not case.is_valid:
        assert accepted == 0, case.case
        return "refused as invalid"
    if accepted:
        assert accepted == 1, case.case
        return "accepted as valid"
    low = Signature(signature.r, CURVE_ORDER - signature.s)
    if signature.s > low.s and _accepted(case, low) == 1:
        return "high s: refused, its low twin is accepted"
    # R's x exceeds the order, so that r does not tell it. Ethereum has no v for such a signature either.
    assert signature.r < FIELD_PRIME - CURVE_ORDER, case.case
    return "x above the order: has no form with one bit of parity"


def test_p1363_cases_agree_but_for_named_exceptions() -> None:
    outcomes: Counter[str] = Counter()
    for case in load_cases("ecdsa_secp256k1_sha256_p1363"):
        raw = case.raw("sig")
        if len(raw) != 64:
            assert not case.is_valid
            with pytest.raises(VerificationError):
                verify_signature(sha256(case.raw("msg")), raw, _signer(case))
            outcomes["refused for its length"] += 1
            continue
        signature = Signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        outcomes[_judge(case, signature)] += 1
    assert outcomes == {
        "accepted as valid": 95,
        "high s: refused, its low twin is accepted": 70,
        "x above the order: has no form with one bit of parity": 2,
        "refused as invalid": 67,
        "refused for its length": 18,
    }


def test_bitcoin_cases_agree_but_for_named_exceptions() -> None:
    """The file's signatures are DER: what is no DER of two integers has no 64-byte form to be judged."""
    outcomes: Counter[str] = Counter()
    for case in load_cases("ecdsa_secp256k1_sha256_bitcoin"):
        try:
            signature = Signature(*decode_dss_signature(case.raw("sig")))
        except ValueError:
            assert not case.is_valid
            outcomes["no DER"] += 1
            continue
        outcomes[_judge(case, signature)] += 1
    assert outcomes == {
        "accepted as valid": 161,
        "x above the order: has no form with one bit of parity": 1,
        "refused as invalid": 84,
        "no DER": 217,
    }
