"""First part: a master with its chain, contract and group; slaves that are invited, pair and associate."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from measure.errors import MeasurementError
from measure.wire.join_cost import JoinCost, measure_join
from measure.wire.proxy import RecordingProxy
from vgroup.demo.actors import Slave
from vgroup.demo.errors import DemoFailed
from vgroup.demo.recordings import Recording
from vgroup.demo.settings import EMBEDDED
from vgroup.demo.stage import Stage

_READY_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.05
_INVITED_AT_ONCE: Final = 4


async def raise_master(stage: Stage) -> None:
    """Master's folder and key, the contract, the running master, and its group."""
    screen, crew, summary = stage.screen, stage.crew, stage.summary
    screen.heading("A master, its chain and its group")
    screen.doing("making the master's key, deploying the contract")
    chain_words = ["--chain", stage.settings.chain]
    if stage.settings.key_file is not None:
        chain_words += ["--key-file", str(stage.settings.key_file)]
    made, deployed = await asyncio.gather(
        crew.run_json("init", "master", "init"), crew.run_json("deploy", "chain", "deploy", *chain_words)
    )
    screen.done(f"master 0x{_short(made['master'][2:])}: its key is encrypted on disk")
    summary.chain = "embedded chain" if stage.settings.chain == EMBEDDED else f"chain at {stage.settings.chain}"
    summary.chain_id, summary.contract, summary.blocks = deployed["chain_id"], deployed["contract"], deployed["block"]
    stage.gas["deployment"] = deployed["gas"]
    screen.done(f"contract 0x{_short(summary.contract[2:])} on the {summary.chain}: {deployed['gas']:,} gas")
    screen.doing("starting the master")
    await _run_master(stage)
    screen.done(f"master listens on {stage.master.host}:{stage.master.port} (process {_pid(stage)})")
    screen.doing("forming the group")
    group = await crew.run_json("group", "group", "create", "demo")
    summary.gid, summary.epoch, summary.blocks = group["gid"], group["epoch"], group["block"]
    screen.done(f"group {_short(summary.gid)} formed in block {group['block']}")


async def invite_and_join(stage: Stage, recordings: tuple[Recording, ...], exits: AsyncExitStack) -> None:
    """Invite every slave, and have them all join at once, each through a proxy that listens."""
    stage.screen.heading("Slaves")
    stage.screen.doing(f"inviting {stage.settings.slaves} slaves")
    at_once = asyncio.Semaphore(_INVITED_AT_ONCE)
    numbers = range(1, stage.settings.slaves + 1)
    stage.slaves += await asyncio.gather(
        *(_invite(stage, number, recordings[(number - 1) % len(recordings)], exits, at_once) for number in numbers)
    )
    stage.screen.done(f"{len(stage.slaves)} slaves invited, with a pairing string each")
    stage.screen.doing("the slaves join: keys, ticket, association (M1 to M6)")
    await asyncio.gather(*(_join(stage, slave) for slave in stage.slaves))
    devices = await stage.master.fetch_devices()
    stage.summary.blocks = max(device["block"] or 0 for device in devices.values())
    for slave in stage.slaves:
        slave.join = cost = _cost_of_join(slave)
        stage.screen.done(
            f"{slave.name} is {slave.oid[-4:]}, associated in block {devices[slave.oid]['block']}:"
            f" {cost.total_ms:.0f} ms, {cost.wire_bytes:,} bytes"
        )
    states = {device["state"] for device in devices.values()}
    stage.check(
        "all slaves are members by the contract's events",
        holds=len(devices) == len(stage.slaves) and states == {"ACTIVE"},
        detail=f"{len(devices)} devices, {', '.join(sorted(states))}",
    )


async def start_streams(stage: Stage) -> None:
    """Start every slave's daemon, and wait until the master has acknowledged something of each."""
    stage.screen.doing("the slaves begin to stream")
    for slave in stage.slaves:
        slave.member = await stage.crew.start(
            slave.name,
            *("slave", "run", "--state-dir", str(slave.folder), "--via", slave.via),
            *("--sensor", slave.recording.sensor_text, "--speed", f"{stage.settings.speed:g}"),
            *("--status-file", str(slave.status_file)),
        )
    deadline_s = perf_counter() + _READY_TIMEOUT_S
    while not all(slave.row().records_acknowledged for slave in stage.slaves):
        for slave in stage.slaves:
            _require_running(slave)
        if perf_counter() > deadline_s:
            raise DemoFailed(f"after {_READY_TIMEOUT_S:g} s not every slave has had a record acknowledged")
        stage.screen.show_slaves([slave.row() for slave in stage.slaves], stage.footer)
        await asyncio.sleep(_POLL_S)
    for slave in stage.slaves:
        # Now: the proxy keeps the newest exchanges of a connection, and there will be many.
        slave.tickets = slave.proxy.exchanges("/getTicket")


async def _run_master(stage: Stage) -> None:
    ready_file = stage.folder / "master.ready"
    member = await stage.crew.start("master", "master", "run", "--port", "0", "--ready-file", str(ready_file))
    stage.master.member = member
    deadline_s = perf_counter() + _READY_TIMEOUT_S
    while (ready := await asyncio.to_thread(_read_json, ready_file)) is None:
        if not member.is_running:
            raise DemoFailed(f"the master ended with status {member.process.returncode}:\n{member.log_end()}")
        if perf_counter() > deadline_s:
            raise DemoFailed(f"the master was not ready after {_READY_TIMEOUT_S:g} s:\n{member.log_end()}")
        await asyncio.sleep(_POLL_S)
    stage.master.port = ready["port"]
    stage.master.address = ready["master"]
    stage.master.admin_socket = Path(ready["admin_socket"])


async def _invite(
    stage: Stage, number: int, recording: Recording, exits: AsyncExitStack, at_once: asyncio.Semaphore
) -> Slave:
    proxy = await exits.enter_async_context(RecordingProxy(stage.master.host, stage.master.port))
    name = f"slave-{number}"
    words = ("device", "invite", name, "--host", stage.master.host, "--port", str(proxy.port))
    async with at_once:
        invitation = await stage.crew.run_json(f"invite-{number}", *words)
    # The first sends by POST, so that there is a record on the wire that can be sent again; the others stream.
    via = "data" if number == 1 else "stream"
    return Slave(name, recording, via, stage.folder / name, proxy, pairing_text=invitation["pairing_string"])


async def _join(stage: Stage, slave: Slave) -> None:
    words = ("slave", "join", slave.pairing_text, "--state-dir", str(slave.folder))
    device = await stage.crew.run_json(f"join-{slave.name}", *words)
    slave.oid = device["object_id"]


def _cost_of_join(slave: Slave) -> JoinCost:
    try:
        return measure_join(slave.proxy.connections)
    except MeasurementError as exc:
        raise DemoFailed(str(exc)) from exc


def _require_running(slave: Slave) -> None:
    member = slave.member
    if member is not None and not member.is_running:
        raise DemoFailed(f"{slave.name} ended with status {member.process.returncode}:\n{member.log_end()}")


def _read_json(path: Path) -> Any:  # noqa: ANN401 - it is foreign JSON
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _pid(stage: Stage) -> int:
    return stage.master.member.process.pid if stage.master.member else 0


def _short(hexadecimal: str) -> str:
    return f"{hexadecimal[:6]}…{hexadecimal[-4:]}"
