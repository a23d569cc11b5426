"""The operator's commands against a real master process, and without one."""

import asyncio
import json
import os
import signal
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from group_protocol.exit_codes import ExitCode
from group_protocol.pairing import parse_pairing_string

pytestmark = [pytest.mark.network, pytest.mark.processes]

PROGRAM = (sys.executable, "-m", "vgroup")


class Commands:
    """Runs ``vgroup`` on one master's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("VGROUP_")} | {
            "VGROUP_MASTER_DIR": str(folder),
            "VGROUP_PASSPHRASE": "correct horse",
        }

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            *PROGRAM,
            *arguments,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await asyncio.wait_for(process.communicate(), 60)
        assert "Traceback" not in errors.decode(), errors.decode()
        return process.returncode or 0, output.decode(), errors.decode()

    async def succeed(self, *arguments: str) -> dict[str, object]:
        status, output, errors = await self.run(*arguments, "--json")
        assert status == 0, (arguments, output, errors)
        parsed: dict[str, object] = json.loads(output)
        return parsed

    @asynccontextmanager
    async def master(self, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """A running master; its ready line is in ``self.ready``."""
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, "master", "run", "--port", "0", *options, env=self.environment, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            self.ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 20) == 0


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    return Commands(tmp_path / "m")


async def test_operator_forms_a_group_invites_lists_and_verifies(commands: Commands, tmp_path: Path) -> None:
    made = await commands.succeed("master", "init", "--plain-key")
    assert stat.S_IMODE(commands.folder.stat().st_mode) == 0o700
    ready_file = tmp_path / "ready.json"
    async with commands.master("--ready-file", str(ready_file)):
        assert json.loads(ready_file.read_text()) == commands.ready
        assert commands.ready["master"] == made["master"]
        for name in ("admin.sock", "master.sqlite3", "master.key", "master.lock"):
            assert stat.S_IMODE((commands.folder / name).stat().st_mode) == 0o600, name
        group = await commands.succeed("group", "create", "ward 3")
        assert await commands.succeed("group", "show") == group
        invitation = await commands.succeed("device", "invite", "bed 1")
        pairing = parse_pairing_string(str(invitation["pairing_string"]))
        assert "0x" + pairing.master.hex() == made["master"]
        assert (pairing.host, pairing.port) == ("127.0.0.1", commands.ready["port"])
        listing = await commands.succeed("device", "list")
        assert listing["devices"] == []
        assert (await commands.succeed("records", "verify"))["is_good"] is True
        audit = await commands.succeed("audit", "verify")
        status, _, errors = await commands.run("device", "revoke", "nobody", "--yes")
        assert (status, "no device 'nobody'" in errors) == (ExitCode.REFUSED, True)
        status, _, errors = await commands.run("group", "create", "another")
        assert status == ExitCode.REFUSED
    assert not (commands.folder / "admin.sock").exists()
    assert await commands.succeed("group", "show") == group
    assert (await commands.succeed("audit", "verify", "--head", str(audit["head"])))["is_good"] is True


async def test_commands_without_a_running_master_open_the_folder_themselves(commands: Commands) -> None:
    await commands.succeed("master", "init")
    group = await commands.succeed("group", "create", "ward 3")
    assert (await commands.succeed("group", "show"))["gid"] == group["gid"]
    await commands.succeed("device", "invite", "bed 1", "--minutes", "5", "--host", "10.1.2.3", "--port", "3001")
    status, output, _ = await commands.run("records", "export")
    assert (status, output.splitlines()) == (0, ["time,time_unix_s,sensor,value,unit,sum,oid,seq"])


async def test_socket_of_a_killed_master_does_not_stand_in_the_way(commands: Commands) -> None:
    await commands.succeed("master", "init", "--plain-key")
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, "master", "run", "--port", "0", env=commands.environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readline(), 60)
    process.kill()
    await process.wait()
    assert (commands.folder / "admin.sock").exists()
    await commands.succeed("group", "create", "ward 3")
    async with commands.master():
        assert (await commands.succeed("master", "status"))["sessions"] == 0


async def test_second_master_in_the_same_folder_is_told_who_is_there(commands: Commands) -> None:
    await commands.succeed("master", "init", "--plain-key")
    async with commands.master():
        status, _, errors = await commands.run("master", "run", "--port", "0")
        assert status == ExitCode.USAGE
        assert "another vgroup process works in" in errors


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("master", "run"), "holds no master key"),
        (("group", "show"), "holds no master key"),
        (("records", "export"), "there is no store"),
        (("master", "run", "--suites", "X1"), "suites cannot be"),
        (("master", "run", "--chain", "ftp://x"), "chain cannot be"),
        (("master", "run", "--contract", "0x12"), "contract cannot be"),
    ],
)
async def test_users_mistake_gets_a_message_and_exit_code_2(
    commands: Commands, arguments: tuple[str, ...], told: str
) -> None:
    status, _, errors = await commands.run(*arguments)
    assert (status, told in errors) == (ExitCode.USAGE, True), errors


async def test_loose_key_file_and_wrong_passphrase_are_refused_with_a_remedy(commands: Commands) -> None:
    await commands.succeed("master", "init")
    key_file = commands.folder / "master.key.json"
    commands.environment["VGROUP_PASSPHRASE"] = "wrong"
    status, _, errors = await commands.run("group", "create", "x")
    assert (status, "passphrase does not open" in errors) == (ExitCode.USAGE, True)
    key_file.chmod(0o644)
    status, _, errors = await commands.run("group", "create", "x")
    assert (status, f"chmod 600 {key_file}" in errors) == (ExitCode.USAGE, True)


async def test_altered_audit_log_is_named_and_exits_1(commands: Commands) -> None:
    await commands.succeed("master", "init", "--plain-key")
    await commands.succeed("group", "create", "ward 3")
    await commands.succeed("device", "invite", "bed 1")
    with sqlite3.connect(commands.folder / "master.sqlite3") as database:
        database.execute("UPDATE audit SET detail = replace(detail, 'bed 1', 'bed 2') WHERE number = 2")
    status, _, errors = await commands.run("audit", "verify")
    assert (status, "broken at audit entry 2" in errors) == (ExitCode.CHECK_FAILED, True)
