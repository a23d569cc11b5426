"""From a Revoked event's block to the cut session, with every member streaming all the while.

The revocations are sent by another gateway, which the master knows nothing of: it hears of them from the chain alone.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from benchmarks.chain.devices import ChainSlave, join
from benchmarks.chain.master_control import ChainMaster
from benchmarks.chain.sites import Site
from benchmarks.fixtures import MASTER_KEY
from chain_gateway import GatewayConfig, open_registry
from group_protocol.errors import Reason
from group_protocol.frames import Ack, Close, Items, Open, Resume, SlaveFrame, decode_master_frame, encode_frame
from group_protocol.identifiers import ObjectId
from group_protocol.ports import GroupRegistry, RevocationRequest
from group_protocol.records import sign_record
from group_protocol.senml import Reading, encode_readings
from group_protocol.typed_data import TypedDataDomain

RECORDS_PER_S: Final = 2.0
"""Signed records of each member."""
_CUT_TIMEOUT_S: Final = 60.0
_OPEN_TIMEOUT_S: Final = 120.0
_PAUSE_S: Final = 0.37
"""Between a cut and the next revocation: no multiple of the block period, so that every phase of it is met."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One revocation. Unix seconds of the wall clock of the one machine.

    Attributes:
        block_number: Where its event stands.
        block_unix_s: That block's own timestamp, whole seconds: no signer lets go of a block before.
        arrived_unix_s: When the block came to the master's node, as its subscription said.
        cut_unix_s: When the device saw its stream closed.
    """

    block_number: int
    block_unix_s: int
    arrived_unix_s: float
    cut_unix_s: float


@dataclass(frozen=True, slots=True)
class Revocations:
    """All of them, and what the members streamed meanwhile."""

    members: int
    records_acknowledged: int
    seconds: float
    cuts: tuple[Cut, ...]

    def as_json(self) -> dict[str, Any]:
        """For the results file."""
        return asdict(self)


class BlockClock:
    """When each block came to a node, by a subscription of its own to ``newHeads``."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, float]] = {}

    async def watch(self, http: aiohttp.ClientSession, url: str) -> None:
        """Until it is cancelled. geth has its WebSocket on the port of its JSON-RPC."""
        async with http.ws_connect(url) as socket:
            await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]})
            async for message in socket:
                head = json.loads(message.data).get("params", {}).get("result")
                if head is not None:
                    # A block that took another's place counts from when it came.
                    self._seen[int(head["number"], 16)] = (int(head["timestamp"], 16), time.time())

    def cut(self, block_number: int, cut_unix_s: float) -> Cut:
        """A revocation with its block's times."""
        block_unix_s, arrived_unix_s = self._seen[block_number]
        return Cut(block_number, block_unix_s, arrived_unix_s, cut_unix_s)


