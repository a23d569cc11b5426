"""``vgroup slave`` as a user runs it, in processes of its own, against a running master."""

import asyncio
import json
import os
import random
import signal
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from group_protocol.exit_codes import ExitCode
from group_protocol.pairing import PairingString
from tests.support.running_master import MASTER_KEY, Bench, running_master

pytestmark = [pytest.mark.network, pytest.mark.processes]

RECORDING = "".join(f"{500 + number % 100}\n" for number in range(400))


@dataclass
class Outcome:
    status: int
    output: str
    errors: str

    @property
    def fields(self) -> dict[str, object]:
        fields = json.loads(self.output)
        assert isinstance(fields, dict)
        return fields


async def start(folder: Path, *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "vgroup",
        "slave",
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "VGROUP_SLAVE_DIR": str(folder / "slave"), "COLUMNS": "200"},
        cwd=Path(__file__).parents[2],
    )


async def slave(folder: Path, *words: str) -> Outcome:
    process = await start(folder, *words)
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert "Traceback" not in errors.decode(), errors.decode()[-3000:]
    return Outcome(process.returncode or 0, output.decode(), errors.decode())


async def pairing_text(bench: Bench) -> str:
    port = urlsplit(bench.url).port or 0
    return PairingString(MASTER_KEY.address, await bench.make_code(), "127.0.0.1", port).to_text()


async def until_file(path: Path) -> None:
    async with asyncio.timeout(30):
        while not path.exists():  # noqa: ASYNC110, ASYNC240 - another process makes the file
            await asyncio.sleep(0.02)


async def test_device_joins_replays_a_recording_rotates_and_shows_its_status(tmp_path: Path) -> None:
    recording = tmp_path / "pulse.csv"
    recording.write_text(RECORDING)
    async with running_master(tmp_path) as bench:
        joined = await slave(tmp_path, "join", await pairing_text(bench), "--json")
        assert joined.status == ExitCode.OK
        assert joined.fields["join_step"] == "associated"

        ran = await slave(tmp_path, "run", "--sensor", f"replay:{recording},rate_hz=100", "--speed", "50")
        assert (ran.status, ran.output) == (ExitCode.OK, "")
        assert ran.errors.split() == ["connecting", "joining", "streaming", "stopped"]

        shown = (await slave(tmp_path, "status", "--json")).fields
        assert (shown["state"], shown["is_running"]) == ("stopped", False)
        assert shown["readings"] == shown["readings_acknowledged"] == 400
        assert shown["object_id"] == joined.fields["object_id"]

        rotated = await slave(tmp_path, "rotate", "--json")
        assert rotated.status == ExitCode.OK
        assert rotated.fields["object_id"] == joined.fields["object_id"]
        assert rotated.fields["address"] != joined.fields["address"]

        again = await slave(tmp_path, "join", await pairing_text(bench))
        assert again.status == ExitCode.OK
        assert (await bench.operations.verify_records())["is_good"]


@pytest.mark.parametrize(("which", "expected"), [(signal.SIGTERM, ExitCode.OK), (signal.SIGINT, ExitCode.INTERRUPTED)])
async def test_running_device_that_is_stopped_delivers_and_exits(
    tmp_path: Path, which: signal.Signals, expected: ExitCode
) -> None:
    ready, status = tmp_path / "ready", tmp_path / "status.json"
    async with running_master(tmp_path) as bench:
        await slave(tmp_path, "join", await pairing_text(bench))
        process = await start(
            tmp_path, "run", "--sensor", "psutil:load,period_s=0.05",
            "--ready-file", str(ready), "--status-file", str(status),
        )  # fmt: skip
        await until_file(ready)
        shown = (await slave(tmp_path, "status", "--json", "--status-file", str(status))).fields
        assert (shown["state"], shown["is_running"]) == ("streaming", True)
        busy = await slave(tmp_path, "run", "--sensor", "psutil")
        assert busy.status == ExitCode.USAGE
        assert "another process" in busy.errors
        process.send_signal(which)
        _, errors = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == expected
        assert b"Traceback" not in errors
        final = json.loads(status.read_bytes())
        assert final["state"] == "stopped"
        assert final["readings"] == final["readings_acknowledged"] > 0


async def test_revoked_device_exits_as_refused_and_says_so_ever_after(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    async with running_master(tmp_path) as bench:
        joined = await slave(tmp_path, "join", await pairing_text(bench), "--json")
        process = await start(tmp_path, "run", "--sensor", "psutil:load,period_s=0.05", "--ready-file", str(ready))
        await until_file(ready)
        await bench.operations.revoke_device(str(joined.fields["object_id"]))
        _, errors = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == ExitCode.REFUSED
        assert b"revoked" in errors
        assert (await slave(tmp_path, "run", "--sensor", "psutil")).status == ExitCode.REFUSED
        assert (await slave(tmp_path, "status", "--json")).fields["state"] == "revoked"


async def test_files_of_a_device_are_private(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        await slave(tmp_path, "join", await pairing_text(bench))
        folder = tmp_path / "slave"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("seed", range(3))
async def test_join_that_is_killed_at_a_random_instant_is_finished_by_the_next_one(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    async with running_master(tmp_path) as bench:
        text = await pairing_text(bench)
        for _ in range(3):
            process = await start(tmp_path, "join", text)
            await asyncio.sleep(source.uniform(0.3, 1.0))
            if process.returncode is None:
                process.kill()
            await process.wait()
        joined = await slave(tmp_path, "join", text, "--json")
        assert joined.status == ExitCode.OK, joined
        assert joined.fields["join_step"] == "associated"
        devices = (await bench.operations.list_devices())["devices"]
        assert isinstance(devices, list)
        assert [device["oid"] for device in devices] == [joined.fields["object_id"]]


async def test_master_that_is_not_there_exits_as_unavailable(tmp_path: Path) -> None:
    nobody = PairingString(MASTER_KEY.address, b"c" * 16, "127.0.0.1", 1).to_text()
    outcome = await slave(tmp_path, "join", "--patience-s", "0", nobody)
    assert outcome.status == ExitCode.UNAVAILABLE
    assert "no connection" in outcome.errors


async def test_key_file_that_others_can_read_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        await slave(tmp_path, "join", await pairing_text(bench))
    (tmp_path / "slave" / "device.json").chmod(0o644)
    outcome = await slave(tmp_path, "run", "--sensor", "psutil")
    assert outcome.status == ExitCode.USAGE
    assert "chmod 600" in outcome.errors
