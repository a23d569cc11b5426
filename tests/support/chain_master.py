"""A master as it is shipped, whose group's register stands on a network of nodes."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from chain_gateway import deploy
from chain_gateway.network import NetworkLayout
from group_protocol.suites import Suite
from master_api.composition import gateway_config, open_service
from master_api.config import MasterConfig
from master_api.operations import Endpoint, Operations
from master_api.pairing import invite
from master_api.service import MasterService
from tests.support.running_master import MASTER_KEY, Device, device_key

CODE_LIFETIME_S = 3_600.0


@dataclass
class ChainBench:
    """A master that listens, and what a test needs to reach into it."""

    service: MasterService
    operations: Operations
    url: str
    http: aiohttp.ClientSession

    async def exchange(self, path: str, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        async with self.http.post(self.url + path, data=body, headers=headers) as answer:
            content = await answer.read()
            assert answer.status == 200, (answer.status, content)
            return content

    async def paired_device(self, number: int) -> Device:
        """A device that has a session, and is no member yet."""
        invitation = await invite(self.service.context, f"bed {number}", "127.0.0.1", 3000, CODE_LIFETIME_S)
        device = Device(self, device_key(number), invitation.pairing.code, Suite.E1)
        await device.open_session()
        return device


@asynccontextmanager
async def master_on_chain(folder: Path, layout: NetworkLayout, **settings: Any) -> AsyncIterator[ChainBench]:
    """A master with a contract of its own on the network's first node; ``settings`` go to its configuration."""
    config = MasterConfig(
        data_dir=folder,
        port=0,
        chain=layout.nodes[0].url,
        relayer_key_file=str(layout.relayer_key(0)),
        shutdown_s=1.0,
        **settings,
    )
    await deploy(gateway_config(config), time.time)
    async with open_service(config, MASTER_KEY) as service:
        port = await service.listen()
        operations = Operations(service, Endpoint("127.0.0.1", port))
        await operations.create_group("ward 3")
        async with aiohttp.ClientSession() as http:
            yield ChainBench(service, operations, f"http://127.0.0.1:{port}", http)
