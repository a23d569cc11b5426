import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from group_protocol.errors import ConfigurationError, VirtualGroupError
from slave_client.handlers.catalogue import make_handler
from slave_client.handlers.command import HandlerError
from slave_client.handlers.pump import pump_messages
from slave_client.inbox import Inbox
from slave_client.received_message import ReceivedMessage
from tests.support.peer_messages import make_delivery
from tests.support.seeded import ManualClock, SeededRandom
from tests.support.waiting import until

MESSAGE = ReceivedMessage(4, 1_700_000_000.5, make_delivery(9))


class Remembering:
    label = "remembering"

    def __init__(self, failures: int = 0) -> None:
        self.seen: list[int] = []
        self._failures = failures

    async def handle(self, message: ReceivedMessage) -> None:
        self.seen.append(message.seq)
        if self._failures:
            self._failures -= 1
            raise ValueError("not today")


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[Inbox]:
    inbox = await Inbox.open(
        tmp_path, b"s" * 32, most=3, keeps_unhandled=True, clock=ManualClock(), random=SeededRandom(1)
    )
    yield inbox
    await inbox.close()


async def test_every_handler_gets_every_message_in_order_and_the_same_again_after_an_error(inbox: Inbox) -> None:
    first, second = Remembering(failures=1), Remembering()
    errors: list[VirtualGroupError] = []
    pump = asyncio.create_task(pump_messages(inbox, [first, second], errors.append, retry_s=0.0))
    for seq in range(1, 8):  # more than the inbox holds: it waits for the handlers
        await inbox.take([make_delivery(seq)])
    await until(lambda: len(second.seen) == 7)
    pump.cancel()
    await asyncio.gather(pump, return_exceptions=True)
    assert first.seen == [1, 1, 2, 3, 4, 5, 6, 7]
    assert second.seen == [1, 2, 3, 4, 5, 6, 7]
    assert ["not today" in str(error) for error in errors] == [True]
    assert (await inbox.fill()).dropped == 0


async def test_inbox_waits_while_handlers_are_behind_by_its_bound(inbox: Inbox) -> None:
    await inbox.take([make_delivery(seq) for seq in (1, 2, 3)])
    waiting = asyncio.create_task(inbox.take([make_delivery(4)]))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    (message,) = await inbox.read_unhandled(1)
    await inbox.note_handled(message)
    assert await asyncio.wait_for(waiting, 5) == 1


@pytest.mark.processes
async def test_command_gets_the_message_as_json_on_its_standard_input(tmp_path: Path) -> None:
    program = tmp_path / "alarm"
    program.write_text(f'#!/bin/sh\ncat > "{tmp_path / "out"}"\n')
    program.chmod(0o700)
    await make_handler("command", {"path": str(program)}, ManualClock()).handle(MESSAGE)
    fields = json.loads((tmp_path / "out").read_text())
    assert (fields["number"], fields["seq"], fields["readings"][0]["value"]) == (4, 9, 9.0)


@pytest.mark.processes
@pytest.mark.parametrize(
    ("script", "options", "said"),
    [("exit 3", {}, "status 3"), ("exec sleep 60", {"timeout_s": "0.2"}, "longer than"), (None, {}, "cannot run")],
)
async def test_command_that_does_not_take_the_message_is_an_error(
    tmp_path: Path, script: str | None, options: dict[str, str], said: str
) -> None:
    program = tmp_path / "alarm"
    if script is not None:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
    handler = make_handler("command", {"path": str(program), **options}, ManualClock())
    with pytest.raises(HandlerError, match=said):
        await handler.handle(MESSAGE)


@pytest.mark.parametrize(
    ("kind", "options"), [("telepathy", {}), ("command", {}), ("command", {"path": "/x", "y": "z"})]
)
def test_handler_that_is_not_there_or_wrongly_set_is_the_users_mistake(kind: str, options: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_handler(kind, options, ManualClock())
    assert "handler" in str(caught.value)
    assert caught.value.remedy
