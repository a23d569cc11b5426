"""What the benchmarks measure does what they say it does."""

from pathlib import Path

import pyperf
import pytest

from benchmarks.core_join import CoreMaster, CoreSlave
from benchmarks.joins import body_bytes, new_key
from benchmarks.load.attacks import NESTED, hostile_payloads
from benchmarks.load.report import write_outcomes
from benchmarks.load.scenarios import Memory, Outcome
from benchmarks.load.wire import loopback_address, post_bytes
from benchmarks.machine import describe_machine
from benchmarks.markdown import LOAD, PAGE, SPEED, write_page
from benchmarks.preparing import checkpointed_record_call, signed_record_call
from benchmarks.profiles import profile
from benchmarks.results_file import write_samples, write_table
from benchmarks.speed import Row
from group_protocol.encoding import parse_json_object
from group_protocol.errors import DecodingError
from group_protocol.limits import HANDSHAKE_BODY_MAX_BYTES
from group_protocol.senml import decode_readings
from group_protocol.suites import Suite
from group_protocol.tickets import MembershipState


@pytest.mark.parametrize("suite", list(Suite))
def test_measured_join_ends_in_membership(suite: Suite) -> None:
    master, slave = CoreMaster(), CoreSlave(suite, new_key())
    body = slave.first()
    while slave.path:
        body = slave.take(master.answer(slave.path, body))
    assert slave.state is MembershipState.ACTIVE


@pytest.mark.parametrize(("suite", "most"), [(Suite.H1, 5_500), (Suite.E1, 2_000)])
def test_bodies_of_a_join_stay_below_their_bound(suite: Suite, most: int) -> None:
    lengths = body_bytes(suite)
    assert len(lengths) == 6
    assert sum(lengths) <= most


def test_prepared_records_differ_by_their_signature() -> None:
    signed, checkpointed = signed_record_call()(), checkpointed_record_call()()
    assert isinstance(signed, bytes)
    assert isinstance(checkpointed, bytes)
    assert len(signed) - len(checkpointed) == 64


@pytest.mark.parametrize("payload", hostile_payloads(), ids=lambda payload: payload[:10].hex())
def test_hostile_payload_is_refused(payload: bytes) -> None:
    with pytest.raises(DecodingError):
        decode_readings(payload)


@pytest.mark.parametrize("body", NESTED.values(), ids=NESTED.keys())
def test_nested_body_fits_the_bound_and_is_refused(body: bytes) -> None:
    assert 8_000 < len(body) <= HANDSHAKE_BODY_MAX_BYTES
    with pytest.raises(DecodingError):
        parse_json_object(body, max_bytes=HANDSHAKE_BODY_MAX_BYTES)


def test_attackers_have_addresses_of_their_own() -> None:
    addresses = {loopback_address(number) for number in range(600)}
    assert len(addresses) == 600
    assert all(address.startswith("127.7.") for address in addresses)


def test_request_announces_its_body() -> None:
    assert post_bytes("/assoc", b"abc").endswith(b"Content-Length: 3\r\n\r\nabc")


def test_results_name_the_machine_but_no_place_on_it(tmp_path: Path) -> None:
    machine = describe_machine()
    assert {"cpu_model_name", "platform", "python_version", "version of coincurve"} <= machine.keys()
    write_samples(tmp_path / "samples.json", {"group": {"name": [1e-3, 2e-3]}}, machine)
    write_table(tmp_path / "table.json", [Row("x", 1.0, 1.0, 1.0, "×", 1.6)], machine)
    for written in tmp_path.iterdir():
        text = written.read_text("utf-8")
        assert str(Path.home()) not in text
        assert str(Path.cwd()) not in text
        assert "hostname" not in text


def test_samples_are_read_by_pyperf(tmp_path: Path) -> None:
    write_samples(tmp_path / "samples.json", {"record": {"signed": [1e-3, 3e-3]}}, describe_machine())
    suite = pyperf.BenchmarkSuite.load(str(tmp_path / "samples.json"))
    assert suite.get_benchmark("record / signed").median() == pytest.approx(2e-3)


def test_profile_names_functions_without_folders() -> None:
    text = profile(signed_record_call(), 3)
    assert "records.py" in text
    assert str(Path.cwd()) not in text


def test_page_is_written_from_the_results_that_there_are(tmp_path: Path) -> None:
    write_table(tmp_path / SPEED, [Row("signed record", 1.19, 1.17, 1.2, "×", 1.6)], describe_machine())
    memory = Memory(103.0, 110.0, 109.0, again=109.0, half_open_peak=1_024)
    outcome = Outcome("flood", 20.0, 50.0, 90.0, 7, 3, {"429": 9, "milliseconds": 2_000}, memory, joins_afterwards=True)
    write_outcomes(tmp_path / LOAD, [outcome], describe_machine())
    write_page(tmp_path)
    page = (tmp_path / PAGE).read_text("utf-8")
    assert "| signed record | 1.19 × | 1.17–1.20 | ≤ 1.60 | met |" in page
    assert "| flood | 20 ms | 50 ms | 2.5 × | 3 (7 joined) | 9 429 in 2 s | 103, 110, 109 (109) | 1024, 0 |" in page


def test_factor_of_a_scenario_in_which_nobody_joined_is_infinite() -> None:
    outcome = Outcome("flood", 20.0, 0.0, 0.0, 0, 3, {"milliseconds": 1}, Memory(1.0, 1.0), joins_afterwards=True)
    assert outcome.factor == float("inf")
    assert outcome.as_json()["factor"] is None
