"""What Prometheus gets of each program, in its own text format, read by its own parser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from chain_gateway.service.backend import open_backend
from chain_gateway.service.config import ServiceConfig
from chain_gateway.service.metrics import GatewayMetrics
from group_protocol.errors import ConfigurationError
from group_protocol.identifiers import derive_object_id
from master_api.metrics import MasterMetrics
from slave_client.metrics import SlaveMetrics
from slave_client.state_directory import StateDirectory
from system_ports.metrics import Collect, metrics_endpoint
from tests.support.running_master import MASTER_KEY, payload, running_master
from tests.support.slave_bench import ListSensor, SlaveBench

pytestmark = pytest.mark.network


@asynccontextmanager
async def scraped(collect: Collect) -> AsyncIterator[dict[str, float]]:
    async with metrics_endpoint("127.0.0.1:0", collect) as port, aiohttp.ClientSession() as http:
        async with http.get(f"http://127.0.0.1:{port}/metrics") as answer:
            assert answer.status == 200
            text = await answer.text()
        async with http.get(f"http://127.0.0.1:{port}/") as answer:
            assert answer.status == 404
    yield {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_master_counts_what_it_took_and_what_it_refused(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        await device.send(device.record(), device.record())
        await device.send(device.record(content=b"\x00"))
        await bench.post("/assoc", b"{}")
        service = bench.service
        async with scraped(MasterMetrics(service.context, service.health, service.taken).collect) as seen:
            assert seen["vgroup_records_committed_total"] == 2
            assert seen["vgroup_records_refused_total MALFORMED"] == 1
            assert seen["vgroup_peers_refused_total DecodingError"] == 1
            assert (seen["vgroup_devices ACTIVE"], seen["vgroup_devices REVOKED"]) == (1, 0)
            assert (seen["vgroup_sessions"], seen["vgroup_streams"]) == (1, 0)
            assert seen["vgroup_health store"] == 1
            assert seen["process_resident_memory_bytes"] > 1_000_000


async def test_master_without_a_group_says_that_this_part_is_not_well(tmp_path: Path) -> None:
    async with running_master(tmp_path, has_group=False) as bench:
        service = bench.service
        async with scraped(MasterMetrics(service.context, service.health, service.taken).collect) as seen:
            assert seen["vgroup_health group"] == 0
            assert "vgroup_group_epoch" not in seen


async def test_slave_tells_of_its_buffer_and_its_sensors(tmp_path: Path) -> None:
    async with running_master(tmp_path / "master") as bench:
        with StateDirectory(tmp_path / "slave") as directory:
            slave = SlaveBench(directory, bench, 7)
            slave.pair(await bench.make_code())
            buffer = await slave.open_buffer()
            buffer.append(payload(1.0), derive_object_id(MASTER_KEY.address), readings=1)
            await buffer.commit()
            await buffer.close()
            daemon = await slave.daemon(ListSensor([1.0]))
            async with scraped(SlaveMetrics(daemon).collect) as seen:
                assert seen["vgroup_state stopped"] == 1
                assert seen["vgroup_buffer_records"] == 1
                assert seen["vgroup_buffer_max_bytes"] > seen["vgroup_buffer_bytes"] > 0


async def test_gateway_tells_of_its_chain(tmp_path: Path) -> None:
    async with open_backend(ServiceConfig(tmp_path)) as backend, scraped(GatewayMetrics(backend).collect) as seen:
        assert seen["vgroup_chain_height"] >= 1
        assert seen["vgroup_health contract"] == 1
        assert seen["vgroup_acts_waiting"] == 0


async def test_address_that_is_taken_is_named(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        service = bench.service
        collect = MasterMetrics(service.context, service.health, service.taken).collect
        async with metrics_endpoint("127.0.0.1:0", collect) as port:
            with pytest.raises(ConfigurationError, match="for metrics"):
                async with metrics_endpoint(f"127.0.0.1:{port}", collect):
                    pass


async def test_no_address_is_no_endpoint() -> None:
    async def collect() -> list[object]:
        raise AssertionError

    async with metrics_endpoint("", collect) as port:  # type: ignore[arg-type]
        assert port is None
