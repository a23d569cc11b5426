"""What M3 and M4 may carry beside their fields, and what a device is told that is not let in."""

import pytest

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import DecodingError, LocalProtocolError
from group_protocol.extensions import (
    SOFTWARE_MAX_CHARACTERS,
    Standing,
    TurnedAwayError,
    encode_extensions,
    parse_software,
    parse_standing,
)

SENT = [standing for standing in Standing if standing is not Standing.GOOD]


def test_nothing_to_say_is_no_extension() -> None:
    assert encode_extensions("") == b""
    assert encode_extensions("", Standing.GOOD) == b""


def test_extensions_have_their_documented_bytes() -> None:
    assert encode_extensions("1.0.2") == b"\x00\x01\x00\x051.0.2"
    assert encode_extensions("", Standing.BANNED) == b"\x00\x02\x00\x01\x01"
    assert encode_extensions("9", Standing.UNSUPPORTED) == b"\x00\x01\x00\x019\x00\x02\x00\x01\x03"


@pytest.mark.parametrize("software", ["1.0.dev3+g1a_b-c!2", "v" * SOFTWARE_MAX_CHARACTERS, "0"])
def test_version_is_read_back(software: str) -> None:
    encoded = encode_extensions(software)
    assert encoded[:4] == b"\x00\x01" + len(software).to_bytes(2, "big")
    assert parse_software(encoded[4:]) == software


@pytest.mark.parametrize("software", ["v" * (SOFTWARE_MAX_CHARACTERS + 1), "1 0", "1\n", "1.0é", "1?"])
def test_text_that_is_no_version_is_neither_sent_nor_taken(software: str) -> None:
    with pytest.raises(LocalProtocolError):
        encode_extensions(software)
    with pytest.raises(DecodingError):
        parse_software(software.encode())


def test_absent_extensions_mean_no_version_and_a_good_standing() -> None:
    assert parse_software(None) == ""
    assert parse_standing(None) is Standing.GOOD
    with pytest.raises(DecodingError):
        parse_software(b"")


@pytest.mark.parametrize("standing", SENT)
def test_standing_is_read_back(standing: Standing) -> None:
    assert parse_standing(encode_extensions("", standing)[4:]) is standing


@pytest.mark.parametrize("value", [b"", b"\x00", bytes([max(Standing) + 1]), b"\xff", b"\x01\x01", b"\x00\x01"])
def test_standing_that_is_never_sent_raises_decoding_error(value: bytes) -> None:
    with pytest.raises(DecodingError):
        parse_standing(value)


@pytest.mark.parametrize(
    ("standing", "said", "remedy", "code"),
    [
        (Standing.BANNED, "banned this device", "device unban", ErrorCode.DEVICE_BANNED),
        (Standing.EXPIRED, "invitation has expired", "device invite", ErrorCode.INVITATION_EXPIRED),
        (Standing.DISPUTED, "did not order", "device list", ErrorCode.MEMBERSHIP_DISPUTED),
        (Standing.UNSUPPORTED, "does not know something", "same version", ErrorCode.VERSIONS_DIFFER),
    ],
)
def test_device_that_is_turned_away_learns_why_and_what_to_do(
    standing: Standing, said: str, remedy: str, code: ErrorCode
) -> None:
    error = TurnedAwayError(standing)
    assert error.standing is standing
    assert said in str(error)
    assert remedy in (error.remedy or "")
    assert error.code is code


def test_version_of_the_master_is_told_where_versions_are_the_matter_and_known() -> None:
    assert str(TurnedAwayError(Standing.UNSUPPORTED, "2.1")).endswith(" (it runs version 2.1)")
    assert "(" not in str(TurnedAwayError(Standing.UNSUPPORTED))
    assert str(TurnedAwayError(Standing.BANNED, "2.1")).endswith("banned this device")
