from dataclasses import replace

import pytest

from group_protocol.errors import DecodingError, Reason, UnknownExtensionError
from group_protocol.extensions import Standing
from group_protocol.identifiers import Signature, Token
from group_protocol.tickets import (
    AssociationCall,
    IdentityProof,
    MembershipState,
    PairingProof,
    RegistryResult,
    Ticket,
)
from tests.support.handshakes import SLAVE_KEY, make_ticket

IDENTITY = IdentityProof(SLAVE_KEY.public_key, Signature(b"s" * 64), PairingProof(b"i" * 8, b"p" * 32))
CALL = AssociationCall(Token(b"t" * 64), Signature(b"s" * 64), 1_800_000_000)
RESULT = RegistryResult(MembershipState.ACTIVE, Reason.NONE, b"h" * 32, 12, 1)
MESSAGES = pytest.mark.parametrize(
    "message",
    [IDENTITY, replace(IDENTITY, pairing=None), make_ticket(), CALL, RESULT],
    ids=["M3", "M3-without-proof", "M4", "M5", "M6"],
)
Message = IdentityProof | Ticket | AssociationCall | RegistryResult


@pytest.mark.parametrize(
    ("message", "length"),
    [(IDENTITY, 170), (replace(IDENTITY, pairing=None), 130), (make_ticket(), 202), (CALL, 136), (RESULT, 51)],
)
def test_layout_has_its_documented_length(message: Message, length: int) -> None:
    assert len(message.encode()) == length


@MESSAGES
def test_message_survives_its_layout_with_and_without_unknown_extensions(message: Message) -> None:
    assert type(message).decode(message.encode()) == message
    assert type(message).decode(message.encode() + b"\x00\x07\x00\x03abc") == message


@MESSAGES
def test_message_cut_at_any_byte_is_refused(message: Message) -> None:
    raw = message.encode()
    for end in range(len(raw)):
        with pytest.raises(DecodingError):
            type(message).decode(raw[:end])


@MESSAGES
def test_message_with_a_critical_extension_is_refused_or_says_which_it_is(message: Message) -> None:
    """The sender of M3 is not proven yet when it is decoded: it may hear of it only afterwards."""
    if isinstance(message, IdentityProof):
        assert IdentityProof.decode(message.encode() + b"\x80\x00\x00\x00") == replace(message, unsupported=0x8000)
        return
    with pytest.raises(UnknownExtensionError):
        type(message).decode(message.encode() + b"\x80\x00\x00\x00")


def test_software_and_standing_survive_their_messages_and_others_are_refused() -> None:
    proof = replace(IDENTITY, software="1.2.3+x")
    assert IdentityProof.decode(proof.encode()) == proof
    told = replace(make_ticket(), software="0.9", standing=Standing.BANNED)
    assert Ticket.decode(told.encode()) == told
    assert Ticket.decode(told.encode() + bytes.fromhex("7fff0001ab")) == told
    for wrong in ("00010000", "0001000120", "00010021" + "41" * 33, "00020000", "0002000100", "0002000105"):
        with pytest.raises(DecodingError):
            Ticket.decode(make_ticket().encode() + bytes.fromhex(wrong))


@pytest.mark.parametrize("length", [1, 39, 41, 255])
def test_pairing_proof_of_another_length_is_refused(length: int) -> None:
    raw = replace(IDENTITY, pairing=None).encode()
    with pytest.raises(DecodingError):
        IdentityProof.decode(raw[:129] + bytes([length]) + bytes(length))


@pytest.mark.parametrize("offset", [160, 185])
def test_state_or_policy_without_a_meaning_is_refused(offset: int) -> None:
    raw = bytearray(make_ticket().encode())
    assert raw[offset] in (0, 1)
    raw[offset] = 99
    with pytest.raises(DecodingError):
        Ticket.decode(bytes(raw))


@pytest.mark.parametrize("offset", [186, 190, 194, 198])
def test_term_of_zero_is_refused(offset: int) -> None:
    raw = bytearray(make_ticket().encode())
    raw[offset : offset + 4] = bytes(4)
    with pytest.raises(DecodingError, match="zero"):
        Ticket.decode(bytes(raw))


def test_reason_without_a_meaning_is_refused() -> None:
    raw = bytearray(RESULT.encode())
    raw[1:3] = b"\xff\xff"
    with pytest.raises(DecodingError):
        RegistryResult.decode(bytes(raw))
