"""Slaves that say something to each other, through a running master, as their daemons and commands do it."""

import asyncio
import contextlib
import json
from pathlib import Path

import pytest

from group_protocol.errors import Reason, RefusedError
from group_protocol.identifiers import ObjectId
from group_protocol.tickets import EvidencePolicy
from master_api.store.peer_queue import fetch_counts
from slave_client.control_socket import Sent, Wish, ask_running_slave, control_socket
from tests.support.cut_wire import CutWire
from tests.support.slave_bench import ListSensor
from tests.support.talking_slaves import inbox_of, oid_of, running, texts, ward, wish
from tests.support.waiting import until

pytestmark = pytest.mark.network


@pytest.mark.parametrize("policy", list(EvidencePolicy))
@pytest.mark.parametrize("via", ["stream", "data"])
async def test_message_between_readings_reaches_the_other_slave_once(
    tmp_path: Path, via: str, policy: EvidencePolicy
) -> None:
    async with ward(tmp_path, evidence_policy=policy, checkpoint_records=5) as (bench, alice, bob):
        values = [float(number) for number in range(200)]
        speaking = await alice.daemon(ListSensor(values, 0.001), via=via, ends_with_sensors=False)
        hearing = await bob.daemon(ends_with_sensors=False)
        async with running(hearing), running(speaking):
            for number in range(5):
                sent = await speaking.send(wish(oid_of(bob), f"hello {number}"))
                assert sent.is_acknowledged
            await until(lambda: len(inbox_of(bob)) == 5)
        assert texts(bob) == [f"hello {number}" for number in range(5)]
        assert {message.sender for message in inbox_of(bob)} == {oid_of(alice)}
        (count,) = bench.store.read_now(fetch_counts)
        assert (count.waiting, count.delivered) == (0, 5)
        report = await bench.operations.verify_records()
        assert (report["bad"], report["is_good"]) == (0, True)


async def test_message_waits_while_the_receiver_is_off_and_is_shown_once_over_broken_connections(
    tmp_path: Path,
) -> None:
    async with ward(tmp_path) as (bench, alice, bob), CutWire(bob.port) as wire:
        speaking = await alice.daemon(ends_with_sensors=False)
        async with running(speaking):
            for number in range(100):
                await speaking.send(wish(oid_of(bob), f"{number}", wait_s=5))
        bob.port = wire.port
        async with running(await bob.daemon(ends_with_sensors=False)):
            async with asyncio.timeout(30):
                while len(inbox_of(bob)) < 100:
                    await asyncio.sleep(0.1)
                    wire.cut()
            await until(lambda: sum(count.waiting for count in bench.store.read_now(fetch_counts)) == 0)
        assert texts(bob) == [str(number) for number in range(100)]


async def test_sender_hears_why_the_master_refused_a_message(tmp_path: Path) -> None:
    async with ward(tmp_path, peer_queue_max=1) as (_bench, alice, bob):
        daemon = await alice.daemon(ends_with_sensors=False)
        async with running(daemon):
            with pytest.raises(RefusedError) as unknown:
                await daemon.send(wish(ObjectId(b"n" * 16), "is anybody there?"))
            assert unknown.value.reason is Reason.UNKNOWN_RECEIVER
            await daemon.send(wish(oid_of(bob), "first"))
            with pytest.raises(RefusedError) as full:
                await daemon.send(wish(oid_of(bob), "second"))
            assert full.value.reason is Reason.QUEUE_FULL
            assert full.value.remedy
            with pytest.raises(RefusedError):
                await daemon.send(wish(oid_of(alice), "to myself"))


async def test_message_to_the_master_is_a_reading_like_others(tmp_path: Path) -> None:
    from slave_client.outbox import TO_MASTER  # noqa: PLC0415 - only here

    async with ward(tmp_path) as (bench, alice, _bob):
        daemon = await alice.daemon(ends_with_sensors=False)
        async with running(daemon):
            assert (await daemon.send(wish(TO_MASTER, "hello"))).is_acknowledged
        assert bench.store.read_now(fetch_counts) == []


async def test_device_without_a_mailbox_leaves_its_messages_at_the_master(tmp_path: Path) -> None:
    async with ward(tmp_path) as (bench, alice, bob):
        speaking = await alice.daemon(ends_with_sensors=False)
        async with running(speaking), running(await bob.daemon(via="data", ends_with_sensors=False)):
            assert (await speaking.send(wish(oid_of(bob), "hello"))).is_acknowledged
        (count,) = bench.store.read_now(fetch_counts)
        assert (count.waiting, count.delivered) == (1, 0)
        assert inbox_of(bob) == []


async def test_command_reaches_the_running_slave_by_its_socket_however_long_the_path_is(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    asked: list[Wish] = []

    async def send(asked_wish: Wish) -> Sent:
        asked.append(asked_wish)
        if len(asked) > 1:
            raise RefusedError(Reason.QUEUE_FULL, "full", remedy="wait")
        return Sent(7, is_acknowledged=True)

    said = wish(ObjectId(b"n" * 16), "hello")
    assert await ask_running_slave(folder, said) is None
    async with control_socket(folder, send):
        assert await ask_running_slave(folder, said) == Sent(7, is_acknowledged=True)
        assert asked == [said]
        with pytest.raises(RefusedError) as caught:
            await ask_running_slave(folder, said)
        assert (caught.value.reason, caught.value.remedy) == (Reason.QUEUE_FULL, "wait")
        assert (folder / "control.sock").stat().st_mode & 0o777 == 0o600
        for line in (b"rubbish\n", b"[]\n", b'{"to":"zz"}\n', b"x" * 300_000 + b"\n"):
            descriptor_path = f"/proc/self/fd/{_open_folder(folder)}/control.sock"
            reader, writer = await asyncio.open_unix_connection(descriptor_path)
            writer.write(line)
            answer = b""
            with contextlib.suppress(ConnectionError):  # of the line without an end
                answer = await reader.read()
            assert not answer or "error" in json.loads(answer)
            writer.close()
    assert await ask_running_slave(folder, said) is None


def _open_folder(folder: Path) -> int:
    import os  # noqa: PLC0415 - only here

    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
