from collections.abc import Callable

import pytest

from group_protocol.crypto.keys import derive_address, parse_public_key
from group_protocol.errors import DecodingError
from group_protocol.identifiers import (
    Address,
    ObjectId,
    derive_object_id,
    display_object_id,
    parse_address,
    parse_group_id,
    parse_object_id,
    parse_session_id,
    parse_signature,
    parse_token,
)

PARSERS = [
    (parse_address, 20, "address"),
    (parse_group_id, 16, "gid"),
    (parse_object_id, 16, "oid"),
    (parse_session_id, 16, "sid"),
    (parse_signature, 64, "signature"),
    (parse_token, 64, "token"),
]
PAPER_PUBLIC_KEY = bytes.fromhex(
    "0494fe008e4f92d91490699b2446b5eba94b1c8994ada07a98fc38444bea05c8d7"
    "0e98fd7be93b226fd23301ad0b862113a9b9a57d67cd312bd7294fcd686f9d9c"
)
"""The paper's figure 11, once two reading errors of its scan are mended."""


@pytest.mark.parametrize(("parse", "length", "_name"), PARSERS)
def test_identifier_of_its_own_length_passes_unchanged(
    parse: Callable[[bytes], bytes], length: int, _name: str
) -> None:
    assert parse(bytes(range(length))) == bytes(range(length))


@pytest.mark.parametrize(("parse", "length", "name"), PARSERS)
@pytest.mark.parametrize("difference", [-1, 1, -16])
def test_identifier_of_another_length_raises_decoding_error(
    parse: Callable[[bytes], bytes], length: int, name: str, difference: int
) -> None:
    with pytest.raises(DecodingError, match=f"^{name} has {length + difference} bytes, not {length}$"):
        parse(bytes(length + difference))


def test_object_id_is_the_last_16_bytes_of_the_address() -> None:
    assert derive_object_id(Address(bytes(range(20)))) == bytes(range(4, 20))


def test_display_object_id_shows_the_last_two_bytes() -> None:
    assert display_object_id(ObjectId(bytes(14) + b"\x9d\x9c")) == "9d9c"


def test_papers_public_key_is_a_point_whose_last_bytes_are_the_papers_object_id() -> None:
    assert parse_public_key(PAPER_PUBLIC_KEY) == PAPER_PUBLIC_KEY
    assert PAPER_PUBLIC_KEY[-2:].hex() == "9d9c"
    compressed = bytes([2 + (PAPER_PUBLIC_KEY[-1] & 1)]) + PAPER_PUBLIC_KEY[1:33]
    assert parse_public_key(compressed) == PAPER_PUBLIC_KEY
    assert len(derive_address(PAPER_PUBLIC_KEY)) == 20


@pytest.mark.parametrize("prefix", [0x00, 0x02, 0x03, 0x05, 0x06, 0x07])
def test_public_key_of_65_bytes_with_another_prefix_raises_decoding_error(prefix: int) -> None:
    with pytest.raises(DecodingError):
        parse_public_key(bytes([prefix]) + PAPER_PUBLIC_KEY[1:])


def test_public_key_beside_the_curve_raises_decoding_error() -> None:
    with pytest.raises(DecodingError):
        parse_public_key(PAPER_PUBLIC_KEY[:-1] + b"\x9d")
