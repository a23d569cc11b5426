"""One exchange of each system while somebody listens: join, then some data messages with equal readings."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from group_protocol.pairing import PairingString
from group_protocol.senml import Reading, encode_readings
from group_protocol.suites import Suite
from measure.bench.process import BenchMaster, bench_master
from measure.bench.slave import joined_slave
from measure.paper_baseline.ciphers import generate_rsa_key
from measure.paper_baseline.client import Membership, PaperClient
from measure.paper_baseline.key_substitution import ManInTheMiddle
from measure.paper_baseline.server import serve
from measure.paper_baseline.slave import DataForm, Device
from measure.table2.operations import OURS, READING_NAME, THEIRS
from measure.traffic.packets import Capture, from_proxy
from measure.traffic.secrecy import Finding, Kind, Secret, find_secrets, repeated_ciphertexts
from measure.traffic.tshark import Sniffer, find_tshark, loopback_interface, sniffing
from measure.wire.proxy import RecordingProxy

DATA_MESSAGES: Final = 3
READING_VALUE: Final = 731.25
PAPER_READING: Final = b'{"n":"ppg","v":731.25,"u":"beat"}'


@dataclass(frozen=True, slots=True)
class SystemTraffic:
    """What one system showed.

    Attributes:
        is_ours: Whether nothing that should be sealed may be seen in it.
        repeated: Data messages whose ciphertext was there before, although every one carries the same reading.
    """

    system: str
    capture: Capture
    findings: tuple[Finding, ...]
    repeated: int
    is_ours: bool


async def record_traffic(*, uses_tshark: bool, suites: Sequence[Suite]) -> list[SystemTraffic]:
    """Ours once with each key exchange, then the paper's.

    Args:
        uses_tshark: Listen with tshark if it is there; else with the recording proxy.
        suites: Key exchanges of our slaves, one slave each.

    Raises:
        ConfigurationError: tshark may not listen.
        VirtualGroupError: A step failed.
    """
    tshark = find_tshark() if uses_tshark else None
    async with bench_master(len(suites)) as master:
        ours = [
            await _ours(master, tshark, suite, pairing) for suite, pairing in zip(suites, master.pairings, strict=True)
        ]
        return [*ours, await _theirs(master, tshark)]


async def read_as_man_in_the_middle() -> tuple[Finding, ...]:
    """What the man in the middle of the paper's /keysSession reads: it puts its own RSA key in, and nobody notices.

    Ours has no such step: the master signs the exchange with a key that the device knows beforehand, and
    tests/attacks shows that a changed share is refused.
    """
    async with bench_master(0) as master:
        device, attacker_key = await asyncio.gather(
            asyncio.to_thread(Device.generate, os.urandom), asyncio.to_thread(generate_rsa_key, os.urandom)
        )
        async with PaperClient(master.host, master.paper_port) as onward:
            attacker = ManInTheMiddle(onward.exchange, attacker_key, os.urandom)
            async with serve(attacker) as port, PaperClient(master.host, port) as client:
                membership = await client.join(device)
                await client.send_reading(device, membership, PAPER_READING, DataForm.SECTION_5_2)
    found = find_secrets(_secrets_of(device, membership), attacker.clear_texts, [])
    return tuple(finding for finding in found if finding.is_seen)


@dataclass(frozen=True, slots=True)
class _Ear:
    """Where the slave connects so that it is heard, and how to get what was heard."""

    port: int
    capture: Callable[[], Awaitable[Capture]]


@asynccontextmanager
async def _listening(master: BenchMaster, port: int, tshark: str | None) -> AsyncIterator[_Ear]:
    """An ear whose ``capture`` may be called after the context has ended."""
    heard: list[Capture] = []

    async def capture() -> Capture:
        return heard[0]

    async with AsyncExitStack() as exits:
        if tshark is None:
            proxy = await exits.enter_async_context(RecordingProxy(master.host, port, keeps_segments=True))
            yield _Ear(proxy.port, capture)
            await asyncio.sleep(0)
            heard.append(from_proxy(proxy.connections, f"{master.host} (slave)", f"{master.host}:{port} (master)"))
            return
        sniffer: Sniffer = await exits.enter_async_context(sniffing(tshark, loopback_interface(), port))
        yield _Ear(port, capture)
        heard.append(await sniffer.settle_and_read())


async def _ours(master: BenchMaster, tshark: str | None, suite: Suite, pairing: PairingString) -> SystemTraffic:
    reading = Reading(READING_NAME, time.time(), READING_VALUE)
    async with (
        _listening(master, master.port, tshark) as ear,
        joined_slave(master.folder / f"slave-{suite}", pairing, ear.port, suites=(suite,)) as slave,
    ):
        for _ in range(DATA_MESSAGES):
            await slave.send(slave.device.prepare_signed_data(reading))
        device = slave.device
    capture = await ear.capture()
    ticket = device.ticket
    secrets = (
        Secret("device's private key", Kind.SECRET, device.key.secret),
        Secret("pairing code", Kind.SECRET, pairing.code),
        Secret("token", Kind.SECRET, ticket.token),
        Secret("reading", Kind.READING, encode_readings([reading])),
        Secret("device's public key", Kind.IDENTITY, device.key.public_key),
        Secret("device's address", Kind.IDENTITY, ticket.address),
        Secret("object id", Kind.IDENTITY, ticket.oid),
        Secret("group id", Kind.IDENTITY, ticket.gid),
    )
    findings = find_secrets(secrets, capture.streams, capture.connections)
    repeated = repeated_ciphertexts(capture.connections, "/data", "sealed")
    return SystemTraffic(f"{OURS}, {suite}", capture, findings, repeated, is_ours=True)


async def _theirs(master: BenchMaster, tshark: str | None) -> SystemTraffic:
    device = await asyncio.to_thread(Device.generate, os.urandom)
    async with _listening(master, master.paper_port, tshark) as ear, PaperClient(master.host, ear.port) as client:
        membership = await client.join(device)
        for _ in range(DATA_MESSAGES):
            await client.send_reading(device, membership, PAPER_READING, DataForm.SECTION_5_2)
    capture = await ear.capture()
    secrets = _secrets_of(device, membership)
    findings = find_secrets(secrets, capture.streams, capture.connections)
    repeated = repeated_ciphertexts(capture.connections, "/data", "data")
    return SystemTraffic(THEIRS, capture, findings, repeated, is_ours=False)


def _secrets_of(device: Device, membership: Membership) -> tuple[Secret, ...]:
    session, ticket = membership.session, membership.ticket
    return (
        Secret("device's private key", Kind.SECRET, device.private_key.secret),
        Secret("session key", Kind.SECRET, session.key),
        Secret("token", Kind.SECRET, ticket.token),
        Secret("reading", Kind.READING, PAPER_READING),
        Secret("device's public key", Kind.IDENTITY, device.public_key),
        Secret("device's address", Kind.IDENTITY, ticket.address),
        Secret("object id", Kind.IDENTITY, ticket.object_id),
        Secret("group id", Kind.IDENTITY, ticket.group_id),
    )
