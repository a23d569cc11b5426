"""The doctor's look at the master: each place that is tried, what came of it, and by which way the master was found."""

import time
from contextlib import aclosing

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import BusyError, VirtualGroupError
from group_protocol.identifiers import Address
from group_protocol.ports import Random
from slave_client.config import SlaveConfig
from slave_client.device_state import DeviceState
from slave_client.finding.attempts import WORDS, Attempt, Attempts
from slave_client.finding.finder import ELSEWHERE, Search, known_places, proven_places
from slave_client.finding.places import Place, Way
from slave_client.finding.proving import ask_for_proof, ask_who_it_is
from slave_client.finding.search import listen_for_masters
from system_ports.findings import Finding, bad, compare_clocks, good, note


async def look_at_master(
    device: DeviceState, config: SlaveConfig, random: Random, search: Search = listen_for_masters
) -> list[Finding]:
    """Ask at every known place, then at those that mDNS tells, until the master proves itself at one."""
    attempts = Attempts()
    found = await _find(device, config, random, search, attempts)
    if found is None:
        return await _describe_failure(device, attempts)
    place, way, proven = found
    key = f"0x{device.master.hex()}"
    if proven != device.master:
        key = f"0x{proven.hex()}, the next key of {key}"
    hint = await ask_who_it_is(place)
    told = "" if way is Way.TYPED else f" ({WORDS[way]})"
    return [
        good("master", f"{place}{told} has proved to be {key}"),
        *[_describe(one, _elsewhere(place)) for one in attempts.made],
        compare_clocks(hint.unix_s if hint else None, time.time(), "the master"),
    ]


async def _find(
    device: DeviceState, config: SlaveConfig, random: Random, search: Search, attempts: Attempts
) -> tuple[Place, Way, Address] | None:
    proven: dict[Place, Address] = {}
    way = Way.MDNS

    async def prove(place: Place) -> None:
        try:
            proven[place] = await ask_for_proof(place, device.master, config.suites, random, device=device)
        except ELSEWHERE as exc:
            attempts.add(place, way, exc)
            raise

    for place, way in known_places(device):
        try:
            await prove(place)
        except VirtualGroupError:
            continue
        return place, way, proven[place]
    if not config.mdns:
        return None
    way, attempts.has_searched = Way.MDNS, True
    tried = {place for place, _ in known_places(device)}
    async with aclosing(proven_places(search(), device.master, tried, prove)) as places:
        async for place in places:
            return place, way, proven[place]
    return None


async def _describe_failure(device: DeviceState, attempts: Attempts) -> list[Finding]:
    error = await attempts.verdict(device.master, ask_who_it_is)
    first, *others = attempts.made
    if isinstance(error, BusyError):
        summary = note("master", f"{first.place} is busy", f"Ask again in {error.retry_after_s} s.", error.code)
    else:
        summary = bad("master", str(error), error.remedy, error.code)
    findings = [summary]
    findings += [_describe(one, "") for one in others]
    if attempts.has_searched and not any(one.way is Way.MDNS for one in others):
        text, remedy = "nobody on this network says where this master is", "vgroup slave find lists who is in sight."
        findings.append(note("mDNS", text, remedy, ErrorCode.MASTER_UNREACHABLE))
    return findings


def _describe(one: Attempt, remedy: str) -> Finding:
    return note("address", f"{one.place} ({WORDS[one.way]}): {one.error}", remedy, one.error.code)


def _elsewhere(place: Place) -> str:
    return f"Nothing has to be done: the slave goes to {place}. To have it tried first, join again with that address."
