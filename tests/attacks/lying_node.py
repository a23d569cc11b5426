"""A node of the chain that lies: a JSON-RPC proxy on loopback before a true anvil, and a master that believes in it."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web

from chain_gateway.composition import deploy
from chain_gateway.config import GATEWAY_FOLDER, GatewayConfig
from group_protocol.identifiers import Address
from tests.attacks.edge import Edge
from tests.attacks.master_process import ROOMY, MasterProcess
from tests.support.anvil import SECOND_RICH_KEY, run_anvil, write_key
from tests.support.contract_logs import make_log
from tests.support.model_node import log_json

ASSOCIATION_WAIT_S: Final = 1.0
Lie = Callable[[list[Any], Any], Any]
"""Makes the answer to a method, from its parameters and the true answer."""


@dataclass
class LyingNode:
    """Passes every request on, except for what it lies about.

    Attributes:
        lies: By method.
        is_stalling: Nothing is answered any more.
        bomb: The body of every answer, if it is not empty.
        asked: How often each method was asked for.
    """

    target: str
    http: aiohttp.ClientSession
    lies: dict[str, Lie] = field(default_factory=dict)
    is_stalling: bool = False
    bomb: bytes = b""
    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    _stalled: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask_truth(self, method: str, *params: Any) -> Any:
        """The true node's answer."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with self.http.post(self.target, json=request) as answer:
            return (await answer.json())["result"]

    def answer_the_stalled(self) -> None:
        """Let go of the requests that were held."""
        self._stalled.set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = json.loads(await request.read())
        self.asked[asked["method"]] += 1
        if self.is_stalling:
            await self._stalled.wait()
        if self.bomb:
            return web.Response(body=self.bomb, content_type="application/json")
        async with self.http.post(self.target, json=asked) as answer:
            told = await answer.json()
        lie = self.lies.get(asked["method"])
        if lie is not None:
            told = {"jsonrpc": "2.0", "id": asked["id"], "result": lie(asked["params"], told.get("result"))}
        return web.json_response(told)

    def stop_at(self, number: int) -> None:
        """Tell of no block above this one: the chain as it was some time ago."""

        def block(params: list[Any], told: Any) -> Any:
            return self._newest if params[0] == "latest" else told if int(params[0], 16) <= number else None

        def logs(_: list[Any], told: Any) -> Any:
            return [log for log in told if int(log["blockNumber"], 16) <= number]

        self.lies = {"eth_getBlockByNumber": block, "eth_getLogs": logs}

    async def invent(self, event: str, contract: bytes, **values: object) -> None:
        """Tell of an event that never was, in a new block of the true chain: it contradicts nothing."""
        await self.ask_truth("anvil_mine", "0x1")
        block = await self.ask_truth("eth_getBlockByNumber", "latest", False)
        number = int(block["number"], 16)
        log = make_log(
            event,
            block_number=number,
            log_index=99,
            block_hash=bytes.fromhex(block["hash"][2:]),
            address=Address(contract),
            **values,
        )

        def logs(params: list[Any], told: Any) -> Any:
            first, last = (int(params[0][end], 16) for end in ("fromBlock", "toBlock"))
            if not first <= number <= last:
                return told
            return sorted(
                [*told, log_json(log) | {"transactionIndex": "0x0"}], key=lambda each: int(each["blockNumber"], 16)
            )

        self.lies["eth_getLogs"] = logs

    async def remember_newest(self) -> int:
        """Keep the newest block, for :meth:`stop_at`."""
        self._newest = await self.ask_truth("eth_getBlockByNumber", "latest", False)
        return int(self._newest["number"], 16)


def gateway_beside(node: LyingNode, contract: Address, folder: Path) -> GatewayConfig:
    """Somebody else's gateway to the same chain and contract, without the lies, paid from another account."""
    key_file = write_key(folder.with_suffix(".key"), SECOND_RICH_KEY)
    return GatewayConfig(folder, url=node.target, relayer_key_file=key_file, contract=contract)


@asynccontextmanager
async def lying_node(target: str) -> AsyncIterator[LyingNode]:
    async with aiohttp.ClientSession() as http:
        node = LyingNode(target, http)
        runner = web.ServerRunner(web.Server(node.handle), shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            node.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield node
        finally:
            node.answer_the_stalled()
            await runner.cleanup()


@asynccontextmanager
async def master_behind_a_liar(folder: Path) -> AsyncIterator[tuple[Edge, LyingNode]]:
    """A running master whose chain is an anvil behind a proxy that tells the truth until it is told to lie."""
    with run_anvil() as truth:
        async with lying_node(truth) as node, aiohttp.ClientSession() as http:
            relayer = write_key(folder / "relayer.key")
            settings = {"chain": node.url, "relayer_key_file": relayer, "association_wait_s": ASSOCIATION_WAIT_S}
            master = MasterProcess(folder / "m", **(dict(ROOMY) | settings))
            await deploy(
                GatewayConfig(folder / "m" / GATEWAY_FOLDER, url=node.url, relayer_key_file=relayer), time.time
            )
            await asyncio.to_thread(master.start)
            try:
                await master.ask("group.create", name="ward 3")
                yield Edge(master, http), node
            finally:
                node.is_stalling, node.lies, node.bomb = False, {}, b""
                await asyncio.to_thread(master.stop)
