"""Joins over a real loopback connection.

Client, server and both protocol sides are in one process: its CPU time is that of both sides together, kernel and all.
The event loop is the daemons' own: uvloop.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.core_join import STEPS, CoreMaster, CoreSlave
from benchmarks.fixtures import IDENTITY
from benchmarks.joins import PAPER, body_bytes, new_key
from benchmarks.paper import PaperBench
from benchmarks.preparing import reference_probe
from benchmarks.timing import Probe
from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import UnexpectedMessageError
from group_protocol.limits import HANDSHAKE_BODY_MAX_BYTES
from group_protocol.ports import AssociationRequest, Receipt
from group_protocol.suites import Suite
from group_protocol.tickets import MembershipState
from master_api.config import MasterConfig
from measure.paper_baseline.client import PaperClient
from measure.paper_baseline.relay import Relay, relay_to
from measure.paper_baseline.server import serve
from slave_client.transport import Transport
from system_ports import event_loop
from system_ports.edge_messages import EdgeAnswer, EdgeRequest
from system_ports.edge_server import EdgeServer
from system_ports.garbage import settle_collector
from tests.support.fake_registry import FakeRegistry
from tests.support.running_master import Bench, running_master
from tests.support.seeded import ManualClock

HOST = "127.0.0.1"
JOINS_A_ROUND = {Suite.H1: 10, Suite.E1: 10, Suite.R1: 2}


def over_http(suite: str) -> str:
    """Name of a measurement: the protocol over the master's edge server and the slave's transport, nothing stored."""
    return f"join {suite}, with HTTP"


def bare_http(suite: str) -> str:
    """Name of a measurement: three exchanges of bodies as long, nothing computed."""
    return f"join {suite}, HTTP alone"


def complete(suite: str) -> str:
    """Name of a measurement: the same against a whole master with its store on disk."""
    return f"join {suite}, whole master"


@asynccontextmanager
async def edge(handler: Callable[[str, bytes], bytes]) -> AsyncIterator[int]:
    """The master's edge server around a function of path and body; yields the port."""
    config = MasterConfig(data_dir=Path(), port=0)

    async def handle(request: EdgeRequest) -> EdgeAnswer:
        body = await request.read_body(HANDSHAKE_BODY_MAX_BYTES, config.body_timeout_s)
        return EdgeAnswer(handler(request.path, body))

    server = EdgeServer(handle, config)
    try:
        yield await server.listen(HOST, 0)
    finally:
        await server.close(config.shutdown_s)


async def join_over(transport: Transport, slave: CoreSlave) -> None:
    """M1 to M6."""
    body = slave.first()
    while slave.path:
        body = slave.take(await transport.post(slave.path, body))
    if slave.state is not MembershipState.ACTIVE:
        raise UnexpectedMessageError("the join did not end in membership")


def http_join_probe(suite: Suite) -> Probe:
    """The protocol with HTTP, one TCP connection for each join, opened and closed within the time measured."""

    async def join_all(keys: list[PrivateKey]) -> float:
        masters: list[CoreMaster] = []

        def answer(path: str, body: bytes) -> bytes:
            if path == STEPS[0]:
                masters.append(CoreMaster())
            return masters[-1].answer(path, body)

        async with edge(answer) as port:
            return await _timed([partial(_join, port, CoreSlave(suite, key)) for key in keys])

    return _probe(over_http(suite), lambda times: join_all([new_key() for _ in range(times)]), JOINS_A_ROUND[suite])


def bare_http_probe(suite: Suite) -> Probe:
    """What three exchanges of that length cost edge and transport: the floor under the number above."""
    lengths = body_bytes(suite)
    requests = dict(zip(STEPS, (bytes(length) for length in lengths[::2]), strict=True))
    answers = dict(zip(STEPS, (bytes(length) for length in lengths[1::2]), strict=True))

    async def exchange(port: int) -> None:
        async with Transport(HOST, port) as transport:
            for path in STEPS:
                await transport.post(path, requests[path])

    async def exchange_all(times: int) -> float:
        async with edge(lambda path, _body: answers[path]) as port:
            return await _timed([partial(exchange, port) for _ in range(times)])

    return _probe(bare_http(suite), exchange_all, JOINS_A_ROUND[suite])