class StreamingMember:
    """A member that streams until it is cut off."""

    def __init__(self, slave: ChainSlave, http: aiohttp.ClientSession, port: int) -> None:
        self._slave = slave
        self._http = http
        self._port = port
        self.oid = ObjectId(bytes.fromhex(slave.oid))
        self.gid = slave.established[1].gid
        self.cut_unix_s: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.is_open = asyncio.Event()
        self.acknowledged = 0
        self._epoch = 1

    async def stream(self) -> None:
        """Open the stream, send, and note when it was closed, or what went wrong."""
        try:
            await self._stream()
        except Exception as error:  # noqa: BLE001 - whatever it was, it ends the measurement
            self.is_open.set()
            self.cut_unix_s.set_exception(error)

    async def _stream(self) -> None:
        session, _ = self._slave.established
        async with self._http.ws_connect(f"http://127.0.0.1:{self._port}/stream") as socket:
            await socket.send_bytes(session.stream_opening(encode_frame(Open())))
            sending = asyncio.create_task(self._send(socket))
            try:
                async for message in socket:
                    frame = decode_master_frame(session.stream_in.open(message.data))
                    if isinstance(frame, Close):
                        break
                    if isinstance(frame, Ack):
                        await self._hear(socket, frame)
                self.cut_unix_s.set_result(time.time())
            finally:
                sending.cancel()

    async def _hear(self, socket: aiohttp.ClientWebSocketResponse, ack: Ack) -> None:
        self.is_open.set()
        self.acknowledged, self._epoch = max(self.acknowledged, ack.last_seq), max(self._epoch, ack.epoch)
        if ack.reason is not Reason.NONE:
            await self._say(socket, Resume(ack.refused_seq))

    async def _send(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """The record after the newest acknowledged one; after a change of epoch it is the same again, signed anew."""
        _, ticket = self._slave.established
        while True:
            await asyncio.sleep(1 / RECORDS_PER_S)
            seq = self.acknowledged + 1
            payload = encode_readings([Reading("ppg", float(seq), float(seq), "1")])
            record = sign_record(
                self._slave.key,
                self._slave.domain,
                ticket.gid,
                ticket.oid,
                ticket.master_oid,
                seq,
                self._epoch,
                payload,
            )
            await self._say(socket, Items((record,)))

    async def _say(self, socket: aiohttp.ClientWebSocketResponse, frame: SlaveFrame) -> None:
        session, _ = self._slave.established
        await socket.send_bytes(session.stream_out.seal(encode_frame(frame)))


async def measure_revocations(site: Site, master: ChainMaster, revocations: int, bystanders: int) -> Revocations:
    """Revoke members one after the other and watch each one's stream; ``bystanders`` more stream to the end."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        clock = BlockClock()
        watching = asyncio.create_task(clock.watch(http, site.url or ""))
        members = await _join_all(master, revocations + bystanders, http)
        streams = [asyncio.create_task(member.stream()) for member in members]
        async with asyncio.timeout(_OPEN_TIMEOUT_S):
            await asyncio.gather(*(member.is_open.wait() for member in members))
        began_s = time.monotonic()
        try:
            async with _outsider(site, master) as registry:
                cuts = [clock.cut(*await _revoke(registry, master, member)) for member in members[:revocations]]
            seconds = time.monotonic() - began_s
        finally:
            for task in (watching, *streams):
                task.cancel()
            await asyncio.gather(watching, *streams, return_exceptions=True)
    return Revocations(len(members), sum(member.acknowledged for member in members), seconds, tuple(cuts))


async def _join_all(master: ChainMaster, count: int, http: aiohttp.ClientSession) -> list[StreamingMember]:
    codes = await master.make_codes(count)
    joined = await asyncio.gather(*(join(master.port, at, code, master.identity) for at, code in enumerate(codes)))
    return [StreamingMember(slave, http, master.port) for _, slave in joined]


async def _revoke(registry: GroupRegistry, master: ChainMaster, member: StreamingMember) -> tuple[int, float]:
    """Block and time of the cut. From the outside: the master's own signature, another gateway's transaction."""
    await asyncio.sleep(_PAUSE_S)
    domain = TypedDataDomain(master.identity)
    deadline_unix_s = int(time.time()) + 3_600
    signature = MASTER_KEY.sign_digest(domain.revocation_digest(member.gid, member.oid, deadline_unix_s))
    receipt = await registry.revoke(RevocationRequest(member.gid, member.oid, deadline_unix_s, signature))
    async with asyncio.timeout(_CUT_TIMEOUT_S):
        cut_unix_s = await asyncio.shield(member.cut_unix_s)
    return receipt.position.block_number, cut_unix_s


@asynccontextmanager
async def _outsider(site: Site, master: ChainMaster) -> AsyncIterator[GroupRegistry]:
    """A gateway with another account, on the same contract."""
    with tempfile.TemporaryDirectory(prefix="vgroup-") as folder:
        config = GatewayConfig(
            Path(folder), url=site.url, relayer_key_file=site.relayer_keys[-1], contract=master.identity.contract
        )
        async with open_registry(config, time.time) as registry:
            yield registry
