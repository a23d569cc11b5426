"""``vgroup doctor`` beside real masters and devices: each fault is named, with what to do."""

import socket
from pathlib import Path

import pytest

from group_protocol.crypto.keys import PrivateKey
from group_protocol.pairing import PairingString
from master_api.admin_socket import admin_socket
from master_api.config import MasterConfig
from master_api.diagnosis import diagnose_master
from slave_client.config import SlaveConfig
from slave_client.device_state import DeviceState, JoinStep
from slave_client.diagnosis import diagnose_slave
from slave_client.keystore import KeyStore
from slave_client.state_directory import StateDirectory
from system_ports.findings import Finding, Level, compare_clocks, look_at_clock, look_at_disk, look_at_permissions
from tests.support.running_master import MASTER_KEY, Bench, running_master
from tests.support.seeded import SeededRandom
from tests.support.slave_bench import SlaveBench

pytestmark = pytest.mark.network


def by_question(findings: list[Finding]) -> dict[str, Finding]:
    return {one.question: one for one in findings}


async def joined(bench: Bench, folder: Path) -> None:
    with StateDirectory(folder) as directory:
        slave = SlaveBench(directory, bench, 7)
        slave.pair(await bench.make_code())
        await slave.join()


async def look(folder: Path) -> dict[str, Finding]:
    return by_question(await diagnose_slave(SlaveConfig(folder), SeededRandom(3)))


async def test_device_beside_its_master_is_told_that_the_master_proved_itself(tmp_path: Path) -> None:
    async with running_master(tmp_path / "master") as bench:
        await joined(bench, tmp_path / "slave")
        sessions = len(bench.context.live)
        found = await look(tmp_path / "slave")
        assert found["master"].level is Level.GOOD
        assert MASTER_KEY.address.hex() in found["master"].answer
        assert found["membership"].level is Level.GOOD
        assert found["daemon"].answer == "not running"
        assert len(bench.context.live) == sessions, "the doctor may not open a session"


async def test_device_whose_keys_cannot_be_opened_is_looked_at_without_them(tmp_path: Path) -> None:
    """The doctor has no credential of the service, and needs no key of the device."""
    async with running_master(tmp_path / "master") as bench:
        await joined(bench, tmp_path / "slave")
        (tmp_path / "slave" / "device.json").write_text('{"sealed": ""}')
        found = await look(tmp_path / "slave")
        assert found["master"].level is Level.GOOD


async def test_another_master_at_the_address_is_named_beside_the_one_that_was_pinned(tmp_path: Path) -> None:
    pinned = PrivateKey.from_secret(bytes.fromhex("77" * 32)).address
    async with running_master(tmp_path / "master") as bench:
        with StateDirectory(tmp_path / "slave") as directory:
            slave = SlaveBench(directory, bench, 7)
            slave.store.make_keys(slave.random)
            pairing = PairingString(pinned, bytes(16), "127.0.0.1", slave.port)
            state = DeviceState(JoinStep.PAIRED, pinned, pairing.host, pairing.port, pairing.code)
            slave.store.store_state(state)
        found = await look(tmp_path / "slave")
        assert found["master"].level is Level.BAD
        assert f"this is master 0x{MASTER_KEY.address.hex()}, not 0x{pinned.hex()}" in found["master"].answer
        assert found["membership"].answer == "the join is not finished: paired"


async def test_master_that_is_away_is_a_fault_with_a_remedy(tmp_path: Path) -> None:
    async with running_master(tmp_path / "master") as bench:
        await joined(bench, tmp_path / "slave")
    found = await look(tmp_path / "slave")
    assert found["master"].level is Level.BAD
    assert "vgroup master run" in found["master"].remedy


async def test_revoked_device_is_told_so(tmp_path: Path) -> None:
    async with running_master(tmp_path / "master") as bench:
        await joined(bench, tmp_path / "slave")
    with StateDirectory(tmp_path / "slave") as directory:
        store = KeyStore(directory)
        state = store.load_state()
        assert state is not None
        store.store_state(state.revoked())
    assert (await look(tmp_path / "slave"))["membership"].level is Level.BAD


async def test_device_that_was_never_paired_is_told_how(tmp_path: Path) -> None:
    found = await look(tmp_path / "nothing")
    assert found["device"].level is Level.BAD
    assert "vgroup device invite" in found["device"].remedy


async def test_running_master_tells_of_each_part_and_of_its_chain(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        config = bench.context.config
        async with admin_socket(config.admin_socket, bench.operations):
            found = by_question(await diagnose_master(config))
        assert MASTER_KEY.address.hex() in found["master"].answer
        assert {found[part].level for part in ("store", "registry", "chain", "group", "membership")} == {Level.GOOD}
        assert found["port"].level is Level.BAD, "the settings say port 0, which nobody can connect to"


async def test_running_master_without_a_group_is_told_how_to_form_one(tmp_path: Path) -> None:
    async with running_master(tmp_path, has_group=False) as bench:
        config = bench.context.config
        async with admin_socket(config.admin_socket, bench.operations):
            found = by_question(await diagnose_master(config))
        assert found["group"].level is Level.BAD
        assert "vgroup group create" in found["group"].remedy


async def test_port_that_somebody_else_holds_is_found_while_the_master_is_down(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        found = by_question(await diagnose_master(MasterConfig(tmp_path, port=other.getsockname()[1])))
    assert found["port"].level is Level.BAD
    assert found["master"].level is Level.NOTE


async def test_folder_without_a_master_is_told_how_to_make_one(tmp_path: Path) -> None:
    found = by_question(await diagnose_master(MasterConfig(tmp_path / "nothing")))
    assert found["master"].remedy == "Run: vgroup master init"


@pytest.mark.parametrize(
    ("now_unix_s", "is_synchronised", "level"),
    [(0.0, True, Level.BAD), (1.8e9, False, Level.NOTE), (1.8e9, True, Level.GOOD)],
)
def test_clock(tmp_path: Path, now_unix_s: float, *, is_synchronised: bool, level: Level) -> None:
    marker = tmp_path / "synchronized"
    if is_synchronised:
        marker.touch()
    assert look_at_clock(lambda: now_unix_s, marker).level is level


def test_clocks_that_differ_by_minutes_are_noted() -> None:
    assert compare_clocks(1_000.0, 1_010.0, "the master").level is Level.GOOD
    assert compare_clocks(1_000.0, 9_000.0, "the master").level is Level.NOTE


def test_folder_that_others_can_enter_is_a_fault(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert look_at_permissions(tmp_path).level is Level.BAD
    tmp_path.chmod(0o700)
    assert look_at_permissions(tmp_path).level is Level.GOOD


def test_full_disk_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look_at_disk(tmp_path).level is Level.GOOD
    monkeypatch.setattr("system_ports.findings.DISK_LOW_BYTES", 10**18)
    assert look_at_disk(tmp_path).level is Level.BAD
