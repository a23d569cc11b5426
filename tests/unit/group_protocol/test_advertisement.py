"""What a master says of itself in DNS-SD."""

import pytest

from group_protocol.advertisement import SERVICE_TYPE, Advertisement, parse_advertisement
from group_protocol.errors import DecodingError
from group_protocol.identifiers import Address

MASTER = Address(bytes(range(20)))
GOOD: dict[str, str | None] = {"txtvers": "1", "protocol": "1", "master": f"0x{MASTER.hex()}"}


def test_advertisement_tells_version_and_address_and_nothing_else() -> None:
    assert Advertisement(MASTER).to_properties() == GOOD


def test_properties_are_read_back_and_unknown_ones_are_left() -> None:
    assert parse_advertisement({**GOOD, "later": "x", "flag": None}) == Advertisement(MASTER)


def test_instance_and_server_are_of_this_master_alone_and_name_no_machine() -> None:
    one, other = Advertisement(MASTER), Advertisement(Address(bytes(20)))
    assert one.instance == f"vgroup 000102030405.{SERVICE_TYPE}"
    assert one.server == "vgroup-000102030405.local."
    assert {one.instance, one.server}.isdisjoint({other.instance, other.server})


@pytest.mark.parametrize(
    "change",
    [
        {"txtvers": "2"},
        {"txtvers": None},
        {"protocol": "2"},
        {"master": None},
        {"master": MASTER.hex()},
        {"master": f"0x{MASTER.hex().upper()}A"},
        {"master": f"0x{MASTER.hex()}00"},
        {"master": "0x" + "g" * 40},
    ],
)
def test_advertisement_of_another_shape_raises_decoding_error(change: dict[str, str | None]) -> None:
    with pytest.raises(DecodingError):
        parse_advertisement(GOOD | change)
