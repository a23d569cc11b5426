"""A gateway's process, a master's process and a device, over HTTP: from nothing to records, and through a kill."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chain_gateway.service.cli import gateway_app
from group_protocol.errors import Reason, RegistryUnavailable
from group_protocol.tickets import MembershipState
from tests.attacks.edge import Edge
from tests.attacks.master_process import ROOMY, MasterProcess
from tests.registry_suite.backends import set_stage
from tests.support.fake_chain import FakeChain
from tests.support.fake_registry import FakeRegistry
from tests.support.gateway_service import TestBackend, reach, serve_registry
from tests.support.master_parts import MASTER_KEY

pytestmark = [pytest.mark.network, pytest.mark.processes]
START_S = 60


class GatewayProcess:
    """``vgroup gateway run`` in a process of its own, on one port for good."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "vgroup", "gateway", *arguments, "--data-dir", str(self.folder)]

    def set_up(self, master: str) -> None:
        subprocess.run(self.command("init"), check=True, capture_output=True)
        subprocess.run(self.command("authorize", master), check=True, capture_output=True)

    def start(self) -> None:
        command = self.command("run", "--port", str(self.port))
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        ready = json.loads(self._process.stdout.readline())
        self.port = ready["port"]

    def end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(START_S)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(START_S)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    process = GatewayProcess(tmp_path / "g")
    try:
        yield process
    finally:
        process.close()


@contextlib.asynccontextmanager
async def ward(folder: Path, gateway: GatewayProcess) -> AsyncIterator[Edge]:
    """A master with a group, whose register is reached through the gateway."""
    await asyncio.to_thread(gateway.set_up, "0x" + MASTER_KEY.address.hex())
    await asyncio.to_thread(gateway.start)
    master = MasterProcess(folder / "m", **(dict(ROOMY) | {"gateway": gateway.url}))
    async with aiohttp.ClientSession() as http:
        await asyncio.to_thread(master.start)
        try:
            await master.ask("group.create", name="ward 3")
            yield Edge(master, http)
        finally:
            await asyncio.to_thread(master.stop)


async def test_master_with_a_remote_gateway_joins_streams_revokes_and_lives_through_its_kill(
    tmp_path: Path, gateway: GatewayProcess
) -> None:
    async with ward(tmp_path, gateway) as edge:
        member = await edge.member()
        assert (await member.send(member.record())).last_seq == 1
        gateway.end(signal.SIGKILL)
        assert (await member.send(member.record())).last_seq == 2, "members go on while the gateway is away"
        await asyncio.to_thread(gateway.start)
        late = await edge.member()
        assert (await late.send(late.record(seq=1))).last_seq == 1
        await edge.master.ask("device.revoke", device=late.oid.hex())
        late.code = None
        assert (await late.open_session()).state is MembershipState.REVOKED
        assert (await late.send(late.record(seq=2))).reason is Reason.NOT_A_MEMBER
        assert gateway.end(signal.SIGTERM) == 0


async def test_master_begins_with_what_it_knows_when_its_gateway_is_away(tmp_path: Path) -> None:
    registry = FakeRegistry(now_unix_s=lambda: 1_800_000_000)
    backend = TestBackend(registry, FakeChain(registry))
    async with serve_registry(tmp_path / "s", backend) as url, reach(tmp_path / "m", url) as remote:
        stage = await set_stage(remote)
        await remote.create_group(stage.sign.create_group("master"))
        known = remote.membership()
    async with reach(tmp_path / "m", url) as remote:
        assert remote.membership() == known
        with pytest.raises(RegistryUnavailable):
            await remote.check()
    with pytest.raises(RegistryUnavailable, match="cannot be reached"):
        async with reach(tmp_path / "new", url):
            pass


def test_commands_of_the_gateway_are_there() -> None:
    names: set[Any] = {command.name for command in gateway_app.registered_commands}
    assert names == {"init", "authorize", "forbid", "callers", "token", "run"}
