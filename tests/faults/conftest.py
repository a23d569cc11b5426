"""A ward of real processes for one fault at a time."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kills.ledger import Ledger, read_waiting
from tests.support.ward import Device, DeviceKind, Master, Victim, wait_until, write_recording

KIND = DeviceKind(rate_hz=200, batch_readings=5, via="stream", keep_hours=0)


class Bed:
    """A master with one device; what a test changes, it changes before :meth:`open`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recording = write_recording(folder)
        self.master: Master
        self.device: Device
        self.ledger: Ledger
        self._victims: list[Victim] = []

    def set_up(self, master: Master, device: Device | None = None) -> None:
        self.master = master
        self.device = device or Device(self.folder, 1, KIND, self.recording)
        self._victims = [self.master, self.device]

    def open(self) -> None:
        """Form the group, join the device, start it, and see it stream."""
        self.master.open_group()
        self.ledger = Ledger(self.device, self.device.join(self.master.invite("bed 1")))
        self.device.start()
        self.wait_until_streaming()

    def wait_until_streaming(self) -> None:
        wait_until(self.device.is_streaming, "the device does not stream", self.device.tail)

    def check(self) -> None:
        self.ledger.check(self.master.store)

    def wait_for_records(self, count: int) -> None:
        """So many more than now."""
        self.check()
        goal = self.ledger.last_seq + count

        def has_arrived() -> bool:
            self.check()
            return self.ledger.last_seq >= goal

        wait_until(has_arrived, "no records arrive", lambda: self.device.tail() + self.master.tail())

    def deliver_everything(self) -> None:
        """Stop the device; all that it said is stored, in order, with evidence, and no process told of a mistake."""
        self.device.stop()
        self.check()
        assert read_waiting(self.device).payloads == {}, self.device.tail()
        report = self.master.ask("records.verify")
        assert (report["is_good"], report["waiting"], report["missing"]) == (True, 0, 0), report
        assert report["good"] == self.ledger.last_seq
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
