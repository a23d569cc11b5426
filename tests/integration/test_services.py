"""Master, slave and gateway as a service manager runs them: readiness, watchdog, reload, stop, credentials."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import aiohttp
import pytest

from group_protocol.pairing import PairingString
from tests.support.running_master import MASTER_KEY, running_master

pytestmark = [pytest.mark.network, pytest.mark.processes]

PROGRAM = (sys.executable, "-m", "vgroup")
WATCHDOG_S = 3.0


class Manager:
    """What systemd is to a service: a notification socket, a watchdog, signals."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("VGROUP_")}
        self.environment |= {
            "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6)),
            **environment,
        }
        self.heard: list[str] = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.socket.setblocking(False)

    async def until(self, text: str, *, after: int = 0) -> int:
        """Wait for a message that holds the text; answers how many came until then."""
        async with asyncio.timeout(40):
            while True:
                for place, message in enumerate(self.heard):
                    if place >= after and text in message:
                        return place + 1
                received = await asyncio.get_running_loop().sock_recv(self.socket, 4_096)
                self.heard.append(received.decode())

    @asynccontextmanager
    async def service(self, *words: str, errors: IO[bytes] | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run until the end of the block, then stop and expect a good end."""
        process = await asyncio.create_subprocess_exec(
            *(*PROGRAM, *words),
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 20) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            self.socket.close()


async def command(manager: Manager, *words: str) -> None:
    environment = {name: value for name, value in manager.environment.items() if name != "NOTIFY_SOCKET"}
    process = await asyncio.create_subprocess_exec(*PROGRAM, *words, env=environment, stdin=asyncio.subprocess.DEVNULL)
    assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_master_says_ready_feeds_the_watchdog_reloads_and_stops(tmp_path: Path) -> None:
    credentials, config = tmp_path / "credentials", tmp_path / "master.toml"
    credentials.mkdir()
    # As systemd leaves it: the access list that lets the service in shows as group permissions.
    (credentials / "master.passphrase").touch(mode=0o440)
    (credentials / "master.passphrase").write_text("correct horse\n")
    config.write_text("port = 0\n")
    manager = Manager(
        tmp_path,
        VGROUP_MASTER_DIR=str(tmp_path / "m"),
        VGROUP_MASTER_CONFIG=str(config),
        CREDENTIALS_DIRECTORY=str(credentials),
    )
    await command(manager, "master", "init")
    async with manager.service("master", "run") as process:
        ready = await manager.until("READY=1")
        assert "devices connected" in manager.heard[ready - 1]
        await manager.until("WATCHDOG=1", after=ready)

        config.write_text("port = 0\npairing_lifetime_s = 60\n")
        process.send_signal(signal.SIGHUP)
        reloading = await manager.until("RELOADING=1\nMONOTONIC_USEC=", after=ready)
        ready = await manager.until("READY=1", after=reloading)

        config.write_text("prot = 1\n")
        process.send_signal(signal.SIGHUP)
        await manager.until("READY=1", after=await manager.until("RELOADING=1", after=ready))
        assert process.returncode is None


async def test_slave_says_its_states_and_a_reload_takes_other_sensors(tmp_path: Path) -> None:
    config = tmp_path / "slave.toml"
    config.write_text('[[sensor]]\nkind = "psutil"\nwhat = "load"\nperiod_s = 0.1\n')
    manager = Manager(tmp_path, VGROUP_SLAVE_DIR=str(tmp_path / "s"), VGROUP_SLAVE_CONFIG=str(config))
    async with running_master(tmp_path) as bench:
        pairing = PairingString(MASTER_KEY.address, await bench.make_code(), "127.0.0.1", urlsplit(bench.url).port or 0)
        await command(manager, "slave", "join", pairing.to_text())
        async with manager.service("slave", "run", "--stay") as process:
            ready = await manager.until("READY=1")
            streaming = await manager.until("STATUS=streaming", after=ready)
            fed = await manager.until("WATCHDOG=1", after=streaming)

            config.write_text('[[sensor]]\nkind = "abacus"\n')
            process.send_signal(signal.SIGHUP)
            refused = await manager.until("READY=1\nSTATUS=running with the settings of before", after=fed)

            recording = tmp_path / "pulse.csv"
            recording.write_text("1\n2\n")
            config.write_text(f'[[sensor]]\nkind = "replay"\npath = "{recording}"\nrate_hz = 100\n')
            process.send_signal(signal.SIGHUP)
            stopped = await manager.until("STATUS=stopped", after=await manager.until("RELOADING=1", after=refused))
            await manager.until("STATUS=streaming", after=await manager.until("READY=1", after=stopped))
            await _until_status_names(tmp_path / "s" / "status.json", "pulse.csv")


async def test_gateway_takes_its_token_from_a_credential_reloads_and_stops(tmp_path: Path) -> None:
    credentials, config, token = tmp_path / "credentials", tmp_path / "gateway.toml", "t" * 43
    credentials.mkdir()
    (credentials / "gateway_token").touch(mode=0o440)
    (credentials / "gateway_token").write_text(f"{token}\n")
    config.write_text("port = 0\n")
    manager = Manager(
        tmp_path,
        VGROUP_GATEWAY_DIR=str(tmp_path / "g"),
        VGROUP_GATEWAY_CONFIG=str(config),
        CREDENTIALS_DIRECTORY=str(credentials),
    )
    log, ready_file = tmp_path / "log", tmp_path / "ready.json"
    with log.open("wb") as errors:
        async with manager.service(
            "gateway", "run", "--ready-file", str(ready_file), "--log-level", "INFO", errors=errors
        ) as process:
            ready = await manager.until("READY=1")
            await manager.until("WATCHDOG=1", after=ready)
            port = json.loads(ready_file.read_text())["port"]
            assert await _ask_identity(port, token) == 200
            assert await _ask_identity(port, "another token, of the same length, that is bad") == 400

            config.write_text("port = 0\nrequests_per_s = 900.0\nacts_max = 7\n")
            process.send_signal(signal.SIGHUP)
            ready = await manager.until(
                "READY=1", after=await manager.until("RELOADING=1\nMONOTONIC_USEC=", after=ready)
            )

            config.write_text("prot = 1\n")
            process.send_signal(signal.SIGHUP)
            await manager.until("READY=1", after=await manager.until("RELOADING=1", after=ready))
            assert await _ask_identity(port, token) == 200
    assert "reloaded changed=requests_per_s need_restart=acts_max" in log.read_text()
    assert "code=setting-wrong" in log.read_text()


async def _ask_identity(port: int, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(trust_env=False, headers=headers) as http,
        http.get(f"http://127.0.0.1:{port}/v1/identity") as answer,
    ):
        return answer.status


async def _until_status_names(path: Path, text: str) -> None:
    async with asyncio.timeout(20):
        while text not in path.read_text():  # noqa: ASYNC110, ASYNC240 - another process writes the file
            await asyncio.sleep(0.1)
