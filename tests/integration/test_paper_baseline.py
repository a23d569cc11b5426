"""The paper's flow over loopback sockets: end to end, its shape on the wire, and attacks on the wire that work."""

import random
import re
from collections.abc import AsyncIterator

import pytest
from coincurve import PrivateKey
from Crypto.PublicKey import RSA

from measure.paper_baseline.__main__ import main
from measure.paper_baseline.ciphers import BLOCK_BYTES, generate_rsa_key
from measure.paper_baseline.client import PaperClient
from measure.paper_baseline.errors import MasterRefused
from measure.paper_baseline.http_form import ASSOCIATION_PATH, CAPTURED, DATA_PATH, TICKET_PATH
from measure.paper_baseline.key_substitution import ManInTheMiddle
from measure.paper_baseline.master import MasterKeys, PaperMaster, Received
from measure.paper_baseline.messages import DataMessage
from measure.paper_baseline.register import InMemoryRegister
from measure.paper_baseline.relay import relay_to
from measure.paper_baseline.server import serve
from measure.paper_baseline.slave import DataForm, Device, prepare_data_message
from measure.paper_baseline.traffic import step_of

pytestmark = pytest.mark.network

HOST = "127.0.0.1"
READING = b"t=000000 hr=072;t=000001 hr=073;t=000002 hr=074;"
HOST_HEADER_SHORTER_BY = 4
"""`127.0.0.1:` and five digits, against the paper's `192.168.11.101:3000`."""

ONE_BLOCK_IN_BASE64 = 24
"""Characters, at most: addresses and signatures in decimal vary in length, and cross the border of an AES block."""


@pytest.fixture(scope="module")
def rsa_keys() -> list[RSA.RsaKey]:
    random_bytes = random.Random(1977).randbytes
    return [generate_rsa_key(random_bytes) for _ in range(3)]


@pytest.fixture
def device(rsa_keys: list[RSA.RsaKey]) -> Device:
    return Device(PrivateKey(b"\x51" * 32), rsa_keys[1])


def new_master(rsa_keys: list[RSA.RsaKey], form: DataForm) -> PaperMaster:
    keys = MasterKeys(PrivateKey(b"\x4d" * 32), rsa_keys[0], b"group-0001")
    return PaperMaster(keys, InMemoryRegister(), random.Random(5).randbytes, form)


@pytest.fixture
async def master(rsa_keys: list[RSA.RsaKey]) -> PaperMaster:
    master = new_master(rsa_keys, DataForm.SECTION_5_2)
    await master.create_group()
    return master


@pytest.fixture
async def port(master: PaperMaster) -> AsyncIterator[int]:
    async with serve(master) as port:
        yield port


@pytest.fixture
async def client(port: int) -> AsyncIterator[PaperClient]:
    async with PaperClient(HOST, port) as client:
        yield client


async def test_device_joins_and_its_reading_arrives(client: PaperClient, master: PaperMaster, device: Device) -> None:
    membership = await client.join(device)
    await client.send_reading(device, membership, READING)

    assert master.received == [Received(device.object_id, READING)]


async def test_signed_reading_of_section_4_2_arrives(rsa_keys: list[RSA.RsaKey], device: Device) -> None:
    master = new_master(rsa_keys, DataForm.SECTION_4_2)
    await master.create_group()

    async with serve(master) as port, PaperClient(HOST, port) as client:
        membership = await client.join(device)
        await client.send_reading(device, membership, READING, DataForm.SECTION_4_2)

    assert master.received == [Received(device.object_id, READING)]


async def test_flow_on_the_wire_has_the_shape_of_the_captures(port: int, device: Device) -> None:
    async with relay_to(HOST, port) as relay, PaperClient(HOST, relay.port) as client:
        await client.join(device)

    heads = [bytes(conversation.answered).split(b"\r\n\r\n")[0] for conversation in relay.conversations]
    types = [match.group(1) for head in heads if (match := re.search(rb"Content-Type: ([a-z/]+)", head))]
    assert [step_of(conversation).path for conversation in relay.conversations] == [step.path for step in CAPTURED]
    assert all(conversation.sent.startswith(b"GET ") for conversation in relay.conversations)
    assert all(head.startswith(b"HTTP/1.1 200 OK\r\n") for head in heads)
    assert all(b"\r\nConnection: close" in head for head in heads)
    assert types == [b"application/json", b"text/html", b"application/json"]


