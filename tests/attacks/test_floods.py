"""10,000 half-open handshakes and many wrong proofs at a master with the limits that it has by default."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random

import aiohttp
import pytest

from group_protocol.crypto.aead import Aead
from group_protocol.messages import BUSY_BODY, CookieChallenge, KeysSessionRequest, parse_keys_session_answer
from group_protocol.suites import Suite
from group_protocol.tickets import MembershipState
from master_api.config import MasterConfig
from measure.paper_baseline.http_form import KEY_SESSION_PATH
from measure.paper_baseline.messages import KeySessionRequest
from measure.paper_baseline.slave import prepare_key_session_request
from tests.attacks.edge import Edge
from tests.attacks.master_process import MasterProcess
from tests.attacks.papers_flow import PapersFlow
from tests.support.running_master import Device

pytestmark = [pytest.mark.network, pytest.mark.processes]

HALF_OPEN = 10_000
CONNECTIONS = 32
MIB = 2**20
GROWTH_MAX_BYTES = 64 * MIB
"""The tables when full hold about 5 MB; the rest is what an allocator keeps."""
LIMITS = MasterConfig(Path())
HONEST_TRIES = 100


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    """A master of its own, with the defaults."""
    master = MasterProcess(tmp_path / "m")
    master.start()
    try:
        await master.ask("group.create", name="ward 3")
        async with aiohttp.ClientSession() as http:
            yield Edge(master, http)
    finally:
        master.stop()


@asynccontextmanager
async def from_addresses(*addresses: str) -> AsyncIterator[list[aiohttp.ClientSession]]:
    """A client at each of these addresses of loopback."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=(address, 0), limit=CONNECTIONS))
            )
            for address in addresses
        ]


def first_messages(count: int) -> Iterator[KeysSessionRequest]:
    """M1s that cost their sender nothing: random bytes are good X25519 shares."""
    random = Random(10_000)
    for _ in range(count):
        yield KeysSessionRequest((Suite.E1,), (Aead.A256GCM,), b"", random.randbytes(32), random.randbytes(32))


class Flood:
    """Sends M1s and never an M3."""

    def __init__(self, edge: Edge, clients: list[aiohttp.ClientSession], count: int, *, returns_cookies: bool) -> None:
        self._url = edge.url + "/keysSession"
        self._clients = clients
        self._messages = first_messages(count)
        self._returns_cookies = returns_cookies
        self.answers: Counter[str] = Counter()

    async def run(self) -> None:
        workers = CONNECTIONS // len(self._clients) or 1
        await asyncio.gather(*(self._work(client) for client in self._clients for _ in range(workers)))

    async def _work(self, client: aiohttp.ClientSession) -> None:
        for m1 in self._messages:
            status, body = await self._send(client, m1)
            if status == 429:
                assert body == BUSY_BODY
                self.answers["busy"] += 1
                continue
            answer = parse_keys_session_answer(body)
            self.answers[type(answer).__name__] += 1
            if isinstance(answer, CookieChallenge) and self._returns_cookies:
                again = KeysSessionRequest(m1.suites, m1.aeads, m1.gid, m1.sn, m1.share, answer.cookie)
                status, _ = await self._send(client, again)
                self.answers["busy" if status == 429 else "KeysSessionAnswer"] += 1

    async def _send(self, client: aiohttp.ClientSession, m1: KeysSessionRequest) -> tuple[int, bytes]:
        async with client.post(self._url, data=m1.to_body()) as answer:
            return answer.status, await answer.read()


async def join_beside(flood: Flood, device: Device) -> int:
    """Join and send while the flood goes on, as patient as a slave is; how often the master was too busy for that."""
    flooding = asyncio.create_task(flood.run())
    try:
        await asyncio.sleep(0.2)
        for busy in range(HONEST_TRIES):
            try:
                await device.open_session()
                times_busy = busy
                break
            except AssertionError:
                await asyncio.sleep(0.25)
        else:
            pytest.fail("the honest device was never let in")
        assert (await device.associate()).state is MembershipState.ACTIVE
        assert (await device.send(device.record())).last_seq == 1
        await flooding
        return times_busy
    finally:
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)


async def half_open(edge: Edge) -> int:
    return int((await edge.master.ask("master.status"))["half_open"])


async def test_ten_thousand_half_open_handshakes_from_one_address_leave_room_for_the_others(edge: Edge) -> None:
    device = await edge.invited()
    before = edge.master.resident_bytes
    async with from_addresses("127.0.0.2") as clients:
        flood = Flood(edge, clients, HALF_OPEN, returns_cookies=True)
        assert await join_beside(flood, device) == 0, "one address alone makes nobody else wait"
    assert sum(flood.answers.values()) >= HALF_OPEN
    assert flood.answers["KeysSessionAnswer"] <= LIMITS.half_open_per_address_max
    assert await half_open(edge) <= LIMITS.half_open_per_address_max
    assert edge.master.resident_bytes - before < GROWTH_MAX_BYTES


async def test_ten_thousand_half_open_handshakes_from_many_addresses_are_bounded(edge: Edge) -> None:
    """Senders of forged addresses see no cookie: above the threshold they open nothing, and the honest device joins."""
    device = await edge.invited()
    before = edge.master.resident_bytes
    async with from_addresses(*(f"127.0.1.{number}" for number in range(1, 17))) as clients:
        flood = Flood(edge, clients, HALF_OPEN, returns_cookies=False)
        await join_beside(flood, device)
    assert sum(flood.answers.values()) == HALF_OPEN
    assert flood.answers["CookieChallenge"] > 0
    assert await half_open(edge) <= LIMITS.cookie_threshold
    assert edge.master.resident_bytes - before < GROWTH_MAX_BYTES


async def test_half_open_handshakes_succeed_against_the_papers_flow(paper: PapersFlow) -> None:
    """A session for each id that is asked for, kept for ever; and it takes the honest device's place."""
    honest = await paper.client.share_session_key(paper.device)
    request = KeySessionRequest.decode(prepare_key_session_request(paper.attacker))
    ids = [number.to_bytes(2, "big") for number in range(100)] + [paper.device.object_id]

    for object_id in ids:
        await paper.client.exchange(KEY_SESSION_PATH, KeySessionRequest(request.slave_rsa_pem, object_id).encode())

    assert set(ids) <= set(paper.master._sessions)
    assert paper.master._sessions[paper.device.object_id] != honest
