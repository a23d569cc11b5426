"""Bytes that are no message of the paper's raise MalformedMessage and change nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from Crypto.PublicKey import RSA

from measure.paper_baseline.ciphers import SessionKey, decrypt, encrypt, read_public_pem, unwrap_session_key
from measure.paper_baseline.clear_texts import SignedReading, SignedTicket, Ticket
from measure.paper_baseline.errors import MalformedMessage, Reason, Refused
from measure.paper_baseline.master import PaperMaster
from measure.paper_baseline.messages import (
    AssociationRequest,
    DataMessage,
    KeySessionAnswer,
    KeySessionRequest,
    TicketAnswer,
    TicketRequest,
)
from measure.paper_baseline.slave import (
    Device,
    accept_key_session,
    accept_ticket,
    prepare_association_request,
    prepare_data_message,
    prepare_key_session_request,
)
from tests.unit.measure.paper_baseline.conftest import Joined

SESSION = SessionKey(bytes(32), bytes(16))
TICKET = Ticket(bytes(10), bytes(2), bytes(20), bytes(64))
BODIES: list[tuple[Callable[[bytes], object], bytes]] = [
    (KeySessionRequest.decode, KeySessionRequest(b"pem", b"\x9d\x9c").encode()),
    (KeySessionAnswer.decode, KeySessionAnswer(b"pem", bytes(256)).encode()),
    (TicketRequest.decode, TicketRequest(b"\x9d\x9c", bytes(65)).encode()),
    (TicketAnswer.decode, TicketAnswer(bytes(16)).encode()),
    (AssociationRequest.decode, AssociationRequest(b"\x9d\x9c", bytes(16)).encode()),
    (DataMessage.decode, DataMessage(b"\x9d\x9c", bytes(16)).encode()),
    (Ticket.decode, TICKET.encode()),
    (SignedTicket.decode, SignedTicket(TICKET, bytes(64)).encode()),
    (SignedReading.decode, SignedReading(b"72", bytes(10), bytes(2), bytes(64)).encode()),
]
FIELDS = [(decode, body, name) for decode, body in BODIES for name in json.loads(body)]
WRONG_VALUES: list[Any] = [
    None,
    7,
    "é",
    [],
    {},
    {"type": "Buffer"},
    {"type": "Array", "data": []},
    {"type": "Buffer", "data": [256]},
    {"type": "Buffer", "data": ["1"]},
]


@pytest.mark.parametrize(("decode", "body"), BODIES)
def test_encoded_message_decodes_to_one_that_encodes_alike(decode: Callable[[bytes], Any], body: bytes) -> None:
    assert decode(body).encode() == body


@pytest.mark.parametrize("body", [b"", b"[]", b"true", b"{", b"\xff", b"[" * 100_000, b'"text"'])
@pytest.mark.parametrize("decode", [decode for decode, _ in BODIES])
def test_body_that_is_no_json_object_raises(decode: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode(body)


@pytest.mark.parametrize(("decode", "body", "name"), FIELDS)
@pytest.mark.parametrize("wrong", WRONG_VALUES)
def test_member_of_a_wrong_kind_raises(decode: Callable[[bytes], object], body: bytes, name: str, wrong: Any) -> None:
    with pytest.raises(MalformedMessage):
        decode(json.dumps(json.loads(body) | {name: wrong}).encode())


@pytest.mark.parametrize(("decode", "body", "name"), FIELDS)
def test_missing_member_raises(decode: Callable[[bytes], object], body: bytes, name: str) -> None:
    document = json.loads(body)
    del document[name]

    with pytest.raises(MalformedMessage):
        decode(json.dumps(document).encode())


def test_hexadecimal_of_another_length_raises() -> None:
    with pytest.raises(MalformedMessage, match="oid is not 2 bytes"):
        TicketRequest.decode(json.dumps({"oid": "9d9c00", "objectPubKey": "00" * 65}).encode())


def test_buffer_of_another_length_raises() -> None:
    members = TICKET.members() | {"signature": {"type": "Buffer", "data": [0] * 63}}

    with pytest.raises(MalformedMessage, match="signature is not 64 bytes"):
        Ticket.decode(json.dumps(members).encode())


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_pem_that_is_no_rsa_key_raises(pem: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_public_pem(pem)


async def test_rsa_key_too_short_for_the_session_key_raises(master: PaperMaster) -> None:
    pem = RSA.construct((2**511 + 111, 65537), consistency_check=False).export_key("PEM")

    with pytest.raises(MalformedMessage, match="too short"):
        await master.answer_key_session(KeySessionRequest(pem, b"\x9d\x9c").encode())


@pytest.mark.parametrize("wrapped", [b"", bytes(255), bytes(256)])
def test_session_key_that_was_not_wrapped_for_this_key_raises(device: Device, wrapped: bytes) -> None:
    with pytest.raises(MalformedMessage):
        unwrap_session_key(wrapped, device.rsa_key)


@pytest.mark.parametrize("encrypted", [b"", bytes(15), bytes(16)])
def test_ciphertext_without_padding_raises(encrypted: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decrypt(SESSION, encrypted)


def test_ticket_that_is_something_else_raises() -> None:
    with pytest.raises(MalformedMessage):
        accept_ticket(SESSION, TicketAnswer(encrypt(SESSION, b"no ticket")).encode())


async def test_step_without_a_session_key_is_refused(master: PaperMaster, device: Device) -> None:
    for step, body in (
        (master.answer_ticket, TicketRequest(device.object_id, device.public_key).encode()),
        (master.answer_association, prepare_association_request(device, SESSION, TICKET)),
        (master.answer_data, prepare_data_message(device, SESSION, TICKET, b"72")),
    ):
        with pytest.raises(Refused) as caught:
            await step(body)
        assert caught.value.reason is Reason.NO_SESSION


async def test_association_of_an_object_id_without_ticket_is_refused(master: PaperMaster, joined: Joined) -> None:
    with pytest.raises(Refused) as caught:
        await master.answer_association(prepare_association_request(joined.device, joined.session, TICKET))

    assert caught.value.reason is Reason.NO_TICKET


async def test_data_before_association_is_refused(master: PaperMaster, device: Device) -> None:
    session = accept_key_session(device, await master.answer_key_session(prepare_key_session_request(device)))

    with pytest.raises(Refused) as caught:
        await master.answer_data(prepare_data_message(device, session, TICKET, b"72"))

    assert caught.value.reason is Reason.UNKNOWN_OBJECT
    assert master.received == []
