"""A slave's parts wired as its composition root does it, against a master on loopback."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from group_protocol.crypto.aead import Aead
from group_protocol.pairing import PairingString
from group_protocol.senml import Reading
from group_protocol.suites import Suite
from slave_client.batching import BatchRules
from slave_client.buffer import Buffer
from slave_client.buffered_record import BufferLimits
from slave_client.daemon import Daemon, DaemonOptions
from slave_client.device_state import DeviceState, JoinStep
from slave_client.handlers.ports import Handler
from slave_client.inbox import Inbox
from slave_client.joining import Joining, Offer, OpenSession
from slave_client.keystore import KeyStore
from slave_client.mailbox import Mailbox
from slave_client.sensors.ports import Sensor
from slave_client.state_directory import StateDirectory
from slave_client.transport import Transport
from system_ports.clock import SystemClock
from tests.support.running_master import MASTER_KEY, Bench, Edge
from tests.support.seeded import SeededRandom

OFFER = Offer((Suite.E1,), (Aead.A256GCM,))
FAST_BATCHES = BatchRules(readings_max=8, batch_s=0.02, commit_s=0.0)


class ListSensor:
    """Gives fixed readings, then ends."""

    label = "list"
    is_recording = True

    def __init__(self, values: Sequence[float], pause_s: float = 0.0) -> None:
        self._values = values
        self._pause_s = pause_s

    async def check(self) -> None:
        pass

    async def readings(self) -> AsyncIterator[Reading]:
        for index, value in enumerate(self._values):
            yield Reading("ppg", 1_700_000_000.0 + index / 100, value, None)
            await asyncio.sleep(self._pause_s)


class SlaveBench:
    """One device in its own state directory."""

    def __init__(self, directory: StateDirectory, bench: Edge, seed: int, offer: Offer = OFFER) -> None:
        self.directory = directory
        self.bench = bench
        self.offer = offer
        self.random = SeededRandom(seed)
        self.store = KeyStore(directory)
        self.steps: list[str] = []
        self.port = urlsplit(bench.url).port or 0

    def pair(self, code: bytes) -> None:
        pairing = PairingString(MASTER_KEY.address, code, "127.0.0.1", self.port)
        self.store.make_keys(self.random)
        self.store.store_state(DeviceState(JoinStep.PAIRED, pairing.master, pairing.host, pairing.port, pairing.code))

    @property
    def state(self) -> DeviceState:
        state = self.store.load_state()
        assert state is not None
        return state

    def joining(self) -> Joining:
        keys = self.store.load_keys()
        assert keys is not None
        return Joining(self.store, keys, self.state, offer=self.offer, random=self.random, report=self.steps.append)

    def transport(self) -> Transport:
        return Transport("127.0.0.1", self.port, heartbeat_s=5.0)

    @asynccontextmanager
    async def reach(self, joining: Joining) -> AsyncIterator[tuple[Transport, OpenSession]]:
        async with self.transport() as transport:
            yield transport, await joining.open_session(transport)

    async def join(self) -> DeviceState:
        joining = self.joining()
        async with self.transport() as transport:
            await joining.associate(transport, await joining.open_session(transport))
        return joining.state

    async def open_buffer(self, limits: BufferLimits | None = None) -> Buffer:
        keys = self.store.load_keys()
        assert keys is not None
        return await Buffer.open(
            self.directory,
            keys.storage_secret,
            limits=limits or BufferLimits(),
            clock=SystemClock(),
            random=self.random,
        )

    async def open_inbox(self, most: int = 1_000, *, keeps_unhandled: bool = False) -> Inbox:
        keys = self.store.load_keys()
        assert keys is not None
        return await Inbox.open(
            self.directory.path,
            keys.storage_secret,
            most=most,
            keeps_unhandled=keeps_unhandled,
            clock=SystemClock(),
            random=self.random,
        )

    async def daemon(
        self,
        *sensors: Sensor,
        via: str = "stream",
        batch: BatchRules = FAST_BATCHES,
        ends_with_sensors: bool = True,
        handlers: Sequence[Handler] = (),
        inbox_max: int = 1_000,
    ) -> Daemon:
        return Daemon(
            joining=self.joining(),
            reach=self.reach,
            buffer=await self.open_buffer(),
            mailbox=Mailbox(await self.open_inbox(inbox_max, keeps_unhandled=bool(handlers)), handlers),
            sensors=sensors,
            options=DaemonOptions(
                via=via,
                batch=batch,
                backoff_longest_s=0.5,
                status_file=self.directory.path / "status.json",
                status_s=0.2,
                ready_file=self.directory.path / "ready",
                ends_with_sensors=ends_with_sensors,
            ),
            clock=SystemClock(),
            random=self.random,
            report=self.steps.append,
        )


@asynccontextmanager
async def paired_slave(folder: Path, bench: Bench, *, seed: int = 1, offer: Offer = OFFER) -> AsyncIterator[SlaveBench]:
    """A device that holds a fresh pairing code and nothing more."""
    with StateDirectory(folder / f"slave-{seed}") as directory:
        slave = SlaveBench(directory, bench, seed, offer)
        slave.pair(await bench.make_code(f"bed {seed}"))
        yield slave
