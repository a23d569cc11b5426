"""What the paper's literal flow falls to. Each test shows an attack that WORKS against the baseline."""

import itertools
import json
from collections.abc import Awaitable, Callable

import pytest
from coincurve import PrivateKey
from Crypto.PublicKey import RSA

from measure.paper_baseline.ciphers import BLOCK_BYTES, RandomBytes, decrypt, encrypt
from measure.paper_baseline.errors import MalformedMessage, Reason, Refused
from measure.paper_baseline.http_form import ASSOCIATION_PATH, DATA_PATH, KEY_SESSION_PATH, TICKET_PATH
from measure.paper_baseline.key_substitution import ManInTheMiddle
from measure.paper_baseline.master import MasterKeys, PaperMaster, Received
from measure.paper_baseline.messages import DataMessage, KeySessionRequest, TicketRequest
from measure.paper_baseline.register import InMemoryRegister
from measure.paper_baseline.signatures import derive_address, is_signature, token_message
from measure.paper_baseline.slave import (
    DataForm,
    Device,
    accept_key_session,
    accept_ticket,
    prepare_association_request,
    prepare_data_message,
    prepare_key_session_request,
    prepare_ticket_request,
)
from tests.unit.measure.paper_baseline.conftest import Joined

READING = b"t=000000 hr=072;t=000001 hr=073;t=000002 hr=074;"
"""Three blocks of AES of sixteen characters each."""


def forward_to(master: PaperMaster) -> Callable[[str, bytes], Awaitable[bytes]]:
    steps = {
        KEY_SESSION_PATH: master.answer_key_session,
        TICKET_PATH: master.answer_ticket,
        ASSOCIATION_PATH: master.answer_association,
        DATA_PATH: master.answer_data,
    }

    async def forward(path: str, body: bytes) -> bytes:
        return await steps[path](body)

    return forward


async def test_man_in_the_middle_who_substitutes_the_rsa_key_reads_all(
    master: PaperMaster, device: Device, rsa_keys: list[RSA.RsaKey], random_bytes: RandomBytes
) -> None:
    middle = ManInTheMiddle(forward_to(master), rsa_keys[2], random_bytes)

    session = accept_key_session(device, await middle.answer_key_session(prepare_key_session_request(device)))
    ticket = accept_ticket(session, await middle.answer_ticket(prepare_ticket_request(device)))
    await middle.answer_association(prepare_association_request(device, session, ticket))
    await middle.answer_data(prepare_data_message(device, session, ticket, READING))

    assert middle.clear_texts[0] == ticket.encode()
    assert json.loads(middle.clear_texts[1])["oid"] == device.object_id.hex()
    assert middle.clear_texts[2] == READING
    assert master.received == [Received(device.object_id, READING)]


async def test_anyone_gets_a_token_for_any_key_and_any_object_id(
    master: PaperMaster, master_keys: MasterKeys, attacker: Device, device: Device
) -> None:
    claimed_id = b"\xbe\xef"
    request = KeySessionRequest.decode(prepare_key_session_request(attacker))
    answer = await master.answer_key_session(KeySessionRequest(request.slave_rsa_pem, claimed_id).encode())
    session = accept_key_session(attacker, answer)

    ticket = accept_ticket(session, await master.answer_ticket(TicketRequest(claimed_id, device.public_key).encode()))

    message = token_message(master_keys.group_id, claimed_id, derive_address(device.public_key))
    assert is_signature(master_keys.public_key, ticket.token, message)


async def test_token_from_the_oracle_makes_a_stranger_a_member(master: PaperMaster, attacker: Device) -> None:
    session = accept_key_session(attacker, await master.answer_key_session(prepare_key_session_request(attacker)))
    ticket = accept_ticket(session, await master.answer_ticket(prepare_ticket_request(attacker)))

    await master.answer_association(prepare_association_request(attacker, session, ticket))
    await master.answer_data(prepare_data_message(attacker, session, ticket, READING))

    assert master.received == [Received(attacker.object_id, READING)]


def colliding_keys() -> tuple[PrivateKey, PrivateKey]:
    """The first two of a fixed row of keys whose public keys end in the same two bytes."""
    seen: dict[bytes, PrivateKey] = {}
    for number in itertools.count(1):
        key = PrivateKey.from_int(number)
        tail = key.public_key.format(compressed=False)[-2:]
        if tail in seen:
            return seen[tail], key
        seen[tail] = key
    raise AssertionError("itertools.count ended")


async def test_two_devices_with_one_object_id_shut_each_other_out(
    master: PaperMaster, rsa_keys: list[RSA.RsaKey]
) -> None:
    first, second = (Device(key, rsa_key) for key, rsa_key in zip(colliding_keys(), rsa_keys[1:], strict=True))
    first_session = accept_key_session(first, await master.answer_key_session(prepare_key_session_request(first)))
    ticket = accept_ticket(first_session, await master.answer_ticket(prepare_ticket_request(first)))
    await master.answer_association(prepare_association_request(first, first_session, ticket))

    session = accept_key_session(second, await master.answer_key_session(prepare_key_session_request(second)))
    second_ticket = accept_ticket(session, await master.answer_ticket(prepare_ticket_request(second)))

    assert first.object_id == second.object_id
    assert first.public_key != second.public_key
    with pytest.raises(Refused) as caught:
        await master.answer_association(prepare_association_request(second, session, second_ticket))
    assert caught.value.reason is Reason.OBJECT_ID_IN_USE