def whole_master_probe(suite: Suite) -> Probe:
    """Against a master as it runs, with SQLite on disk and audit log.

    The tests' fake stands for the contract, and its own CPU is taken off.
    """

    async def join_all(times: int) -> float:
        suites = tuple(Suite) if suite is Suite.R1 else (Suite.H1, Suite.E1)
        clock = ManualClock()
        registry = TimedRegistry(clock.now_unix_s, IDENTITY)
        with tempfile.TemporaryDirectory() as folder:
            async with running_master(Path(folder), registry=registry, clock=clock, suites=suites) as bench:
                slaves = [await _invited(bench, suite) for _ in range(times)]
                port = int(bench.url.rsplit(":", 1)[1])
                joins_s = await _timed([partial(_join, port, slave) for slave in slaves])
                return joins_s - registry.spent_s / times

    return _probe(complete(suite), join_all, JOINS_A_ROUND[suite])


def paper_http_probe() -> Probe:
    """The paper's join over its own HTTP, three connections; its register is in memory as ours is."""
    paper = PaperBench()

    async def join_all(times: int) -> float:
        devices = [paper.new_device() for _ in range(times)]

        async def join(port: int, at: int) -> None:
            async with PaperClient(HOST, port) as client:
                await client.join(devices[at])

        async with serve(paper.master) as port:
            return await _timed([partial(join, port, at) for at in range(times)])

    return _probe(over_http(PAPER), join_all, 5)


def http_join_probes() -> list[Probe]:
    """All of them; what stays out of the time is the making of keys, of invitations and of the server."""
    settle_collector()  # as a master does when it has started
    return [
        reference_probe(),
        *(
            make(suite)
            for suite in (Suite.H1, Suite.E1)
            for make in (http_join_probe, bare_http_probe, whole_master_probe)
        ),
        http_join_probe(Suite.R1),
        paper_http_probe(),
    ]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one join put on the wire: TCP connections, and bytes of HTTP heads and bodies in both directions."""

    connections: int
    http_bytes: int


def count_traffic(suite: Suite) -> Traffic:
    """One join of ours through a relay that counts."""

    async def join() -> Traffic:
        master = CoreMaster()
        async with edge(master.answer) as port, relay_to(HOST, port) as relay:
            await _join(relay.port, CoreSlave(suite, new_key()))
            return _traffic(relay)

    return asyncio.run(join())


def count_paper_traffic() -> Traffic:
    """One join of the paper's through the same relay."""
    paper = PaperBench()

    async def join() -> Traffic:
        async with serve(paper.master) as port, relay_to(HOST, port) as relay:
            async with PaperClient(HOST, relay.port) as client:
                await client.join(paper.new_device())
            return _traffic(relay)

    return asyncio.run(join())


def _traffic(relay: Relay) -> Traffic:
    conversations = relay.conversations
    return Traffic(len(conversations), sum(len(one.sent) + len(one.answered) for one in conversations))


class TimedRegistry(FakeRegistry):
    """The fake contract, which knows how much CPU its own checks took: that part is the chain's."""

    spent_s = 0.0

    async def associate(self, request: AssociationRequest) -> Receipt:
        """Algorithm 1."""
        began_s = time.thread_time()
        try:
            return await super().associate(request)
        finally:
            self.spent_s += time.thread_time() - began_s


async def _invited(bench: Bench, suite: Suite) -> CoreSlave:
    return CoreSlave(suite, new_key(), await bench.make_code())


async def _join(port: int, slave: CoreSlave) -> None:
    async with Transport(HOST, port) as transport:
        await join_over(transport, slave)


async def _timed(joins: Sequence[Callable[[], Awaitable[None]]]) -> float:
    """CPU seconds of one, all threads of this process."""
    began_s = time.process_time()
    for join in joins:
        await join()
    return (time.process_time() - began_s) / len(joins)


def _probe(name: str, measured: Callable[[int], Coroutine[None, None, float]], loops: int) -> Probe:
    def run(times: int) -> Mapping[str, float]:
        return {name: event_loop.run(measured(times))}

    return Probe(run, loops)
