"""A laptop and a Pi on one cable: found by real mDNS and IPv6, and found again when the laptop's address changes."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.conftest import KIND, Bed
from tests.support.running_master import MASTER_KEY
from tests.support.two_machines import TwoMachines
from tests.support.ward import Device, Master, wait_until

pytestmark = [pytest.mark.network, pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(400)]

SEARCHES = replace(KIND, mdns=True)
MASTER = f"0x{MASTER_KEY.address.hex()}"


@pytest.fixture
def machines() -> Iterator[TwoMachines]:
    with TwoMachines() as machines:
        yield machines


def set_up(bed: Bed, machines: TwoMachines, public_host: str = "", **settings: Any) -> None:
    laptop, pi = machines.laptop.surroundings, machines.pi.surroundings
    bed.set_up(
        Master(bed.folder, surroundings=laptop, host="*", public_host=public_host, **settings),
        Device(bed.folder, 1, SEARCHES, bed.recording, surroundings=pi, heartbeat_s=2),
    )


def find(bed: Bed) -> list[dict[str, object]]:
    done = bed.device.run("slave", "find", "--json")
    assert done.returncode == 0, done.stderr
    seen: list[dict[str, object]] = json.loads(done.stdout)
    return seen


def test_master_in_sight_is_listed_with_every_address_and_its_proof(bed: Bed, machines: TwoMachines) -> None:
    """Nobody gave either machine an address but the kernel, and the laptop one of IPv4."""
    machines.laptop.add_address("10.7.7.1/24")
    machines.pi.add_address("10.7.7.2/24")
    set_up(bed, machines)
    bed.master.open_group()
    own = f"[{machines.laptop.link_local()}%eth0]:{bed.master.port}"
    wait_until(lambda: len(find(bed)) == 2, "the master is not in sight", bed.master.tail)
    assert {str(one["endpoint"]): (one["master"], one["state"], one["is_ours"]) for one in find(bed)} == {
        f"10.7.7.1:{bed.master.port}": (MASTER, "proved", False),
        own: (MASTER, "proved", False),
    }


def test_master_without_mdns_is_not_in_sight_and_its_typed_link_local_address_works(
    bed: Bed, machines: TwoMachines
) -> None:
    """The pairing string names the address without a scope, which the laptop cannot know."""
    set_up(bed, machines, mdns="no")
    bed.open()
    assert bed.device.status()["endpoint"] == f"[{machines.laptop.link_local()}]:{bed.master.port}"
    assert bed.device.status()["reached"] == {
        "endpoint": f"[{machines.laptop.link_local()}%eth0]:{bed.master.port}",
        "way": "typed",
    }
    bed.wait_for_records(20)
    assert find(bed) == []
    bed.deliver_everything()


@pytest.mark.parametrize(
    ("before", "after", "own"),
    [("10.7.7.1", "10.7.7.99", "10.7.7.2"), ("fd00:7::1", "fd00:7::99", "fd00:7::2")],
    ids=["IPv4", "IPv6"],
)
def test_device_that_streams_finds_its_master_again_at_another_address_and_loses_nothing(
    bed: Bed, machines: TwoMachines, before: str, after: str, own: str
) -> None:
    length = "/64" if ":" in own else "/24"
    machines.laptop.add_address(before + length)
    machines.pi.add_address(own + length)
    set_up(bed, machines, public_host=before, stream_heartbeat_s=1)
    bed.open()
    bed.wait_for_records(20)
    machines.laptop.drop_address(before + length)
    machines.laptop.add_address(after + length)

    def has_moved() -> bool:
        reached = bed.device.status().get("reached")
        return reached is not None and reached["way"] in {"mdns", "last"} and bed.device.is_streaming()

    wait_until(has_moved, "the device does not find its master", lambda: bed.device.tail() + bed.master.tail())
    bed.wait_for_records(20)
    assert bed.device.status()["last_endpoint"] == bed.device.status()["reached"]["endpoint"]
    told = bed.device.run("doctor", "--state-dir", str(bed.device.state_dir)).stdout
    assert "(where it was last) has proved to be" in told
    assert f"{before}" in told, "the doctor says what else was tried"
    bed.deliver_everything()


def test_device_that_was_away_finds_its_master_under_its_next_key_at_another_address(
    bed: Bed, machines: TwoMachines
) -> None:
    """mDNS tells of a master whose address the device has never seen; the old key's signature leads to it."""
    machines.laptop.add_address("10.7.7.1/24")
    machines.pi.add_address("10.7.7.2/24")
    set_up(bed, machines, public_host="10.7.7.1")
    bed.open()
    bed.wait_for_records(20)
    bed.device.stop()
    bed.master.stop()
    machines.laptop.drop_address("10.7.7.1/24")
    machines.laptop.add_address("10.7.7.99/24")
    rotated = bed.master.run("master", "rotate-key", "--json")
    assert rotated.returncode == 0, rotated.stderr
    bed.master.start()
    bed.device.start()
    bed.wait_until_streaming()
    status = bed.device.status()
    assert status["reached"]["way"] == "mdns"
    assert status["master"] == json.loads(rotated.stdout)["new_master"]
    bed.wait_for_records(20)
    bed.deliver_everything()