async def test_bytes_without_chance_in_them_are_the_captured_ones(port: int, device: Device) -> None:
    async with relay_to(HOST, port) as relay, PaperClient(HOST, relay.port) as client:
        await client.join(device)
    _, ticket, association = map(step_of, relay.conversations)

    assert ticket.request_bytes == CAPTURED[1].request_bytes - HOST_HEADER_SHORTER_BY
    assert association.answer_bytes == CAPTURED[2].answer_bytes


async def test_bytes_with_chance_in_them_are_near_the_captured_ones(port: int, device: Device) -> None:
    async with relay_to(HOST, port) as relay, PaperClient(HOST, relay.port) as client:
        await client.join(device)
    keys, ticket, association = map(step_of, relay.conversations)

    six_deviations_of_a_pem = 54
    assert keys.request_bytes == pytest.approx(CAPTURED[0].request_bytes, abs=six_deviations_of_a_pem)
    assert keys.answer_bytes == pytest.approx(CAPTURED[0].answer_bytes, abs=six_deviations_of_a_pem)
    assert ticket.answer_bytes == pytest.approx(CAPTURED[1].answer_bytes, abs=ONE_BLOCK_IN_BASE64)
    shorter = CAPTURED[2].request_bytes - HOST_HEADER_SHORTER_BY
    assert association.request_bytes == pytest.approx(shorter, abs=ONE_BLOCK_IN_BASE64)


async def test_malformed_body_is_answered_400_and_refused_one_403(client: PaperClient, device: Device) -> None:
    statuses = []
    for body in (b"{", b'{"oid":"0000","objectPubKey":"' + device.public_key.hex().encode() + b'"}'):
        with pytest.raises(MasterRefused) as caught:
            await client.exchange(TICKET_PATH, body)
        statuses.append(caught.value.status)

    assert statuses == [400, 403]


async def test_second_association_of_a_member_is_refused(client: PaperClient, device: Device) -> None:
    membership = await client.join(device)

    with pytest.raises(MasterRefused, match=ASSOCIATION_PATH):
        await client.associate(device, membership.session, membership.ticket)


async def test_man_in_the_middle_on_the_wire_reads_all(
    client: PaperClient, master: PaperMaster, device: Device, rsa_keys: list[RSA.RsaKey]
) -> None:
    middle = ManInTheMiddle(client.exchange, rsa_keys[2], random.Random(6).randbytes)

    async with serve(middle) as port, PaperClient(HOST, port) as slave:
        membership = await slave.join(device)
        await slave.send_reading(device, membership, READING)

    assert middle.clear_texts[0] == membership.ticket.encode()
    assert middle.clear_texts[-1] == READING
    assert master.received == [Received(device.object_id, READING)]


async def test_request_recorded_on_the_wire_is_accepted_again(
    port: int, client: PaperClient, master: PaperMaster, device: Device
) -> None:
    async with relay_to(HOST, port) as relay, PaperClient(HOST, relay.port) as slave:
        membership = await slave.join(device)
        await slave.send_reading(device, membership, READING)
    recorded = bytes(relay.conversations[-1].sent).split(b"\r\n\r\n", 1)[1]

    await client.exchange(DATA_PATH, recorded)

    assert master.received == [Received(device.object_id, READING)] * 2


async def test_bit_flipped_on_the_wire_goes_through(client: PaperClient, master: PaperMaster, device: Device) -> None:
    membership = await client.join(device)
    message = DataMessage.decode(prepare_data_message(device, membership.session, membership.ticket, READING))
    flipped = bytearray(message.encrypted)
    flipped[BLOCK_BYTES + READING[2 * BLOCK_BYTES :].index(b"074")] ^= ord("0") ^ ord("1")

    await client.exchange(DATA_PATH, DataMessage(message.object_id, bytes(flipped)).encode())

    assert master.received[0].reading.endswith(b"hr=174;")


def test_command_prints_each_step_beside_its_captured_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["1"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [f"`{step.path}`" for step in CAPTURED]
    assert "| 1,727 |" in lines[2]
    assert "| 2,122 |" in lines[2]


@pytest.mark.parametrize("arguments", [["0"], ["-1"], ["many"], ["1", "2"]])
def test_command_with_a_wrong_number_says_how_it_is_used(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "usage:" in capsys.readouterr().err
