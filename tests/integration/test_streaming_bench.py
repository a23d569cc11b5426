"""The streaming benchmark on a small scale: devices, master and store as they ship, under both evidence policies."""

from pathlib import Path

import pytest

from benchmarks.mqtt.certificates import make_certificates
from benchmarks.streaming.crowd import run_crowd
from benchmarks.streaming.floods import FLOODS, run_flood
from benchmarks.streaming.gathered_records import percentile_ms
from benchmarks.streaming.payloads import READING_BYTES, make_payloads
from group_protocol.senml import count_readings


@pytest.mark.parametrize("flood", [FLOODS[0], FLOODS[-1]], ids=lambda flood: flood.evidence_policy)
async def test_every_acknowledged_record_of_a_flood_is_verified_again(tmp_path: Path, flood: object) -> None:
    run = await run_flood(flood, 2, tmp_path, devices=3)  # type: ignore[arg-type] # what FLOODS holds
    assert run.verified_records == run.acknowledged_records > 100
    assert run.readings_per_s > 0


async def test_crowd_measures_from_reading_to_ack_and_loses_nothing(tmp_path: Path) -> None:
    run = await run_crowd(5, 10.0, 2, tmp_path, settle_s=1)
    assert run.verified_records > 5 * 10 * 2 * 0.5
    assert 0 < run.p50_ms <= run.p99_ms
    assert len(run.rss_mib) == 2


@pytest.mark.parametrize("readings", [1, 10, 128])
def test_each_reading_of_a_payload_takes_64_bytes(readings: int) -> None:
    payloads = make_payloads(readings)
    assert len(set(payloads)) > 1
    assert count_readings(payloads) == [readings] * len(payloads)
    assert all(READING_BYTES * 0.95 < len(payload) / readings <= READING_BYTES for payload in payloads)


def test_percentile_counts_each_latency() -> None:
    assert percentile_ms({3: 98, 200: 1, 900: 1}, 0.5) == 4
    assert percentile_ms({3: 98, 200: 1, 900: 1}, 0.99) == 201
    assert percentile_ms({900: 1, 3: 99}, 1.0) == 901


def test_certificates_are_there_for_server_and_clients(tmp_path: Path) -> None:
    make_certificates(tmp_path, ["one"])
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"ca.pem", "server.pem", "server.key", "one.pem", "one.key"}
