"""Places, what a search tells, and the one error of a round."""

import json
import socket

import pytest

from group_protocol.errors import BusyError, DecodingError, UnknownMasterError, VerificationError, VirtualGroupError
from group_protocol.identifiers import Address
from slave_client.device_state import DeviceState, JoinStep
from slave_client.errors import MasterRefusalError, MasterUnreachableError, NotAdmittedError
from slave_client.finding.attempts import Attempts
from slave_client.finding.finder import known_places
from slave_client.finding.places import Place, Way, is_usable_hint, on_every_link
from slave_client.finding.proving import MasterHint
from slave_client.finding.search import parse_sighting

MASTER = Address(bytes(range(20)))
OTHER = f"0x{'ab' * 20}"
ALL_IPV4 = "0.0.0.0"  # noqa: S104 - compared, not bound
TYPED, LAST, TOLD = Place("10.0.0.1", 3000), Place("10.0.0.9", 3000), Place("fe80::1%eth0", 3000)


def test_places_are_written_with_brackets_where_the_address_has_colons() -> None:
    assert (str(TYPED), str(TOLD)) == ("10.0.0.1:3000", "[fe80::1%eth0]:3000")


def test_link_local_address_without_a_scope_is_looked_for_on_every_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo"), (2, "eth0"), (3, "wlan0")])
    assert on_every_link(Place("fe80::1", 1)) == (Place("fe80::1%eth0", 1), Place("fe80::1%wlan0", 1))
    for host in ("fe80::1%wlan0", "fd00::1", "10.0.0.1", "ward.example"):
        assert on_every_link(Place(host, 1)) == (Place(host, 1),)


@pytest.mark.parametrize("host", ["10.0.0.1", "fd00::1", "fe80::1%eth0", "2001:4860::8", "169.254.1.2"])
def test_hint_may_name_a_unicast_address(host: str) -> None:
    assert is_usable_hint(host)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", ALL_IPV4, "::", "224.0.0.251", "ff02::fb", "255.255.255.255", "localhost", "", "a b"]
)
def test_hint_may_not_point_at_this_machine_or_at_many(host: str) -> None:
    assert not is_usable_hint(host)


def sighting(**changes: object) -> bytes:
    return json.dumps({"name": "n", "master": MASTER.hex(), "port": 3000, "hosts": ["10.0.0.9"]} | changes).encode()


def test_line_of_the_search_is_a_sighting_without_unusable_addresses_and_control_characters() -> None:
    seen = parse_sighting(sighting(name="a\x1b[2Jb\n", hosts=["127.0.0.1", "10.0.0.9", "10.0.0.9", 7, "x"]))
    assert (seen.name, seen.master, seen.places) == ("a[2Jb", MASTER, (LAST,))


@pytest.mark.parametrize(
    "line",
    [b"", b"[]", b"{}", b"\xff", sighting(port=0), sighting(port=65_536), sighting(port="x"), sighting(master="00"),
     sighting(master=None), sighting(hosts=None)],
)  # fmt: skip
def test_line_that_tells_of_no_master_raises_decoding_error(line: bytes) -> None:
    with pytest.raises(DecodingError):
        parse_sighting(line)


def test_typed_place_comes_before_the_last_one() -> None:
    state = DeviceState(JoinStep.PAIRED, MASTER, TYPED.host, TYPED.port)
    assert known_places(state) == [(TYPED, Way.TYPED)]
    moved = DeviceState(JoinStep.PAIRED, MASTER, TYPED.host, TYPED.port, last_place=LAST)
    assert known_places(moved) == [(TYPED, Way.TYPED), (LAST, Way.LAST)]
    same = DeviceState(JoinStep.PAIRED, MASTER, TYPED.host, TYPED.port, last_place=TYPED)
    assert known_places(same) == [(TYPED, Way.TYPED)]


def test_last_place_is_on_the_disk_and_states_of_before_have_none() -> None:
    state = DeviceState(JoinStep.PAIRED, MASTER, TYPED.host, TYPED.port, last_place=TOLD)
    assert DeviceState.from_fields(state.to_fields()) == state
    old = {name: value for name, value in state.to_fields().items() if not name.startswith("last_")}
    assert DeviceState.from_fields(old).last_place is None


async def verdict(
    *tried: tuple[Place, Way, VirtualGroupError], says: str | None = None, has_searched: bool = True
) -> VirtualGroupError:
    attempts = Attempts(has_searched=has_searched)
    for place, way, error in tried:
        attempts.add(place, way, error)

    async def ask_who(_place: Place) -> MasterHint | None:
        return None if says is None else MasterHint(says, None)

    return await attempts.verdict(MASTER, ask_who)


UNREACHABLE = MasterUnreachableError("no connection to 10.0.0.1:3000: refused", remedy="Look.")
WRONG = VerificationError("the master's signature is another one's")


async def test_unreachable_master_is_told_with_everything_that_was_tried() -> None:
    error = await verdict((TYPED, Way.TYPED, UNREACHABLE), (LAST, Way.LAST, UNREACHABLE))
    assert isinstance(error, MasterUnreachableError)
    assert str(error) == (
        "no connection to 10.0.0.1:3000: refused; nor is it at 10.0.0.9:3000 (where it was last); "
        "mDNS told of no other place"
    )
    assert error.remedy == "Look."


@pytest.mark.parametrize("refusal", [WRONG, MasterRefusalError("the master refused the request")])
async def test_another_master_at_the_typed_place_is_named_beside_ours(refusal: VirtualGroupError) -> None:
    error = await verdict((TYPED, Way.TYPED, refusal), (TOLD, Way.MDNS, WRONG), says=OTHER)
    assert isinstance(error, UnknownMasterError)
    assert str(error) == (
        f"10.0.0.1:3000: this is master {OTHER}, not 0x{MASTER.hex()}; nor is it at [fe80::1%eth0]:3000 (told by mDNS)"
    )
    assert "vgroup slave find" in error.remedy


async def test_somebody_who_only_says_that_he_is_our_master_changes_nothing() -> None:
    assert await verdict((TYPED, Way.TYPED, WRONG), says=f"0x{MASTER.hex()}") is WRONG


async def test_stranger_who_does_not_say_who_he_is_is_not_our_master() -> None:
    error = await verdict((TYPED, Way.TYPED, WRONG), has_searched=False)
    assert isinstance(error, UnknownMasterError)
    assert str(error) == f"10.0.0.1:3000 answers, but it is not master 0x{MASTER.hex()}"


async def test_proven_master_that_does_not_admit_us_is_told_before_all_else() -> None:
    refused = NotAdmittedError("the master does not admit this device")
    assert await verdict((TYPED, Way.TYPED, refused)) is refused


async def test_busy_master_is_told_so_that_we_come_back_when_it_says() -> None:
    busy = BusyError("busy", retry_after_s=7)
    assert await verdict((TYPED, Way.TYPED, UNREACHABLE), (LAST, Way.LAST, busy)) is busy


async def test_stranger_of_an_advertisement_who_says_that_he_is_busy_keeps_nobody_waiting() -> None:
    busy = BusyError("busy", retry_after_s=300)
    error = await verdict((TYPED, Way.TYPED, UNREACHABLE), (TOLD, Way.MDNS, busy))
    assert isinstance(error, MasterUnreachableError)
