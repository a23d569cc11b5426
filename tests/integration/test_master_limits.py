"""Load is bounded, and told apart from refusal (docs/protocol.md §2)."""

import asyncio
import json
from pathlib import Path

import pytest

from group_protocol.messages import BUSY_BODY
from tests.support.failing_store import failing_commits
from tests.support.running_master import Bench, running_master

pytestmark = pytest.mark.network


def m1(bench: Bench, number: int = 30) -> bytes:
    return bench.device(number).begin().start().to_body()


async def test_handshakes_over_the_rate_are_told_to_come_later(tmp_path: Path) -> None:
    async with running_master(tmp_path, handshakes_per_address_burst=3, handshakes_per_address_per_s=0.5) as bench:
        for _ in range(3):
            assert (await bench.post("/keysSession", m1(bench)))[0] == 200
        async with bench.http.post(bench.url + "/keysSession", data=m1(bench)) as answer:
            assert (answer.status, await answer.read()) == (429, BUSY_BODY)
            assert answer.headers["Retry-After"] == "2"
        bench.clock.advance(2)
        assert (await bench.post("/keysSession", m1(bench)))[0] == 200


async def test_half_open_sessions_of_an_address_are_bounded_and_end_after_thirty_seconds(tmp_path: Path) -> None:
    async with running_master(tmp_path, half_open_per_address_max=2) as bench:
        for _ in range(2):
            assert (await bench.post("/keysSession", m1(bench)))[0] == 200
        assert await bench.post("/keysSession", m1(bench)) == (429, BUSY_BODY)
        bench.clock.advance(30)
        assert (await bench.post("/keysSession", m1(bench)))[0] == 200


async def test_full_session_table_admits_its_own_devices_and_tells_others_to_come_later(tmp_path: Path) -> None:
    async with running_master(tmp_path, sessions_max=1) as bench:
        device = await bench.joined_device(5)
        _, m3 = await bench.device(6, code=await bench.make_code()).ask_for_keys()
        assert await bench.post("/getTicket", m3.to_body()) == (429, BUSY_BODY)
        await device.open_session()
        bench.clock.advance(86_400)
        await bench.device(6, code=await bench.make_code()).open_session()


async def test_connection_over_the_bound_is_closed_and_room_comes_back(tmp_path: Path) -> None:
    async with running_master(tmp_path, connections_per_address_max=2) as bench:
        host, port = bench.url.removeprefix("http://").split(":")
        held = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection(host, int(port))
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        for _, held_writer in held:
            held_writer.close()
            await held_writer.wait_closed()
        await asyncio.sleep(0.05)
        async with bench.http.get(bench.url + "/healthz") as answer:
            assert answer.status == 200


async def test_connection_that_says_nothing_is_closed(tmp_path: Path) -> None:
    async with running_master(tmp_path, idle_timeout_s=0.2) as bench:
        host, port = bench.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /data HTTP/1.1\r\nHost")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_failing_store_at_m3_is_told_as_load(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = bench.device(5, code=await bench.make_code())
        _, m3 = await device.ask_for_keys()
        with failing_commits(bench.store):
            assert await bench.post("/getTicket", m3.to_body()) == (429, BUSY_BODY)
        await device.open_session()


async def test_refusals_are_audited_at_a_bounded_rate(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        before = int(str((await bench.operations.verify_audit())["entries"]))
        for _ in range(60):
            assert (await bench.post("/data", b"{}"))[0] == 400
        await bench.store.write(lambda _: None)  # refusals are written without waiting: the writer works in order
        after = int(str((await bench.operations.verify_audit())["entries"]))
        assert after - before == 20
        assert bench.context.refusals.totals["DecodingError"] == 60


async def test_health_is_good_and_names_the_part_that_fails(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        async with bench.http.get(bench.url + "/healthz") as answer:
            assert (answer.status, json.loads(await answer.read())["status"]) == (200, "ok")
        bench.registry.is_reachable = False
        bench.clock.advance(1)
        async with bench.http.get(bench.url + "/healthz") as answer:
            health = json.loads(await answer.read())
            assert (answer.status, health["status"]) == (503, "degraded")
            assert health["parts"]["store"] == "ok"
            assert "cannot be reached" in health["parts"]["registry"]


async def test_health_of_a_master_without_group_says_so(tmp_path: Path) -> None:
    async with running_master(tmp_path, has_group=False) as bench, bench.http.get(bench.url + "/healthz") as answer:
        assert answer.status == 503
        assert json.loads(await answer.read())["parts"]["group"] == "no group was created yet"


async def test_openapi_document_is_served(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, bench.http.get(bench.url + "/openapi.json") as answer:
        document = json.loads(await answer.read())
        assert document["openapi"] == "3.1.0"
        assert set(document["paths"]) >= {"/keysSession", "/getTicket", "/assoc", "/rotate", "/data"}
