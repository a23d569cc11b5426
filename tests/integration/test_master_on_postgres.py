"""The master's store on a real PostgreSQL: the same promises as on SQLite."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text

from group_protocol.errors import Reason, StoreError
from group_protocol.tickets import MembershipState
from master_api.store.store import Store
from tests.support.fake_registry import FakeRegistry
from tests.support.postgres import running_postgres
from tests.support.running_master import Bench, running_master
from tests.support.seeded import ManualClock

pytestmark = [pytest.mark.network, pytest.mark.processes]


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture
def store_url(server_url: str) -> str:
    engine = create_engine(server_url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return server_url


@pytest.fixture
async def bench(tmp_path: Path, store_url: str) -> AsyncIterator[Bench]:
    async with running_master(tmp_path, store_url=store_url) as running:
        yield running


async def test_records_are_stored_once_in_order_and_verify(bench: Bench) -> None:
    device = await bench.joined_device(5)
    records = [device.record() for _ in range(20)]
    assert (await device.send(*records)).last_seq == 20
    assert (await device.send(*records[10:], device.record())).last_seq == 21
    verified = await bench.operations.verify_records()
    assert (verified["good"], verified["bad"]) == (21, 0)


async def test_many_devices_at_once_are_enrolled_and_heard(bench: Bench) -> None:
    devices = await asyncio.gather(*(bench.joined_device(number) for number in range(5, 25)))
    acks = await asyncio.gather(*(device.send(device.record(), device.record()) for device in devices))
    assert {ack.last_seq for ack in acks} == {2}
    assert (await bench.operations.verify_records())["good"] == 40
    assert (await bench.operations.verify_audit())["entries"] != 0


async def test_altered_payload_is_found_and_named(bench: Bench, store_url: str) -> None:
    device = await bench.joined_device(5)
    await device.send(device.record(), device.record())
    engine = create_engine(store_url)
    with engine.begin() as connection:
        changed = connection.execute(text("UPDATE records SET payload = payload || '\\x00'::bytea WHERE seq = 2"))
        assert changed.rowcount == 1
    engine.dispose()
    verified = await bench.operations.verify_records()
    assert (verified["good"], verified["bad"]) == (1, 1)


async def test_restart_keeps_everything(tmp_path: Path, store_url: str) -> None:
    clock = ManualClock()
    registry = FakeRegistry(clock.now_unix_s)
    async with running_master(tmp_path, registry=registry, clock=clock, store_url=store_url) as bench:
        device = await bench.joined_device(5)
        await device.send(device.record())
    async with running_master(tmp_path, registry=registry, clock=clock, store_url=store_url) as bench:
        device.bench, device.code = bench, None
        ticket = await device.open_session()
        assert (ticket.state, ticket.last_seq) == (MembershipState.ACTIVE, 1)
        assert (await device.send(device.record())).reason is Reason.NONE


def test_store_connects_anew_after_the_server_has_ended_its_connections(store_url: str) -> None:
    def session(connection: Connection) -> int:
        return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())

    store = Store(store_url)
    try:
        first = store.write_now(session)
        assert store.write_now(session) == first, "the writer keeps its connection"
        engine = create_engine(store_url)
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": first})
        engine.dispose()
        with pytest.raises(StoreError):
            store.write_now(session)
        assert store.write_now(session) != first
    finally:
        store.close()
