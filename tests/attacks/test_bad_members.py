"""A member that floods, sends garbage, claims impossible seqs, opens a thousand streams or never reads its ACKs.

It has every right to send, so nothing at the door keeps it out. What it costs the master stays within a bound, it
spoils its own stream at most, and an honest device beside it is served all the while.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from random import Random

import aiohttp
import pytest

from group_protocol.errors import Reason
from group_protocol.frames import Items, Open, Resume, encode_frame
from group_protocol.limits import RECORD_SEQ_LIMIT
from group_protocol.records import CheckpointedRecord
from group_protocol.senml import Reading, encode_readings
from master_api.config import MasterConfig
from tests.attacks.edge import POLICY_VIOLATION, Edge
from tests.attacks.master_process import MasterProcess
from tests.support.running_master import Device, DeviceStream, payload

pytestmark = [pytest.mark.network, pytest.mark.processes]

LIMITS = MasterConfig(Path())
MIB = 2**20
GROWTH_MAX_BYTES = 64 * MIB
"""Far above what one stream may occupy, far below what these floods weigh or would leave if anything were kept."""
FLOOD_BYTES = 32 * MIB
SEND_TIMEOUT_S = 2.0
OPEN_TIMEOUT_S = 2.0
HEARTBEAT_S = 5.0
STREAMS = 1_000
UNREAD_ACKS = 3_000
PATIENCE_S = 60.0
UPGRADE = (
    b"GET /stream HTTP/1.1\r\nHost: m\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MasterProcess]:
    """A master with the default limits, quicker to give up on who takes nothing. At the end its evidence holds."""
    master = MasterProcess(
        tmp_path_factory.mktemp("bad") / "m",
        stream_send_timeout_s=SEND_TIMEOUT_S,
        stream_open_timeout_s=OPEN_TIMEOUT_S,
        stream_heartbeat_s=HEARTBEAT_S,
    )
    master.start()
    try:
        asyncio.run(master.ask("group.create", name="ward 3"))
        yield master
        report = asyncio.run(master.ask("records.verify"))
        assert (report["is_good"], report["bad"]) == (True, 0)
        asyncio.run(master.ask("audit.verify"))
    finally:
        master.stop()


@pytest.fixture
async def edge(master: MasterProcess) -> AsyncIterator[Edge]:
    async with aiohttp.ClientSession() as http:
        edge = Edge(master, http)
        yield edge
        await until(lambda: _has_streams(edge, 0), "a stream is kept")


@contextlib.asynccontextmanager
async def served_beside(edge: Edge) -> AsyncIterator[Callable[[], int]]:
    """An honest device sends one signed record after the other, each acknowledged before the next; how many so far."""
    device = await edge.member()
    stream = await device.open_stream()
    await stream.receive_ack()
    served = 0
    is_over = False

    async def send() -> None:
        nonlocal served
        while not is_over:
            await stream.send(Items((device.record(),)))
            ack = await stream.receive_ack()
            assert (ack.reason, ack.last_seq) == (Reason.NONE, device.seq)
            served += 1

    sending = asyncio.create_task(send())
    try:
        yield lambda: served
        before = served
        await until(lambda: sending.done() or served >= before + 3, "the honest device is not served any more")
    finally:
        is_over = True
        await sending
        await stream.socket.close()


async def until(condition: Callable[[], bool | Awaitable[bool]], complaint: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.05)
    pytest.fail(complaint)


def checkpointed(device: Device, content: bytes) -> CheckpointedRecord:
    device.seq += 1
    return CheckpointedRecord(device.ticket.master_oid, device.seq, device.ticket.epoch, content)


async def streams(edge: Edge) -> int:
    return int((await edge.master.ask("master.status"))["streams"])


class RawSocket:
    """A WebSocket by hand: it sends, and reads or does not, as no library would."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, edge: Edge, local_address: str) -> "RawSocket | None":
        """Up to the upgrade; None if the master does not take the connection."""
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", edge.master.port, local_addr=(local_address, 0), limit=2**16
            )
            made = cls(reader, writer)
            writer.write(UPGRADE)
            await reader.readuntil(b"\r\n\r\n")
        except (ConnectionError, asyncio.IncompleteReadError):
            return None
        return made

    def stop_reading(self) -> None:
        """From now on what comes stays with the kernels, and then with the master."""
        made = self._writer.transport
        assert isinstance(made, asyncio.Transport)
        made.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        made.pause_reading()

    async def send(self, message: bytes) -> None:
        """One binary message, masked with zeros (RFC 6455 §5.3)."""
        length = (
            struct.pack("!B", 0x80 | len(message)) if len(message) < 126 else struct.pack("!BH", 0xFE, len(message))
        )
        self._writer.write(b"\x82" + length + bytes(4) + message)
        await self._writer.drain()

    async def read_to_end(self) -> None:
        """Until the master has closed."""
        with contextlib.suppress(ConnectionError):
            await self.reader.read()
        self.abort()

    def abort(self) -> None:
        self._writer.transport.abort()


