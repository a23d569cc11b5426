"""Bad networks, under the kernel's real TCP: packets that are lost and late, and peers that vanish without a word."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.faults.conftest import KIND, Bed
from tests.support.rough_link import RoughLink
from tests.support.ward import Device, DeviceKind, Master, wait_until

pytestmark = [pytest.mark.network, pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(300)]

SLOW, QUICK = (
    tuple(DeviceKind(rate_hz, batch_readings=10, via=via, keep_hours=0) for via in ("stream", "data"))
    for rate_hz in (20, 200)
)


@pytest.fixture
def link() -> Iterator[RoughLink]:
    with RoughLink(seed=5) as link:
        yield link


def set_up(bed: Bed, link: RoughLink, *kinds: DeviceKind, master_heartbeat_s: int = 20, heartbeat_s: int = 20) -> None:
    """A device of each kind, on the same link at the same time."""
    everywhere = "0.0.0.0"  # noqa: S104 - in a network of its own
    master = Master(
        bed.folder,
        surroundings=link.surroundings,
        host=everywhere,
        public_host=link.address,
        stream_heartbeat_s=master_heartbeat_s,
    )
    devices = (
        Device(bed.folder, number, kind, bed.recording, surroundings=link.surroundings, heartbeat_s=heartbeat_s)
        for number, kind in enumerate(kinds, start=1)
    )
    bed.set_up(master, *devices)


def has_few_waiting(device: Device) -> bool:
    return int(device.status()["buffer"]["records"]) < 5


def backs_off(device: Device) -> bool:
    return device.state() == "backing-off"


def test_devices_join_and_deliver_over_a_link_that_loses_a_third_and_takes_half_a_second(
    bed: Bed, link: RoughLink, record_property: Callable[[str, object], None]
) -> None:
    record_property("mechanism", link.mechanism)
    set_up(bed, link, *SLOW)
    link.set(loss=0.3, delay_s=0.5)
    bed.open()
    bed.wait_for_records(20)
    link.mend()
    for device in bed.devices:
        wait_until(partial(has_few_waiting, device), "the backlog does not go", device.tail)
    bed.deliver_everything()


def test_device_that_vanishes_is_let_go_and_may_come_back(bed: Bed, link: RoughLink) -> None:
    set_up(bed, link, KIND, master_heartbeat_s=1)
    bed.open()
    bed.wait_for_records(20)
    link.cut()
    bed.device.kill()  # its kernel's farewell is lost
    wait_until(lambda: bed.master.ask("master.status")["streams"] == 0, "the half-open stream is kept", bed.master.tail)
    link.mend()
    bed.device.start()
    bed.wait_until_streaming()
    bed.wait_for_records(20)
    bed.deliver_everything()


def test_master_that_vanishes_stops_no_measuring_and_everything_is_delivered_later(bed: Bed, link: RoughLink) -> None:
    set_up(bed, link, *QUICK, heartbeat_s=2)
    bed.open()
    bed.wait_for_records(20)
    link.cut()
    for device in bed.devices:
        wait_until(partial(backs_off, device), f"{device.name} takes silence for a master", device.tail)
        assert device.status()["buffer"]["records"] > 20
    link.mend()
    bed.wait_until_streaming()
    bed.wait_for_records(40)
    bed.deliver_everything()
