"""Bad networks, under the kernel's real TCP: packets that are lost and late, and peers that vanish without a word."""

from collections.abc import Callable, Iterator

import pytest

from tests.faults.conftest import KIND, Bed
from tests.support.rough_link import RoughLink
from tests.support.ward import Device, DeviceKind, Master, wait_until

pytestmark = [pytest.mark.network, pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(300)]

SLOW = DeviceKind(rate_hz=20, batch_readings=10, via="stream", keep_hours=0)


@pytest.fixture
def link() -> Iterator[RoughLink]:
    with RoughLink(seed=5) as link:
        yield link


def set_up(bed: Bed, link: RoughLink, kind: DeviceKind, heartbeat_s: int = 20) -> None:
    everywhere = "0.0.0.0"  # noqa: S104 - in a network of its own
    bed.set_up(
        Master(
            bed.folder,
            surroundings=link.surroundings,
            host=everywhere,
            public_host=link.address,
            stream_heartbeat_s=heartbeat_s,
        ),
        Device(bed.folder, 1, kind, bed.recording, surroundings=link.surroundings),
    )


@pytest.mark.timeout(400)
@pytest.mark.parametrize("via", ["stream", "data"])
def test_device_joins_and_delivers_over_a_link_that_loses_a_third_and_takes_half_a_second(
    bed: Bed, link: RoughLink, via: str, record_property: Callable[[str, object], None]
) -> None:
    record_property("mechanism", link.mechanism)
    set_up(bed, link, DeviceKind(rate_hz=20, batch_readings=10, via=via, keep_hours=0))
    link.set(loss=0.3, delay_s=0.5)
    bed.open()
    bed.wait_for_records(20)
    link.mend()
    wait_until(lambda: bed.device.status()["buffer"]["records"] < 5, "the backlog does not go", bed.device.tail)
    bed.deliver_everything()


def test_device_that_vanishes_is_let_go_and_may_come_back(bed: Bed, link: RoughLink) -> None:
    set_up(bed, link, KIND, heartbeat_s=1)
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


@pytest.mark.timeout(200)
@pytest.mark.parametrize("via", ["stream", "data"])
def test_master_that_vanishes_stops_no_measuring_and_everything_is_delivered_later(
    bed: Bed, link: RoughLink, via: str
) -> None:
    set_up(bed, link, DeviceKind(rate_hz=100, batch_readings=10, via=via, keep_hours=0))
    bed.open()
    bed.wait_for_records(20)
    link.cut()
    wait_until(lambda: bed.device.state() == "backing-off", "the device takes silence for a master", bed.device.tail)
    assert bed.device.status()["buffer"]["records"] > 20
    link.mend()
    bed.wait_until_streaming()
    bed.wait_for_records(40)
    bed.deliver_everything()
