"""Finding a real master by hints, among liars: only its key decides."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from aiohttp import web

from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import UnknownMasterError
from group_protocol.identifiers import Address
from group_protocol.messages import REFUSAL_BODY
from slave_client.config import SlaveConfig
from slave_client.device_state import JoinStep
from slave_client.errors import MasterUnreachableError, NotAdmittedError
from slave_client.finding.diagnosis import look_at_master
from slave_client.finding.finder import MasterFinder, Search
from slave_client.finding.places import Place, Way
from slave_client.finding.proving import PROOF_S
from slave_client.finding.search import Sighting, listen_for_masters
from slave_client.joining import Joining
from system_ports.findings import Finding, Level
from tests.support.running_master import MASTER_KEY, Bench, running_master
from tests.support.seeded import SeededRandom
from tests.support.slave_bench import OFFER, SlaveBench, paired_slave
from tests.support.waiting import until

pytestmark = pytest.mark.network

NOBODY = Place("127.0.0.1", 1)
"""A port that nothing listens on."""
STRANGER = Address(PrivateKey.from_secret(bytes.fromhex("33" * 32)).address)


class Air:
    """What mDNS tells; counts how often it was listened to."""

    def __init__(self, *sightings: Sighting) -> None:
        self.sightings = list(sightings)
        self.searches = 0

    def __call__(self) -> AsyncGenerator[Sighting, None]:
        self.searches += 1
        return self._tell()

    async def _tell(self) -> AsyncGenerator[Sighting, None]:
        for sighting in self.sightings:
            yield sighting
            await asyncio.sleep(0)


def told(*places: Place, master: Address = MASTER_KEY.address) -> Sighting:
    return Sighting("vgroup", master, places)


def finder(slave: SlaveBench, search: Search | None) -> MasterFinder:
    return MasterFinder(OFFER.suites, slave.random, slave.steps.append, search)


async def join(slave: SlaveBench, search: Search | None) -> Joining:
    joining = slave.joining()
    async with finder(slave, search).session(joining) as (transport, opened):
        await joining.associate(transport, opened)
    return joining


def move_away(slave: SlaveBench) -> Place:
    """The pairing string names a place where nobody is; answers the master's."""
    real = Place("127.0.0.1", slave.port)
    slave.store.store_state(replace(slave.state, host=NOBODY.host, port=NOBODY.port))
    return real


Answer = Callable[[str, bytes], Awaitable[web.Response]]


@asynccontextmanager
async def liar(answer: Answer | None, host: str = "127.0.0.1") -> AsyncIterator[tuple[Place, list[str]]]:
    """Somebody who listens and answers so, or never; the place, and the paths that he was asked for."""
    asked: list[str] = []
    gone = asyncio.Event()

    async def handle(request: web.BaseRequest) -> web.Response:
        asked.append(request.path)
        if answer is None:
            await gone.wait()
            return web.Response()
        return await answer(request.path, await request.read())

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, host, 0).start()
    try:
        yield Place("127.0.0.1", runner.addresses[0][1]), asked
    finally:
        gone.set()
        await runner.cleanup()


async def refuse(_path: str, _body: bytes) -> web.Response:
    return web.Response(status=400, body=REFUSAL_BODY)


async def babble(_path: str, _body: bytes) -> web.Response:
    return web.Response(body=b'{"hello": "world"}')


async def plead_busy(_path: str, _body: bytes) -> web.Response:
    return web.Response(status=429, headers={"Retry-After": "300"})


def relay_until_the_proof(bench: Bench) -> Answer:
    """He passes M1 and M2 on, so that the master's proof comes through him, and then refuses."""

    async def answer(path: str, body: bytes) -> web.Response:
        if path != "/keysSession":
            return await refuse(path, body)
        return web.Response(body=await bench.exchange(path, body))

    return answer


def replay_a_proof(bench: Bench) -> Answer:
    """He answers with an M2 that the master gave to somebody else."""

    async def answer(_path: str, _body: bytes) -> web.Response:
        m1 = bench.device(9).begin().start()
        return web.Response(body=await bench.exchange("/keysSession", m1.to_body()))

    return answer


