import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from group_protocol.errors import StoreError
from system_ports.credentials import find_credential
from system_ports.service_notify import ServiceNotifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """A service manager's end of the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        yield listener


def heard(manager: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(manager.recv(4_096).decode())
        except BlockingIOError:
            return messages


def notifier(tmp_path: Path, **variables: str) -> ServiceNotifier:
    return ServiceNotifier.from_environment({"NOTIFY_SOCKET": str(tmp_path / "notify"), **variables})


def test_life_of_a_service_is_told_in_order(tmp_path: Path, manager: socket.socket) -> None:
    service = notifier(tmp_path)
    service.ready("listening\nWATCHDOG=trigger")
    service.status("streaming")
    service.reloading()
    service.stopping()
    ready, status, reloading, stopping = heard(manager)
    assert ready == "READY=1\nSTATUS=listening WATCHDOG=trigger"
    assert status == "STATUS=streaming"
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert reloading.rsplit("=", 1)[1].isdigit()
    assert stopping == "STOPPING=1"


def test_abstract_socket_is_reached() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        name = f"vgroup-test-{os.getpid()}"
        listener.bind("\0" + name)
        listener.settimeout(5)
        ServiceNotifier("@" + name).status("here")
        assert listener.recv(100) == b"STATUS=here"


async def test_without_a_manager_nothing_happens() -> None:
    service = ServiceNotifier.from_environment({})
    service.ready("x")
    await service.feed_watchdog(_never_called)
    ServiceNotifier("/nowhere/at/all").ready("x")


@pytest.mark.parametrize(
    ("variables", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_watchdog_is_taken_if_it_is_meant_for_this_process(
    tmp_path: Path, variables: dict[str, str], watchdog_s: float | None
) -> None:
    assert notifier(tmp_path, **variables).watchdog_s == watchdog_s


async def _never_called() -> None:
    raise AssertionError


async def test_watchdog_is_fed_after_a_proof_and_starves_when_the_work_hangs(
    tmp_path: Path, manager: socket.socket
) -> None:
    service = notifier(tmp_path, WATCHDOG_USEC="30000")
    steps: asyncio.Queue[None] = asyncio.Queue()
    proved = asyncio.Event()

    async def prove() -> None:
        await steps.get()
        proved.set()

    feeding = asyncio.create_task(service.feed_watchdog(prove))
    await asyncio.sleep(0.1)
    assert heard(manager) == []
    steps.put_nowait(None)
    await proved.wait()
    await asyncio.sleep(0.1)
    assert heard(manager) == ["WATCHDOG=1"]
    feeding.cancel()


async def test_store_that_says_what_is_wrong_is_no_hang(tmp_path: Path, manager: socket.socket) -> None:
    service = notifier(tmp_path, WATCHDOG_USEC="30000")

    async def prove() -> None:
        await asyncio.sleep(0)
        raise StoreError("the disk is full")

    feeding = asyncio.create_task(service.feed_watchdog(prove))
    await asyncio.sleep(0.05)
    feeding.cancel()
    assert "WATCHDOG=1" in heard(manager)


async def test_mistake_of_ours_starves_the_watchdog(tmp_path: Path, manager: socket.socket) -> None:
    service = notifier(tmp_path, WATCHDOG_USEC="30000")
    with pytest.raises(AssertionError):
        await service.feed_watchdog(_never_called)
    assert heard(manager) == []


def test_credential_is_found_by_its_name_and_an_empty_one_is_none(tmp_path: Path) -> None:
    (tmp_path / "master.passphrase").write_text("x\n")
    (tmp_path / "slave.key").touch()
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert find_credential("master.passphrase", environment) == tmp_path / "master.passphrase"
    assert find_credential("slave.key", environment) is None
    assert find_credential("other", environment) is None
    assert find_credential("master.passphrase", {}) is None
