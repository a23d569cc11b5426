"""Records over GET /stream (docs/protocol.md §5.3, §6)."""

import asyncio
import threading
from pathlib import Path

import pytest

from group_protocol.errors import Reason
from group_protocol.frames import Ack, Close, Items, Open, Resume, encode_frame
from master_api.record_pace import CREDIT_MAX_BYTES
from master_api.store.records import iterate_records
from master_api.stream import Stream
from tests.support.failing_store import failing_commits, held_commits
from tests.support.running_master import Bench, running_master

pytestmark = pytest.mark.network


def stored_seqs(bench: Bench) -> list[int]:
    return bench.store.read_now(lambda connection: [record.seq for record in iterate_records(connection)])


async def test_open_is_answered_and_records_are_acknowledged_in_order(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        stream = await device.open_stream()
        assert await stream.receive_ack() == Ack(0, 0, bench.context.config.stream_credit_bytes, 1)
        for _ in range(20):
            await stream.send(Items((device.record(), device.record())))
        last_seq = 0
        while last_seq < 40:
            ack = await stream.receive_ack()
            assert (ack.reason, ack.last_seq > last_seq) == (Reason.NONE, True)
            last_seq = ack.last_seq
        assert stored_seqs(bench) == list(range(1, 41))


async def test_many_frames_in_one_commit_share_one_ack(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        stream = await device.open_stream()
        await stream.receive_ack()
        may_commit = threading.Event()
        with held_commits(bench.store, lambda: may_commit.wait(10)):
            await stream.send(Items((device.record(),)))
            await asyncio.sleep(0.1)
            for _ in range(30):
                await stream.send(Items((device.record(),)))
            await asyncio.sleep(0.2)
            may_commit.set()
            acks = [await stream.receive_ack()]
            while acks[-1].last_seq < 31:
                acks.append(await stream.receive_ack())
        assert len(acks) < 10


async def test_refused_record_stops_the_stream_until_resume_names_it(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        stream = await device.open_stream()
        await stream.receive_ack()
        await stream.send(Items((device.record(),)))
        await stream.send(Items((device.record(content=b"\x00"),)))
        await stream.send(Items((device.record(),)))
        acks = [await stream.receive_ack()]
        while acks[-1].reason is Reason.NONE:
            acks.append(await stream.receive_ack())
        assert (acks[-1].last_seq, acks[-1].refused_seq, acks[-1].reason) == (1, 2, Reason.MALFORMED)
        await stream.send(Resume(2))
        await stream.send(Items((device.record(seq=3),)))
        assert (await stream.receive_ack()).last_seq == 3
        assert stored_seqs(bench) == [1, 3]


async def test_resume_that_names_another_seq_closes_the_stream(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        stream = await device.open_stream()
        await stream.receive_ack()
        await stream.send(Resume(7))
        assert await stream.receive() == Close(Reason.MALFORMED)
        assert await stream.receive_close_code() == 1008


@pytest.mark.parametrize(
    "spoil", ["flipped bit", "replayed", "skipped seq", "text", "empty", "second OPEN", "not a frame"]
)
async def test_anything_out_of_order_closes_the_stream_with_1008(tmp_path: Path, spoil: str) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        stream = await device.open_stream()
        await stream.receive_ack()
        message = device.session.stream_out.seal(encode_frame(Items((device.record(),))))
        match spoil:
            case "flipped bit":
                await stream.socket.send_bytes(message[:-1] + bytes([message[-1] ^ 1]))
            case "replayed":
                await stream.socket.send_bytes(message)
                await stream.receive_ack()
                await stream.socket.send_bytes(message)
            case "skipped seq":
                await stream.send(Items((device.record(),)))
            case "text":
                await stream.socket.send_str("hello")
            case "empty":
                await stream.socket.send_bytes(b"")
            case "second OPEN":
                await stream.socket.send_bytes(message)
                await stream.send(Open())
            case _:
                await stream.socket.send_bytes(message)
                await stream.socket.send_bytes(device.session.stream_out.seal(b"\xff"))
        assert await stream.receive_close_code() == 1008
        assert set(stored_seqs(bench)) <= {1}


@pytest.mark.parametrize("opening", [b"", bytes(23), bytes(64), b"unknown session!" + bytes(40)])
async def test_socket_without_a_good_opening_is_closed_and_claims_nothing(tmp_path: Path, opening: bytes) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        socket = await bench.http.ws_connect(bench.url + "/stream")
        await socket.send_bytes(opening)
        message = await socket.receive(timeout=5)
        assert (message.data, socket.close_code) == (1008, 1008)
        stream = await device.open_stream()
        assert (await stream.receive_ack()).reason is Reason.NONE


async def test_forged_opening_of_a_known_session_claims_nothing(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        socket = await bench.http.ws_connect(bench.url + "/stream")
        await socket.send_bytes(device.session.sid + bytes(8) + bytes(40))
        assert (await socket.receive(timeout=5)).data == 1008
        stream = await device.open_stream()
        assert (await stream.receive_ack()).reason is Reason.NONE


async def test_socket_that_is_not_opened_in_time_is_closed(tmp_path: Path) -> None:
    async with running_master(tmp_path, stream_open_timeout_s=0.1) as bench:
        socket = await bench.http.ws_connect(bench.url + "/stream")
        assert (await socket.receive(timeout=5)).data == 1008


async def test_second_stream_of_a_session_is_refused(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        socket = await bench.http.ws_connect(bench.url + "/stream")
        opening = device.session.stream_opening(encode_frame(Open()))
        await socket.send_bytes(opening)
        await socket.receive(timeout=5)
        again = await bench.http.ws_connect(bench.url + "/stream")
        await again.send_bytes(opening)
        assert (await again.receive(timeout=5)).data == 1008


async def test_message_larger_than_a_frame_may_be_closes_the_stream(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        stream = await device.open_stream()
        await stream.receive_ack()
        await stream.socket.send_bytes(bytes(300_000))
        assert await stream.receive_close_code() in {1008, 1009}


async def test_failing_store_acknowledges_nothing_and_the_stream_goes_on_after_resume(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        stream = await device.open_stream()
        await stream.receive_ack()
        records = [device.record() for _ in range(6)]
        with failing_commits(bench.store):
            for record in records:
                await stream.send(Items((record,)))
            ack = await stream.receive_ack()
            assert (ack.last_seq, ack.refused_seq, ack.reason) == (0, 1, Reason.STORE_UNAVAILABLE)
            await asyncio.sleep(0.2)
        assert stored_seqs(bench) == []
        await stream.send(Resume(1))
        for record in records:
            await stream.send(Items((record,)))
        while (ack := await stream.receive_ack()).last_seq < 6:
            assert ack.reason is Reason.NONE
        assert stored_seqs(bench) == [1, 2, 3, 4, 5, 6]


async def test_store_that_fails_again_after_resume_is_told_again(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        stream = await device.open_stream()
        await stream.receive_ack()
        record = device.record()
        with failing_commits(bench.store):
            for _ in range(3):
                await stream.send(Items((record,)))
                assert (await stream.receive_ack()).reason is Reason.STORE_UNAVAILABLE
                await stream.send(Resume(1))
        await stream.send(Items((record,)))
        assert (await stream.receive_ack()).last_seq == 1


async def test_device_cannot_occupy_more_than_its_credit(tmp_path: Path) -> None:
    async with running_master(tmp_path, stream_credit_bytes=2_000) as bench:
        device = await bench.joined_device(5)
        stream = await device.open_stream()
        await stream.receive_ack()
        live = bench.context.live.of_device(device.oid)
        assert live is not None
        may_commit = threading.Event()
        with held_commits(bench.store, lambda: may_commit.wait(10)):
            for _ in range(100):
                await stream.send(Items((device.record(),)))
            await asyncio.sleep(0.3)
            assert isinstance(live.stream, Stream)
            assert live.stream._waiting_bytes < 2_200
            may_commit.set()
            while (await stream.receive_ack()).last_seq < 100:
                pass


async def test_newer_session_ends_the_stream_of_the_older(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        stream = await device.open_stream()
        await stream.receive_ack()
        await device.open_session()
        assert await stream.receive() == Close(Reason.REPLACED)
        assert await stream.receive_close_code() == 1000


async def test_stream_beyond_the_sessions_lifetime_is_ended(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        stream = await device.open_stream()
        await stream.receive_ack()
        bench.clock.advance(86_401)
        assert await stream.receive() == Close(Reason.SESSION_EXPIRED)


async def test_shutdown_tells_open_streams(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        stream = await device.open_stream()
        await stream.receive_ack()
        closing = asyncio.create_task(bench.service.close())
        assert await stream.receive() == Close(Reason.SHUTTING_DOWN)
        await stream.receive_close_code()
        await closing


async def test_device_that_closes_gets_its_last_acks_first(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        stream = await device.open_stream()
        await stream.receive_ack()
        await stream.send(Items((device.record(),)))
        await stream.send(Close(Reason.NONE))
        assert (await stream.receive_ack()).last_seq == 1
        assert await stream.receive_close_code() == 1000


async def test_device_that_sends_faster_than_it_may_waits_and_loses_nothing_while_others_go_on(tmp_path: Path) -> None:
    async with running_master(tmp_path, device_records_per_s=20.0) as bench:
        fast, other = await bench.joined_device(5), await bench.joined_device(6)
        flooding, quiet = await fast.open_stream(), await other.open_stream()
        assert (await flooding.receive_ack()).credit_bytes == CREDIT_MAX_BYTES
        await quiet.receive_ack()
        for count in (200, 20):  # the burst of ten seconds, and a second's worth more
            await flooding.send(Items(tuple(fast.record() for _ in range(count))))
        while (await flooding.receive_ack()).last_seq < 220:
            pass
        await flooding.send(Items((fast.record(),)))  # has to wait that second
        await quiet.send(Items((other.record(),)))
        assert (await quiet.receive_ack()).last_seq == 1
        live = bench.context.live.of_device(fast.oid)
        assert live is not None
        assert live.records.committed.last_seq == 220
        assert (await flooding.receive_ack()).last_seq == 221
