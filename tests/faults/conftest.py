"""A ward of real processes for one fault at a time."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from tests.kills.ledger import Ledger, read_waiting
from tests.support.ward import Device, DeviceKind, Master, Victim, wait_until, write_recording

KIND = DeviceKind(rate_hz=200, batch_readings=5, via="stream", keep_hours=0)


class Bed:
    """A master with one device or several; what a test changes, it changes before :meth:`open`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recording = write_recording(folder)
        self.master: Master
        self.devices: list[Device] = []
        self.ledgers: list[Ledger] = []
        self._victims: list[Victim] = []

    @property
    def device(self) -> Device:
        """The first."""
        return self.devices[0]

    @property
    def ledger(self) -> Ledger:
        """The first device's."""
        return self.ledgers[0]

    @ledger.setter
    def ledger(self, ledger: Ledger) -> None:
        self.ledgers[:1] = [ledger]

    def set_up(self, master: Master, *devices: Device) -> None:
        self.master = master
        self.devices = list(devices) or [Device(self.folder, 1, KIND, self.recording)]
        self._victims = [self.master, *self.devices]

    def open(self) -> None:
        """Form the group, join the devices side by side, start them, and see them stream."""
        self.master.open_group()
        with ThreadPoolExecutor() as pool:
            self.ledgers = list(pool.map(self._join, self.devices, count(1)))
        self.wait_until_streaming()

    def _join(self, device: Device, number: int) -> Ledger:
        ledger = Ledger(device, device.join(self.master.invite(f"bed {number}")))
        device.start()
        return ledger

    def wait_until_streaming(self) -> None:
        for device in self.devices:
            wait_until(device.is_streaming, f"{device.name} does not stream", device.tail)

    def check(self) -> None:
        for ledger in self.ledgers:
            ledger.check(self.master.store)

    def wait_for_records(self, count: int) -> None:
        """So many more than now, of each device."""
        self.check()
        goals = [ledger.last_seq + count for ledger in self.ledgers]

        def have_arrived() -> bool:
            self.check()
            return all(ledger.last_seq >= goal for ledger, goal in zip(self.ledgers, goals, strict=True))

        wait_until(have_arrived, "no records arrive", lambda: "".join(victim.tail() for victim in self._victims))

    def deliver_everything(self) -> None:
        """Stop the devices; all that they said is stored, in order, with evidence, and no process told of a mistake."""
        for device in self.devices:
            device.stop()
        self.check()
        for device in self.devices:
            assert read_waiting(device).payloads == {}, device.tail()
        report = self.master.ask("records.verify")
        assert (report["is_good"], report["waiting"], report["missing"]) == (True, 0, 0), report
        assert report["good"] == sum(ledger.last_seq for ledger in self.ledgers)
        self.master.ask("audit.verify")
        for victim in self._victims:
            assert "Traceback" not in victim.log.read_text("utf-8", "replace"), victim.tail()

    def close(self) -> None:
        for victim in self._victims:
            victim.end()


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    bed = Bed(tmp_path)
    try:
        yield bed
    finally:
        bed.close()


@pytest.fixture
def status_error(bed: Bed) -> Callable[[], str]:
    """What the device says went wrong last."""

    def read() -> str:
        error = bed.device.status().get("last_error")
        return str(error["message"]) if error else ""

    return read
