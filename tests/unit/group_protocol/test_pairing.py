import base64
import hashlib
import hmac

import pytest

from group_protocol.errors import ConfigurationError, LocalProtocolError
from group_protocol.identifiers import Address
from group_protocol.pairing import PairingString, derive_code_id, make_pairing_proof, parse_pairing_string

MASTER = Address(bytes.fromhex("19e7e376e7c213b7e7e7e46cc70a5dd086daff2a"))
CODE = bytes.fromhex("0123456789abcdef0123456789abcdef")
PAIRING = PairingString(MASTER, CODE, "master.local", 3000)
TEXT = PAIRING.to_text()
BODY = TEXT[4:68]


def lp(*fields: bytes) -> bytes:
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def test_text_has_its_documented_form() -> None:
    check = hashlib.sha256(lp(b"vgroup/1 pairing", MASTER, CODE)).digest()[:4]
    body = base64.b32encode(MASTER + CODE + check).decode().lower()
    assert f"vg1-{body}@master.local:3000" == TEXT
    assert len(body) == 64


HOSTS = ["master.local", "192.168.1.7", "localhost", "raspberry-pi", "a_b.c", "2001:db8::1", "::1", "fe80::1%eth0"]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("port", [1, 3000, 65_535])
def test_pairing_string_survives_its_text(host: str, port: int) -> None:
    pairing = PairingString(MASTER, CODE, host, port)
    assert parse_pairing_string(pairing.to_text()) == pairing


def test_host_name_of_the_longest_length_passes_and_a_longer_one_does_not() -> None:
    longest = ".".join(["a" * 62] * 4)[:-1] + "ab"
    assert len(longest) == 252
    assert parse_pairing_string(f"vg1-{BODY}@{longest}a").host == longest + "a"
    with pytest.raises(ConfigurationError):
        parse_pairing_string(f"vg1-{BODY}@{longest}aa")


def test_ipv6_host_stands_in_brackets() -> None:
    assert PairingString(MASTER, CODE, "::1", 3000).to_text().endswith("@[::1]:3000")


@pytest.mark.parametrize("typed", [TEXT.upper(), f"  {TEXT}\n", f"\t{TEXT.upper()} ", TEXT.removesuffix(":3000")])
def test_upper_case_white_space_and_left_out_port_are_taken(typed: str) -> None:
    assert parse_pairing_string(typed) == PAIRING


def test_left_out_port_after_ipv6_host_is_taken() -> None:
    assert parse_pairing_string(f"vg1-{BODY}@[::1]") == PairingString(MASTER, CODE, "::1", 3000)


def with_changed_character(at: int) -> str:
    return TEXT[:at] + ("a" if TEXT[at] != "a" else "b") + TEXT[at + 1 :]


@pytest.mark.parametrize("at", range(4, 68))
def test_any_mistyped_character_fails_the_check(at: int) -> None:
    with pytest.raises(ConfigurationError, match="mistyped"):
        parse_pairing_string(with_changed_character(at))


WRONG = {
    "empty": ("", "empty"),
    "spaces": ("   ", "empty"),
    "no prefix": (TEXT[4:], "begins with"),
    "other version": ("vg2-" + TEXT[4:], "begins with"),
    "no host": (TEXT[:68], "'@'"),
    "empty host": (TEXT[:69], "host"),
    "too short": ("vg1-" + BODY[1:] + "@h:1", "63 characters"),
    "too long": ("vg1-" + BODY + "a@h:1", "65 characters"),
    "zero for o": ("vg1-0" + BODY[1:] + "@h:1", "never occurs"),
    "padding": ("vg1-" + BODY[1:] + "=@h:1", "never occurs"),
    "space within": ("vg1-" + BODY[:32] + " " + BODY[32:] + "@h:1", "never occurs"),
    "not ascii": ("vg1-ä" + BODY[1:] + "@h:1", "never occurs"),
    "host with slash": (f"vg1-{BODY}@http://h:1", "port"),
    "host with path": (f"vg1-{BODY}@h/x:1", "host"),
    "host with space": (f"vg1-{BODY}@a b:1", "host"),
    "host with hyphen first": (f"vg1-{BODY}@-a:1", "host"),
    "host not ascii": (f"vg1-{BODY}@bücher.example:1", "host"),
    "host too long": (f"vg1-{BODY}@{'a' * 254}:1", "host"),
    "second @": (f"vg1-{BODY}@h@i:1", "host"),
    "ipv6 without brackets": (f"vg1-{BODY}@2001:db8::1:3000", "port"),
    "ipv6 without end": (f"vg1-{BODY}@[::1:3000", "IPv6"),
    "no ipv6 in brackets": (f"vg1-{BODY}@[host]:3000", "IPv6"),
    "port zero": (f"vg1-{BODY}@h:0", "port"),
    "port too high": (f"vg1-{BODY}@h:65536", "port"),
    "port with sign": (f"vg1-{BODY}@h:+1", "port"),
    "port empty": (f"vg1-{BODY}@h:", "port"),
    "port in other digits": (f"vg1-{BODY}@h:٣٠٠٠", "port"),
    "port of many digits": (f"vg1-{BODY}@h:{'1' * 5_000}", "port"),
    "text after ipv6": (f"vg1-{BODY}@[::1]x:1", "port"),
    "bracket in a scope": (f"vg1-{BODY}@[fe80::1%a]b]:1", "port"),
}


@pytest.mark.parametrize(("text", "complaint"), WRONG.values(), ids=WRONG.keys())
def test_wrong_string_says_what_is_wrong_and_what_to_do(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        parse_pairing_string(text)
    assert caught.value.remedy
    assert BODY not in str(caught.value) + caught.value.remedy


@pytest.mark.parametrize(
    "pairing",
    [
        PairingString(Address(MASTER[:-1]), CODE, "h"),
        PairingString(MASTER, CODE[:-1], "h"),
        PairingString(MASTER, CODE, ""),
        PairingString(MASTER, CODE, "a b"),
        PairingString(MASTER, CODE, "h", 0),
        PairingString(MASTER, CODE, "h", 65_536),
    ],
)
def test_pairing_string_with_a_wrong_field_is_not_written(pairing: PairingString) -> None:
    with pytest.raises(LocalProtocolError):
        pairing.to_text()


def test_code_does_not_print() -> None:
    assert CODE.hex() not in repr(PAIRING)
    assert repr(CODE) not in repr(PAIRING)


def test_code_id_and_proof_have_their_documented_construction() -> None:
    assert derive_code_id(CODE) == hashlib.sha256(lp(b"vgroup/1 code id", CODE)).digest()[:8]
    expected = hmac.digest(CODE, lp(b"vgroup/1 pairing proof", b"t" * 32, MASTER), "sha256")
    assert make_pairing_proof(CODE, b"t" * 32, MASTER) == expected


def test_proof_changes_with_code_transcript_and_address() -> None:
    proofs = {
        make_pairing_proof(CODE, b"t" * 32, MASTER),
        make_pairing_proof(CODE[::-1], b"t" * 32, MASTER),
        make_pairing_proof(CODE, b"u" * 32, MASTER),
        make_pairing_proof(CODE, b"t" * 32, Address(MASTER[::-1])),
    }
    assert len(proofs) == 4