async def test_member_that_floods_is_held_to_its_credit_and_others_are_served(edge: Edge) -> None:
    large = encode_readings([Reading("ppg", 1_700_000_000.0 + number, 0.5, "1") for number in range(1_000)])
    async with served_beside(edge) as served:
        bad = await edge.member()
        stream = await bad.open_stream()
        credit_bytes = (await stream.receive_ack()).credit_bytes
        assert credit_bytes == LIMITS.stream_credit_bytes
        before, resident = served(), edge.master.resident_bytes
        sent_bytes = 0
        while sent_bytes < FLOOD_BYTES:  # no ACK is waited for, none is read
            records = tuple(checkpointed(bad, large) for _ in range(8))
            frame = encode_frame(Items(records))
            try:
                await stream.send(Items(records))
            except ConnectionError:
                break
            sent_bytes += len(frame)
        assert served() > before
        assert edge.master.resident_bytes - resident < GROWTH_MAX_BYTES
        await stream.socket.close()


async def test_member_that_never_reads_its_acks_is_cut_off(edge: Edge) -> None:
    async with served_beside(edge) as served:
        bad = await edge.member()
        bad_socket = await RawSocket.connect(edge, "127.0.0.1")
        assert bad_socket is not None
        bad_socket.stop_reading()
        before, resident = served(), edge.master.resident_bytes
        await bad_socket.send(bad.session.stream_opening(encode_frame(Open())))
        # Each of these is refused, each refusal is told, and the reader that never reads says that it has heard.
        item = CheckpointedRecord(bad.ticket.master_oid, RECORD_SEQ_LIMIT, bad.ticket.epoch, payload(1.0))
        frames = [encode_frame(Items((item,))), encode_frame(Resume(RECORD_SEQ_LIMIT))]
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                for _ in range(UNREAD_ACKS):
                    for frame in frames:
                        await bad_socket.send(bad.session.stream_out.seal(frame))
        await until(lambda: _has_streams(edge, 1), "the stream that takes nothing is kept")
        bad_socket.abort()
        assert served() > before
        assert edge.master.resident_bytes - resident < GROWTH_MAX_BYTES


async def _has_streams(edge: Edge, count: int) -> bool:
    return await streams(edge) == count


async def test_member_that_sends_garbage_loses_its_own_stream_each_time(edge: Edge) -> None:
    random = Random(4)
    async with served_beside(edge) as served:
        before = served()
        bad = await edge.member()
        for kind in range(12):
            stream = await bad.open_stream()
            await stream.receive_ack()
            plaintext = bytes([random.choice((0x02, 0x03, 0x12, 0xFF))]) + random.randbytes(random.randrange(2_000))
            sealed = bad.session.stream_out.seal(plaintext)
            await stream.socket.send_bytes(sealed if kind % 2 else random.randbytes(len(sealed)))
            while (message := await stream.socket.receive(timeout=30)).type is aiohttp.WSMsgType.BINARY:
                pass
            assert (message.type, stream.socket.close_code) == (aiohttp.WSMsgType.CLOSE, POLICY_VIOLATION)
            await bad.open_session()
        assert (await bad.send(bad.record())).reason is Reason.NONE, "its next good record is as good as anybody's"
        assert served() > before


@pytest.mark.parametrize("seq", [0, RECORD_SEQ_LIMIT, 2**63, 2**64 - 1])
async def test_seq_that_cannot_be_is_refused_and_nothing_is_stored(edge: Edge, seq: int) -> None:
    async with served_beside(edge):
        bad = await edge.member()
        ack = await bad.send(bad.record(seq=seq))
        assert (ack.reason, ack.refused_seq, ack.last_seq) == (Reason.BAD_RANGE, seq, 0)
        assert (await bad.send(bad.record())).last_seq == 1


async def test_seq_that_jumps_or_goes_back_spoils_only_its_own_device(edge: Edge) -> None:
    async with served_beside(edge):
        bad = await edge.member()
        highest = RECORD_SEQ_LIMIT - 1
        assert (await bad.send(bad.record(seq=5))).last_seq == 5
        assert (await bad.send(bad.record(seq=3))).reason is Reason.SEQ_NOT_RISING
        assert (await bad.send(bad.record(seq=5, content=payload(9.0)))).reason is Reason.EQUIVOCATION
        assert (await bad.send(bad.record(seq=highest))).last_seq == highest
        assert (await bad.send(bad.record(seq=6))).reason is Reason.SEQ_NOT_RISING


async def test_thousand_streams_of_one_member_are_one_stream(edge: Edge) -> None:
    """The others are closed unopened, and all of them count against one address; nobody else waits for a place."""
    async with served_beside(edge) as served:
        bad = await edge.member()
        stream = DeviceStream(bad.session, await edge.http.ws_connect(f"{edge.url}/stream"))
        opening = bad.session.stream_opening(encode_frame(Open()))
        await stream.socket.send_bytes(opening)
        await stream.receive_ack()
        before, resident = served(), edge.master.resident_bytes

        async def open_one_more(number: int) -> bool:
            made = await RawSocket.connect(edge, "127.0.0.2")
            if made is None:
                return False
            if number % 2:
                with contextlib.suppress(ConnectionError):
                    await made.send(opening)
            await made.read_to_end()
            return True

        async with asyncio.timeout(PATIENCE_S):
            were_taken = await asyncio.gather(*(open_one_more(number) for number in range(STREAMS)))
        assert were_taken.count(True) > 0, "every one that was taken was closed by the master"
        assert await streams(edge) == 2
        assert edge.master.resident_bytes - resident < GROWTH_MAX_BYTES
        assert served() > before
        await stream.send(Items((bad.record(),)))
        assert (await stream.receive_ack()).last_seq == 1, "and the one that it has goes on"
        await stream.socket.close()
