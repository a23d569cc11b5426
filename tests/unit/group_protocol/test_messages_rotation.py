import pytest

from group_protocol.crypto.keys import PrivateKey
from group_protocol.encoding import u64
from group_protocol.errors import DecodingError
from group_protocol.identifiers import Signature
from group_protocol.messages_rotation import RotationCall

NEW_KEY = PrivateKey.from_secret(bytes.fromhex("44" * 32))
BY_OLD, BY_NEW = Signature(bytes(range(64))), Signature(bytes(range(64, 128)))
CALL = RotationCall(NEW_KEY.public_key, 1_800_000_000, BY_OLD, BY_NEW)
RAW = NEW_KEY.public_key + u64(1_800_000_000) + BY_OLD + BY_NEW


def test_rotation_has_its_documented_layout_of_201_bytes() -> None:
    assert CALL.encode() == RAW
    assert len(RAW) == 201


def test_rotation_survives_its_layout_and_names_its_new_address() -> None:
    assert RotationCall.decode(RAW) == CALL
    assert CALL.new_address == NEW_KEY.address


def test_rotation_cut_at_any_byte_raises_decoding_error() -> None:
    for end in range(len(RAW)):
        with pytest.raises(DecodingError):
            RotationCall.decode(RAW[:end])


def test_rotation_with_a_point_beside_the_curve_raises_decoding_error() -> None:
    with pytest.raises(DecodingError):
        RotationCall.decode(RAW[:64] + bytes([RAW[64] ^ 1]) + RAW[65:])


def test_unknown_extension_of_a_rotation_is_passed_over_and_a_critical_one_refused() -> None:
    assert RotationCall.decode(RAW + bytes.fromhex("00010002abcd")) == CALL
    with pytest.raises(DecodingError):
        RotationCall.decode(RAW + bytes.fromhex("80000000"))
