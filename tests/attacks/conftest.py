"""One running master for all attacks that do not end it, and the paper's flow on loopback beside it."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from coincurve import PrivateKey
from Crypto.PublicKey import RSA

from measure.paper_baseline.ciphers import generate_rsa_key
from measure.paper_baseline.client import PaperClient
from measure.paper_baseline.master import MasterKeys, PaperMaster
from measure.paper_baseline.register import InMemoryRegister
from measure.paper_baseline.server import serve
from measure.paper_baseline.slave import Device as PaperDevice
from tests.attacks.edge import Edge
from tests.attacks.master_process import ROOMY, MasterProcess
from tests.attacks.papers_flow import PapersFlow


@pytest.fixture(scope="session")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MasterProcess]:
    """The master that most attacks are tried on. At the end its evidence and its audit log hold."""
    master = MasterProcess(tmp_path_factory.mktemp("attacks") / "m", **ROOMY)
    master.start()
    try:
        asyncio.run(master.ask("group.create", name="ward 3"))
        yield master
        assert asyncio.run(master.ask("records.verify"))["is_good"] is True
        asyncio.run(master.ask("audit.verify"))
    finally:
        master.stop()


@pytest.fixture
async def edge(ward: MasterProcess) -> AsyncIterator[Edge]:
    async with aiohttp.ClientSession() as http:
        yield Edge(ward, http)
    while (await ward.ask("master.status"))["streams"]:  # noqa: ASYNC110 - the master tells nobody
        await asyncio.sleep(0.01)


@pytest.fixture(scope="session")
def rsa_keys() -> list[RSA.RsaKey]:
    """The paper's master's, its slave's and an attacker's; making one takes tenths of a second."""
    random_bytes = random.Random(1977).randbytes
    return [generate_rsa_key(random_bytes) for _ in range(3)]


@pytest.fixture
async def paper(rsa_keys: list[RSA.RsaKey]) -> AsyncIterator[PapersFlow]:
    """The paper's literal flow over loopback sockets, with one honest device."""
    keys = MasterKeys(PrivateKey(b"\x4d" * 32), rsa_keys[0], b"group-0001")
    master = PaperMaster(keys, InMemoryRegister(), random.Random(5).randbytes)
    await master.create_group()
    device = PaperDevice(PrivateKey(b"\x51" * 32), rsa_keys[1])
    attacker = PaperDevice(PrivateKey(b"\x66" * 32), rsa_keys[2])
    async with serve(master) as port, PaperClient("127.0.0.1", port) as client:
        yield PapersFlow(keys, master, port, client, device, attacker)
