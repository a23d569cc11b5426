import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from group_protocol.errors import StoreError
from group_protocol.peer_messages import Delivery
from slave_client.inbox import Inbox
from slave_client.inbox_file import INBOX_FILE, InboxFile
from tests.support.peer_messages import make_delivery
from tests.support.records import DEVICE, make_payload
from tests.support.seeded import ManualClock, SeededRandom

SECRET = b"s" * 32


async def open_inbox(folder: Path, *, most: int = 100, keeps_unhandled: bool = False, seed: int = 1) -> Inbox:
    return await Inbox.open(
        folder, SECRET, most=most, keeps_unhandled=keeps_unhandled, clock=ManualClock(), random=SeededRandom(seed)
    )


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[Inbox]:
    inbox = await open_inbox(tmp_path)
    yield inbox
    await inbox.close()


def shown(folder: Path) -> list[int]:
    """The seqs, as ``vgroup slave inbox`` reads them beside the running daemon."""
    file = InboxFile(folder / INBOX_FILE, SECRET, None)
    try:
        return [message.seq for message in file.iterate()]
    finally:
        file.close()


async def test_message_is_kept_with_its_evidence_over_restarts(tmp_path: Path) -> None:
    for seed, seq in enumerate((3, 4)):
        inbox = await open_inbox(tmp_path, seed=seed)
        assert await inbox.take([make_delivery(seq)]) == 1
        await inbox.close()
    inbox = await open_inbox(tmp_path, seed=9)
    first, second = await inbox.read_unhandled(10)
    assert (first.delivery, second.delivery) == (make_delivery(3), make_delivery(4))
    assert (first.number, second.number) == (1, 2)
    fields = first.to_fields()
    assert (fields["from"], fields["seq"]) == (DEVICE.hex(), 3)
    assert fields["readings"] == [{"name": "ppg", "time_unix_s": 1_700_000_000.0, "value": 3.0, "unit": "1"}]
    await inbox.close()


async def test_repetition_and_what_comes_out_of_order_are_left_out_also_after_a_restart(tmp_path: Path) -> None:
    inbox = await open_inbox(tmp_path)
    assert await inbox.take([make_delivery(5), make_delivery(5), make_delivery(4), make_delivery(6)]) == 2
    await inbox.close()
    inbox = await open_inbox(tmp_path, seed=2)
    assert await inbox.take([make_delivery(6, number=99), make_delivery(1), make_delivery(7)]) == 1
    await inbox.close()
    assert shown(tmp_path) == [5, 6, 7]


async def test_repetition_is_known_although_the_message_was_deleted_long_ago(tmp_path: Path) -> None:
    inbox = await open_inbox(tmp_path, most=2)
    await inbox.take([make_delivery(seq) for seq in range(1, 6)])
    assert shown(tmp_path) == [4, 5]
    assert (await inbox.fill()).dropped == 3
    assert await inbox.take([make_delivery(1)]) == 0
    await inbox.close()


def test_message_lies_sealed_on_the_disk(tmp_path: Path) -> None:
    file = InboxFile(tmp_path / INBOX_FILE, SECRET, SeededRandom(1))
    file.take([make_delivery(3, payload=b"very secret indeed")], 0.0, 10, keeps_unhandled=False)
    content = b"".join(path.read_bytes() for path in tmp_path.glob("inbox.db*"))
    assert b"very secret indeed" not in content
    assert (tmp_path / INBOX_FILE).stat().st_mode & 0o777 == 0o600


async def test_message_that_was_changed_on_the_disk_is_not_shown(inbox: Inbox, tmp_path: Path) -> None:
    await inbox.take([make_delivery(3), make_delivery(4)])
    with sqlite3.connect(tmp_path / INBOX_FILE) as database:
        database.execute("UPDATE message SET received_ms = received_ms + 1 WHERE number = 1")
    assert shown(tmp_path) == [4]


async def test_nothing_that_a_handler_has_not_taken_is_deleted(tmp_path: Path) -> None:
    inbox = await open_inbox(tmp_path, most=3, keeps_unhandled=True)
    await inbox.take([make_delivery(seq) for seq in (1, 2, 3)])
    first, *_ = await inbox.read_unhandled(1)
    await inbox.note_handled(first)
    await inbox.take([make_delivery(4)])
    assert shown(tmp_path) == [2, 3, 4]
    assert [message.seq for message in await inbox.read_unhandled(10)] == [2, 3, 4]
    await inbox.close()


async def test_damaged_file_is_set_aside_and_reported(tmp_path: Path) -> None:
    (tmp_path / INBOX_FILE).write_bytes(b"rubbish" * 1_000)
    (tmp_path / INBOX_FILE).chmod(0o600)
    inbox = await open_inbox(tmp_path)
    assert "inbox.db.damaged-1" in inbox.damage
    assert await inbox.take([make_delivery(1)]) == 1
    await inbox.close()


async def test_medium_that_refuses_keeps_neither_message_nor_mark(inbox: Inbox, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / INBOX_FILE, isolation_level=None)
    other.execute("CREATE TRIGGER full BEFORE INSERT ON message BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(StoreError):
        await inbox.take([make_delivery(1)])
    other.execute("DROP TRIGGER full")
    other.close()
    assert await inbox.take([make_delivery(1)]) == 1


def test_extreme_payload_survives(tmp_path: Path) -> None:
    file = InboxFile(tmp_path / INBOX_FILE, SECRET, SeededRandom(1))
    delivery: Delivery = make_delivery(1, payload=make_payload(1, readings=1_000))
    file.take([delivery], -5.0, 10, keeps_unhandled=False)
    (message,) = file.read_after(0, 10)
    assert (message.delivery, message.received_unix_s) == (delivery, 0.0)
    file.close()
