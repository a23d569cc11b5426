"""Second part: the attacks on the running system, and what the system looks like before and after."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import aiohttp

from group_protocol.crypto.keys import PrivateKey
from group_protocol.exit_codes import ExitCode
from group_protocol.identifiers import Address, Token
from group_protocol.pairing import parse_pairing_string
from group_protocol.tickets import MembershipState
from slave_client.keystore import KeyStore
from slave_client.state_directory import StateDirectory
from system_ports.randomness import SystemRandom
from vgroup.demo.actors import Slave
from vgroup.demo.attacker import Attacker, Foothold, Reply
from vgroup.demo.attacks import Loot, attack_all, gain_foothold, send_uninvited
from vgroup.demo.errors import DemoFailed
from vgroup.demo.stage import Stage
from vgroup.demo.summary import Attack

_CUT_OFF_TIMEOUT_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Stolen:
    """What is on a slave's disk: its key and its token."""

    key: PrivateKey
    token: Token


@contextlib.asynccontextmanager
async def on_the_network(stage: Stage) -> AsyncIterator[Attacker]:
    """An attacker with a connection of its own to the master."""
    address = Address(bytes.fromhex(stage.master.address.removeprefix("0x")))
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield Attacker(http, stage.master.url, address, SystemRandom())


async def attack(stage: Stage, attacker: Attacker) -> Foothold:
    """Try everything on the running system, and compare its state before and after; answers the attacker's session."""
    stage.screen.heading("Attacks on the running system")
    stage.screen.doing("an attacker gets itself invited, and listens on the wire")
    invitation = await stage.crew.run_json("invite-attacker", "device", "invite", "mallory")
    foothold, first = await gain_foothold(attacker, parse_pairing_string(invitation["pairing_string"]).code)
    show(stage, first)
    before = await _observe(stage)
    victim = stage.slaves[0]
    streaming = next((slave for slave in stage.slaves if slave.via == "stream"), None)
    loot = Loot(
        tickets=victim.tickets,
        data_wire=victim.proxy,
        stream_wire=streaming.proxy if streaming else None,
        used_code=parse_pairing_string(victim.pairing_text).code,
        token=(await steal(victim)).token,
    )
    for outcome in await attack_all(attacker, foothold, loot):
        show(stage, outcome)
    after = await _observe(stage)
    stage.check(
        "no attack changed anything",
        holds=before == after,
        detail="the same devices in the same states, the same epoch, no record of the attacker"
        if before == after
        else f"before {before}, after {after}",
    )
    return foothold


async def revoke(stage: Stage, attacker: Attacker) -> Slave:
    """Revoke the last slave and see it cut off; answers it."""
    slave = stage.slaves[-1]
    stage.screen.heading(f"Revoking {slave.name}")
    stage.screen.doing(f"revoking {slave.name}")
    revoked = await stage.crew.run_json("revoke", "device", "revoke", slave.oid, "--yes")
    slave.is_revoked = True
    stage.gas["revocation"] = revoked["gas"]
    stage.summary.epoch, stage.summary.blocks = revoked["epoch"], revoked["block"]
    stage.screen.done(
        f"revoked in block {revoked['block']}: {revoked['gas']:,} gas, the group's epoch is {revoked['epoch']}"
    )
    await _see_cut_off(stage, slave)
    key = (await steal(slave)).key
    for outcome in await _come_back(stage, attacker, slave, key):
        show(stage, outcome)
    return slave


async def steal(slave: Slave) -> Stolen:
    """Read a slave's key and token off its disk. Raises DemoFailed."""

    def read() -> Stolen | None:
        store = KeyStore(StateDirectory(slave.folder))
        keys, state = store.load_keys(), store.load_state()
        return Stolen(keys.signing, state.enrolment.token) if keys and state and state.enrolment else None

    stolen = await asyncio.to_thread(read)
    if stolen is None:
        raise DemoFailed(f"{slave.name} has no key or no token on its disk")
    return stolen


def show(stage: Stage, outcome: Attack) -> None:
    """Note an attack and how it ended."""
    stage.summary.attacks.append(outcome)
    text = f"{outcome.name}: {outcome.attempt}"
    if outcome.is_refused:
        stage.screen.done(text)
    else:
        stage.screen.failed(text)
    stage.screen.detail(f"→ {outcome.answer}")


async def _observe(stage: Stage) -> dict[str, object]:
    """All that an attack might change: who is there and in which state, the epoch, the attacker's own records."""
    devices = await stage.master.fetch_devices()
    group = await stage.master.ask("group.show")
    known = {slave.oid for slave in stage.slaves}
    return {
        "devices": {oid: device["state"] for oid, device in devices.items()},
        "group": {name: group[name] for name in ("epoch", "slaves", "revoked", "master")},
        "records of others": sum(device["records"] for oid, device in devices.items() if oid not in known),
    }


async def _see_cut_off(stage: Stage, slave: Slave) -> None:
    member = slave.member
    if member is None:
        raise DemoFailed(f"{slave.name} is not running")
    try:
        async with asyncio.timeout(_CUT_OFF_TIMEOUT_S):
            status = await member.process.wait()
    except TimeoutError:
        status = None
    row = slave.row()
    is_closed = all(connection.closed_s is not None for connection in slave.proxy.connections)
    stage.check(
        f"{slave.name} is cut off",
        holds=status == ExitCode.REFUSED and row.state == "revoked" and is_closed,
        detail=f"its connection is {'closed' if is_closed else 'open'}, its state is {row.state},"
        f" its process {'still runs' if status is None else f'has ended with status {status}'}",
    )


async def _come_back(stage: Stage, attacker: Attacker, slave: Slave, key: PrivateKey) -> list[Attack]:
    words = ("slave", "run", "--state-dir", str(slave.folder), "--sensor", slave.recording.sensor_text)
    status, _, complaint = await stage.crew.attempt("run-again", *words)
    started = Attack(
        "revoked device, started again",
        "`vgroup slave run` in its directory",
        f"exit status {status}: {complaint.splitlines()[0] if complaint else 'no message'}",
        status == ExitCode.REFUSED,
    )
    foothold = await attacker.open_session(key, code=None)
    if isinstance(foothold, Reply):
        refused = Attack("revoked device, new session", "M1 to M4 with its key", str(foothold), foothold.is_refusal)
        return [started, refused]
    told = foothold.ticket.state
    session = Attack(
        "revoked device, new session",
        "M1 to M4 with its own key",
        f"M4 says {told.name}",
        told is MembershipState.REVOKED,
    )
    return [started, session, await send_uninvited(attacker, foothold, name="record of a revoked device")]
