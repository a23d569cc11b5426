"""Seeded keys and one joined device, without a socket."""

import random
from dataclasses import dataclass

import pytest
from coincurve import PrivateKey
from Crypto.PublicKey import RSA

from measure.paper_baseline.ciphers import RandomBytes, SessionKey, generate_rsa_key
from measure.paper_baseline.clear_texts import Ticket
from measure.paper_baseline.master import MasterKeys, PaperMaster
from measure.paper_baseline.register import InMemoryRegister
from measure.paper_baseline.slave import (
    Device,
    accept_key_session,
    accept_ticket,
    prepare_association_request,
    prepare_key_session_request,
    prepare_ticket_request,
)


@dataclass(frozen=True)
class Joined:
    """A device that is a member of the master's group."""

    device: Device
    session: SessionKey
    ticket: Ticket


@pytest.fixture(scope="session")
def rsa_keys() -> list[RSA.RsaKey]:
    """Three: the master's, a slave's, an attacker's. Made once, since that takes time."""
    random_bytes = random.Random(2022).randbytes
    return [generate_rsa_key(random_bytes) for _ in range(3)]


@pytest.fixture
def random_bytes() -> RandomBytes:
    return random.Random(11).randbytes


@pytest.fixture
def device(rsa_keys: list[RSA.RsaKey]) -> Device:
    return Device(PrivateKey(b"\x51" * 32), rsa_keys[1])


@pytest.fixture
def attacker(rsa_keys: list[RSA.RsaKey]) -> Device:
    return Device(PrivateKey(b"\x66" * 32), rsa_keys[2])


@pytest.fixture
def master_keys(rsa_keys: list[RSA.RsaKey]) -> MasterKeys:
    return MasterKeys(PrivateKey(b"\x4d" * 32), rsa_keys[0], bytes.fromhex("67726f75702d30303031"))


@pytest.fixture
async def master(master_keys: MasterKeys, random_bytes: RandomBytes) -> PaperMaster:
    master = PaperMaster(master_keys, InMemoryRegister(), random_bytes)
    await master.create_group()
    return master


@pytest.fixture
async def joined(master: PaperMaster, device: Device) -> Joined:
    session = accept_key_session(device, await master.answer_key_session(prepare_key_session_request(device)))
    ticket = accept_ticket(session, await master.answer_ticket(prepare_ticket_request(device)))
    await master.answer_association(prepare_association_request(device, session, ticket))
    return Joined(device, session, ticket)