def test_a_few_hundred_devices_are_enough_for_two_with_one_object_id() -> None:
    _, second = colliding_keys()

    assert second.to_int() < 1000


async def test_stranger_takes_a_members_session_over_and_sends_in_its_name(
    master: PaperMaster, joined: Joined, attacker: Device
) -> None:
    victim_id = joined.device.object_id
    request = KeySessionRequest.decode(prepare_key_session_request(attacker))
    answer = await master.answer_key_session(KeySessionRequest(request.slave_rsa_pem, victim_id).encode())
    session = accept_key_session(attacker, answer)

    await master.answer_data(DataMessage(victim_id, encrypt(session, b"forged")).encode())

    assert master.received == [Received(victim_id, b"forged")]


async def test_replayed_data_message_is_accepted_again(master: PaperMaster, joined: Joined) -> None:
    message = prepare_data_message(joined.device, joined.session, joined.ticket, READING)

    await master.answer_data(message)
    await master.answer_data(message)

    assert master.received == [Received(joined.device.object_id, READING)] * 2


async def test_bit_flipped_in_cbc_changes_the_reading_undetected(master: PaperMaster, joined: Joined) -> None:
    message = DataMessage.decode(prepare_data_message(joined.device, joined.session, joined.ticket, READING))
    flipped = bytearray(message.encrypted)
    flipped[BLOCK_BYTES + READING[2 * BLOCK_BYTES :].index(b"074")] ^= ord("0") ^ ord("1")

    await master.answer_data(DataMessage(message.object_id, bytes(flipped)).encode())

    (received,) = master.received
    assert received.reading[:BLOCK_BYTES] == READING[:BLOCK_BYTES]
    assert received.reading[2 * BLOCK_BYTES :] == b"t=000002 hr=174;"


def test_equal_readings_look_equal_on_the_wire(joined: Joined) -> None:
    first, second, third = (
        prepare_data_message(joined.device, joined.session, joined.ticket, reading)
        for reading in (b"hr=072", b"hr=072", b"hr=073")
    )

    assert first == second
    assert first != third


async def test_recorded_traffic_opens_later_with_the_slaves_rsa_key_alone(
    master: PaperMaster, device: Device, rsa_keys: list[RSA.RsaKey]
) -> None:
    recorded_answer = await master.answer_key_session(prepare_key_session_request(device))
    session = accept_key_session(device, recorded_answer)
    ticket = accept_ticket(session, await master.answer_ticket(prepare_ticket_request(device)))
    recorded_data = prepare_data_message(device, session, ticket, READING)
    holder_of_the_leaked_key = Device(PrivateKey(b"\x77" * 32), rsa_keys[1])

    recovered = accept_key_session(holder_of_the_leaked_key, recorded_answer)

    assert decrypt(recovered, DataMessage.decode(recorded_data).encrypted) == READING


@pytest.fixture
async def strict_master(master_keys: MasterKeys, random_bytes: RandomBytes) -> PaperMaster:
    """Takes data messages in the signed form of section 4.2 only."""
    master = PaperMaster(master_keys, InMemoryRegister(), random_bytes, DataForm.SECTION_4_2)
    await master.create_group()
    return master


async def join(master: PaperMaster, device: Device) -> Joined:
    session = accept_key_session(device, await master.answer_key_session(prepare_key_session_request(device)))
    ticket = accept_ticket(session, await master.answer_ticket(prepare_ticket_request(device)))
    await master.answer_association(prepare_association_request(device, session, ticket))
    return Joined(device, session, ticket)


async def test_replayed_data_is_accepted_even_when_signed_as_section_4_2_says(
    strict_master: PaperMaster, device: Device
) -> None:
    member = await join(strict_master, device)
    message = prepare_data_message(device, member.session, member.ticket, READING, DataForm.SECTION_4_2)

    await strict_master.answer_data(message)
    await strict_master.answer_data(message)

    assert strict_master.received == [Received(device.object_id, READING)] * 2


async def test_signed_data_of_a_stranger_in_a_members_name_is_refused(
    strict_master: PaperMaster, device: Device, attacker: Device
) -> None:
    member = await join(strict_master, device)
    forged = prepare_data_message(attacker, member.session, member.ticket, READING, DataForm.SECTION_4_2)
    message = DataMessage(device.object_id, DataMessage.decode(forged).encrypted).encode()

    with pytest.raises(Refused, match="not the sender's"):
        await strict_master.answer_data(message)


async def test_signed_data_under_another_object_id_than_the_messages_is_refused(
    strict_master: PaperMaster, device: Device, attacker: Device
) -> None:
    member, stranger = await join(strict_master, device), await join(strict_master, attacker)
    own = DataMessage.decode(
        prepare_data_message(attacker, member.session, stranger.ticket, READING, DataForm.SECTION_4_2)
    )

    with pytest.raises(Refused, match="not the sender's"):
        await strict_master.answer_data(DataMessage(device.object_id, own.encrypted).encode())
    assert strict_master.received == []


@pytest.mark.parametrize("position", range(0, 256, 16))
async def test_bit_flipped_in_signed_data_is_refused(strict_master: PaperMaster, device: Device, position: int) -> None:
    member = await join(strict_master, device)
    message = DataMessage.decode(
        prepare_data_message(device, member.session, member.ticket, READING, DataForm.SECTION_4_2)
    )
    flipped = bytearray(message.encrypted)
    flipped[position] ^= 1

    with pytest.raises((Refused, MalformedMessage)):
        await strict_master.answer_data(DataMessage(message.object_id, bytes(flipped)).encode())
    assert strict_master.received == []
