"""Somebody else as the master's next key: a device follows nobody whom its pinned master did not name itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import UnknownMasterError
from group_protocol.handshake import MasterHandshake, MasterPolicy
from group_protocol.identifiers import Address, GroupId
from group_protocol.messages import KeysSessionRequest
from group_protocol.ports import RegistryIdentity
from group_protocol.succession import MasterChange, Succession, SuccessionRequest
from group_protocol.suites import Suite
from group_protocol.typed_data import TypedDataDomain
from slave_client.state_directory import StateDirectory
from tests.attacks.edge import REFUSED, Edge
from tests.support.running_master import MASTER_KEY, device_key
from tests.support.seeded import SeededRandom
from tests.support.slave_bench import SlaveBench

pytestmark = [pytest.mark.network, pytest.mark.processes]

THIEF = PrivateKey.from_secret(b"\x66" * 32)
NEXT, OTHER = device_key(7_001), device_key(7_002)


class Impostor:
    """Listens in the master's place with a key of its own, and shows whatever succession it has."""

    def __init__(self, key: PrivateKey) -> None:
        self.key = key
        self.succession: Succession | None = None
        self.paths: list[str] = []
        self.url = ""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        self.paths.append(request.path)
        if request.path == "/succession" and self.succession is not None:
            return web.Response(body=self.succession.to_body(), content_type="application/json")
        if request.path == "/keysSession":
            policy = MasterPolicy(GroupId(KeysSessionRequest.from_body(body).gid or bytes(16)), frozenset(Suite))
            _, m2 = MasterHandshake.answer(
                KeysSessionRequest.from_body(body), key=self.key, policy=policy, random=SeededRandom(9)
            )
            return web.Response(body=m2.to_body(), content_type="application/json")
        return web.Response(status=400, body=REFUSED.body, content_type="application/json")

    async def exchange(self, _path: str, _body: bytes) -> bytes:
        raise NotImplementedError


@asynccontextmanager
async def listening(key: PrivateKey) -> AsyncIterator[Impostor]:
    impostor = Impostor(key)
    runner = web.ServerRunner(web.Server(impostor.handle))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        impostor.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield impostor
    finally:
        await runner.cleanup()


def signed(domain: TypedDataDomain, gid: GroupId, old: PrivateKey, new: PrivateKey) -> MasterChange:
    digest = domain.master_rotation_digest(gid, new.address, 1_800_000_000)
    return MasterChange(new.address, 1_800_000_000, old.sign_digest(digest), new.sign_digest(digest))


async def attack(edge: Edge, folder: Path, key: PrivateKey, *steps: tuple[PrivateKey, PrivateKey]) -> list[str]:
    """A member that meets the impostor after these changes of key. Answers what it asked; it stays where it was."""
    with StateDirectory(folder / "slave") as directory:
        slave = SlaveBench(directory, edge, next(edge.master.numbers))
        slave.pair(await edge.master.make_code())
        await slave.join()
        before, place = slave.state, slave.state.enrolment
        assert place is not None
        identity = RegistryIdentity(place.chain_id, place.contract)
        async with listening(key) as impostor:
            domain = TypedDataDomain(identity)
            changes = tuple(signed(domain, place.gid, old, new) for old, new in steps)
            impostor.succession = Succession(place.gid, identity, changes)
            slave.port = int(impostor.url.rpartition(":")[2])
            with pytest.raises(UnknownMasterError):
                await slave.join()
            assert slave.state == before
            return impostor.paths


async def test_succession_that_a_stranger_signed_is_not_followed(edge: Edge, tmp_path: Path) -> None:
    assert "/getTicket" not in await attack(edge, tmp_path, THIEF, (THIEF, THIEF))


async def test_succession_signed_by_a_stolen_devices_key_is_not_followed(edge: Edge, tmp_path: Path) -> None:
    thing = await edge.member()
    assert "/getTicket" not in await attack(edge, tmp_path, THIEF, (thing.key, THIEF))


async def test_true_succession_is_of_no_use_to_whoever_has_not_the_new_key(edge: Edge, tmp_path: Path) -> None:
    """The statement is public. M2 has to be signed by the key that it names."""
    assert "/getTicket" not in await attack(edge, tmp_path, THIEF, (MASTER_KEY, NEXT))


async def test_older_succession_replayed_to_a_device_that_knows_the_newer_key_is_not_followed(
    edge: Edge, tmp_path: Path
) -> None:
    """From its pin no older statement leads anywhere: rolling back would take the present key's signature."""
    assert "/getTicket" not in await attack(edge, tmp_path, NEXT, (OTHER, MASTER_KEY), (MASTER_KEY, NEXT))
    assert "/getTicket" not in await attack(edge, tmp_path / "again", OTHER, (OTHER, MASTER_KEY))


async def test_succession_of_another_group_or_contract_is_not_followed(edge: Edge, tmp_path: Path) -> None:
    with StateDirectory(tmp_path / "slave") as directory:
        slave = SlaveBench(directory, edge, next(edge.master.numbers))
        slave.pair(await edge.master.make_code())
        await slave.join()
        place = slave.state.enrolment
        assert place is not None
        true = RegistryIdentity(place.chain_id, place.contract)
        for gid, identity in (
            (GroupId(b"\x61" * 16), true),
            (place.gid, RegistryIdentity(place.chain_id + 1, place.contract)),
            (place.gid, RegistryIdentity(place.chain_id, Address(b"\x0c" * 20))),
        ):
            async with listening(NEXT) as impostor:
                change = signed(TypedDataDomain(identity), gid, MASTER_KEY, NEXT)
                impostor.succession = Succession(gid, identity, (change,))
                slave.port = int(impostor.url.rpartition(":")[2])
                with pytest.raises(UnknownMasterError):
                    await slave.join()
                assert "/getTicket" not in impostor.paths


async def test_master_tells_of_no_succession_that_there_is_not(edge: Edge) -> None:
    async with edge.master.unchanged():
        for asked in (MASTER_KEY.address, THIEF.address):
            assert await edge.ask("/succession", SuccessionRequest(asked).to_body()) == REFUSED
        assert await edge.ask("/succession", b"{}") == REFUSED