async def test_master_that_moved_is_found_by_a_hint_and_looked_for_there_first_the_next_time(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        real = move_away(slave)
        air = Air(told(real))
        joining = await join(slave, air)
        assert joining.reached == (real, Way.MDNS)
        assert (slave.state.step, slave.state.last_place) == (JoinStep.ASSOCIATED, real)
        assert (slave.state.host, slave.state.port) == (NOBODY.host, NOBODY.port), "the user's word stays"
        again = await join(slave, air)
        assert again.reached == (real, Way.LAST)
        assert air.searches == 1


async def test_typed_place_that_works_is_all_that_is_asked(tmp_path: Path) -> None:
    async with (
        running_master(tmp_path) as bench,
        paired_slave(tmp_path, bench) as slave,
        liar(refuse) as (false, asked),
    ):
        slave.store.store_state(replace(slave.state, last_place=false))
        air = Air(told(false))
        joining = await join(slave, air)
        assert joining.reached == (Place("127.0.0.1", slave.port), Way.TYPED)
        assert (air.searches, asked) == (0, [])


@pytest.mark.parametrize("how", ["silent", "refusing", "babbling", "busy", "replaying", "relaying"])
async def test_liar_who_advertises_our_masters_address_costs_a_try_and_the_master_is_found(
    tmp_path: Path, how: str
) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        answers: dict[str, Answer | None] = {
            "silent": None,
            "refusing": refuse,
            "babbling": babble,
            "busy": plead_busy,
            "replaying": replay_a_proof(bench),
            "relaying": relay_until_the_proof(bench),
        }
        async with liar(answers[how]) as (false, asked):
            real = move_away(slave)
            async with asyncio.timeout(PROOF_S + 5.0):
                joining = await join(slave, Air(told(false), told(false, real)))
            assert joining.reached == (real, Way.MDNS)
            assert slave.state.last_place == real
            assert asked.count("/keysSession") <= (2 if how == "relaying" else 1)
            further = {"relaying": {"/getTicket"}, "replaying": {"/succession"}}
            assert set(asked) <= {"/keysSession"} | further.get(how, set())


async def test_crowd_of_liars_is_asked_a_bounded_number_of_times(tmp_path: Path) -> None:
    async with (
        running_master(tmp_path) as bench,
        paired_slave(tmp_path, bench) as slave,
        liar(refuse, host="0.0.0.0") as (false, asked),  # noqa: S104 - it stands for many addresses of loopback
    ):
        move_away(slave)
        crowd = [told(replace(false, host=f"127.0.1.{number}")) for number in range(1, 200)]
        with pytest.raises(MasterUnreachableError):
            await join(slave, Air(*crowd, *crowd))
        assert 0 < len(asked) <= 64
        assert slave.state.last_place is None


async def test_other_masters_in_sight_are_asked_last_and_not_believed(tmp_path: Path) -> None:
    async with (
        running_master(tmp_path) as bench,
        paired_slave(tmp_path, bench) as slave,
        liar(refuse) as (false, asked),
    ):
        move_away(slave)
        with pytest.raises(MasterUnreachableError, match=r"nor is it at .*told by mDNS"):
            await join(slave, Air(told(false, master=STRANGER)))
        assert asked == ["/keysSession"]


async def test_another_master_at_the_typed_place_is_named_beside_ours(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        slave.store.store_state(replace(slave.state, master=STRANGER))
        with pytest.raises(UnknownMasterError) as caught:
            await join(slave, Air())
        assert f"this is master 0x{MASTER_KEY.address.hex()}, not 0x{STRANGER.hex()}" in str(caught.value)
        assert slave.state.step is JoinStep.PAIRED


async def test_another_master_at_the_typed_place_keeps_nobody_from_the_right_one(tmp_path: Path) -> None:
    async with (
        running_master(tmp_path) as bench,
        paired_slave(tmp_path, bench) as slave,
        liar(refuse) as (false, _asked),
    ):
        real = move_away(slave)
        slave.store.store_state(replace(slave.state, host=false.host, port=false.port))
        assert (await join(slave, Air(told(real)))).reached == (real, Way.MDNS)


async def test_without_mdns_nobody_is_listened_to(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        move_away(slave)
        with pytest.raises(MasterUnreachableError) as caught:
            await join(slave, None)
        assert "mDNS" not in str(caught.value)


async def test_code_that_the_master_does_not_take_is_not_carried_around(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        slave.store.store_state(replace(slave.state, code=bytes(16)))
        air = Air(told(Place("127.0.0.1", slave.port)))
        with pytest.raises(NotAdmittedError):
            await join(slave, air)
        assert air.searches == 0


async def look(slave: SlaveBench, search: Search) -> dict[str, Finding]:
    config = SlaveConfig(slave.directory.path)
    return {one.question: one for one in await look_at_master(slave.state, config, SeededRandom(3), search)}


async def test_doctor_says_by_which_way_the_master_was_found_and_what_else_was_tried(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        real = move_away(slave)
        found = await look(slave, Air(told(real)))
        assert found["master"].level is Level.GOOD
        assert found["master"].answer == f"{real} (told by mDNS) has proved to be 0x{MASTER_KEY.address.hex()}"
        assert found["address"].answer.startswith(f"{NOBODY} (typed): no connection")


async def test_doctor_that_finds_no_master_lists_every_place(tmp_path: Path) -> None:
    async with (
        running_master(tmp_path) as bench,
        paired_slave(tmp_path, bench) as slave,
        liar(babble) as (false, _asked),
    ):
        move_away(slave)
        found = await look(slave, Air(told(false)))
        assert found["master"].level is Level.BAD
        assert found["address"].answer.startswith(f"{false} (told by mDNS): ")
        nothing = await look(slave, Air())
        assert "vgroup slave find" in nothing["mDNS"].remedy


@pytest.mark.processes
async def test_search_ends_by_itself_in_good_order(caplog: pytest.LogCaptureFixture) -> None:
    async for sighting in listen_for_masters(0.5):
        assert sighting.places is not None
    assert "child process" not in caplog.text


@pytest.mark.processes
async def test_search_that_is_given_up_leaves_no_process() -> None:
    before = set(children())
    search = listen_for_masters(60.0)
    hearing = asyncio.create_task(anext(search))
    await until(lambda: bool(set(children()) - before))
    hearing.cancel()
    await asyncio.wait({hearing})
    await search.aclose()
    assert set(children()) - before == set()


def children() -> list[int]:
    """Of this process, by their ids."""
    return [child.pid for child in psutil.Process().children()]
