"""A node that invents events which contradict nothing: a lie shuts a device out while it lasts, and not for good."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from chain_gateway.composition import open_registry
from group_protocol.extensions import Standing, TurnedAwayError
from group_protocol.key_changes import KeyChange
from group_protocol.ports import RevocationRequest
from group_protocol.tickets import MembershipState
from tests.attacks.edge import REFUSED, Edge
from tests.attacks.lying_node import LyingNode, gateway_beside, master_behind_a_liar
from tests.support.running_master import MASTER_KEY, Device
from tests.support.ward import Device as Slave
from tests.support.ward import DeviceKind, write_recording

pytestmark = [pytest.mark.anvil, pytest.mark.network, pytest.mark.processes]

PATIENCE_S = 60
SLAVE = DeviceKind(rate_hz=100, batch_readings=5, via="stream", keep_hours=0)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[tuple[Edge, LyingNode]]:
    async with master_behind_a_liar(tmp_path) as stage:
        yield stage


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await is_so():  # noqa: ASYNC110 - the master tells nobody
            await asyncio.sleep(0.1)


async def listed(edge: Edge, device: Device) -> dict[str, Any]:
    row: dict[str, Any]
    (row,) = [row for row in (await edge.master.ask("device.list"))["devices"] if row["oid"] == device.oid.hex()]
    return row


async def wait_for_standing(edge: Edge, device: Device, standing: str) -> None:
    async def is_so() -> bool:
        return str((await listed(edge, device))["standing"]) == standing

    await until(is_so)


async def invent_revocation(edge: Edge, node: LyingNode, device: Device) -> None:
    group = await edge.master.ask("group.show")
    await node.invent("Revoked", device.ticket.contract, gid=device.gid, oid=device.oid, epoch=int(group["epoch"]) + 1)


async def assert_shut_out(device: Device) -> None:
    """Nothing is taken of it; it is told that its key and its place are not lost."""
    with pytest.raises(TurnedAwayError) as told:
        await device.open_session()
    assert told.value.standing is Standing.DISPUTED


async def assert_at_work(edge: Edge, device: Device) -> None:
    assert (await device.open_session()).state is MembershipState.ACTIVE
    stored = len(edge.master.read_tables()["records"])
    assert (await device.send(device.record(epoch=device.ticket.epoch))).last_seq == device.seq
    assert len(edge.master.read_tables()["records"]) == stored + 1


async def test_revocation_that_a_node_invents_shuts_out_while_it_lies_and_no_longer(
    stage: tuple[Edge, LyingNode],
) -> None:
    edge, node = stage
    device, other = await edge.member(), await edge.member()
    device.code = other.code = None
    await device.send(device.record())
    live = await device.open_stream()
    await live.receive_ack()
    await invent_revocation(edge, node, device)
    await wait_for_standing(edge, device, "disputed")
    assert "membership-disputed" in (await listed(edge, device))["remedy"]
    assert (await live.receive_close_code()) is not None
    await assert_shut_out(device)
    await asyncio.to_thread(edge.master.stop)
    await asyncio.to_thread(edge.master.start)
    await assert_shut_out(device)
    await assert_at_work(edge, other)

    node.lies.clear()
    await wait_for_standing(edge, device, "member")
    await assert_at_work(edge, device)
    await assert_at_work(edge, other)
    assert (await edge.master.ask("group.show"))["epoch"] == 1
    audit = [kind for kind, _ in (await edge.master.state()).audit]
    assert (audit.count("device.disputed"), audit.count("device.dispute_ended")) == (1, 1)
    assert "device.revoked" not in audit
    await edge.master.ask("audit.verify")
    assert (await edge.master.ask("records.verify"))["is_good"]


async def test_slave_that_an_invented_revocation_shuts_out_keeps_its_key_and_goes_on_by_itself(
    stage: tuple[Edge, LyingNode], tmp_path: Path
) -> None:
    """The slave as its user runs it: in no moment does it take the lie for its end."""
    edge, node = stage
    slave = Slave(tmp_path, 1, SLAVE, write_recording(tmp_path))
    invitation = await edge.master.ask("device.invite", name="bed 1", host="127.0.0.1", port=edge.master.port)
    oid = await asyncio.to_thread(slave.join, str(invitation["pairing_string"]))
    slave.start()
    try:
        await until(lambda: asyncio.to_thread(slave.is_streaming))
        group = await edge.master.ask("group.show")
        contract = bytes.fromhex(str(group["contract"])[2:])
        await node.invent("Revoked", contract, gid=bytes.fromhex(group["gid"]), oid=oid, epoch=2)

        async def has_standing(standing: str) -> bool:
            shown = json.loads((await asyncio.to_thread(slave.run, "slave", "status", "--json")).stdout)
            return str(shown["standing"]) == standing

        await until(lambda: has_standing("disputed"))
        stored = len(edge.master.read_tables()["records"])
        node.lies.clear()
        await until(lambda: has_standing("member"))
        await until(lambda: asyncio.to_thread(lambda: len(edge.master.read_tables()["records"]) > stored))
        assert [row["oid"] for row in (await edge.master.ask("device.list"))["devices"]] == [oid.hex()]
        await asyncio.to_thread(slave.stop)
        assert (await edge.master.ask("records.verify"))["is_good"]
    finally:
        slave.end()


@pytest.mark.parametrize("shows", ["nothing", "signatures of its own"])
async def test_key_that_a_node_invents_for_a_thief_is_taken_by_nobody_whatever_the_thief_shows(
    stage: tuple[Edge, LyingNode], shows: str
) -> None:
    edge, node = stage
    device, thief = await edge.member(), edge.stranger()
    device.code, thief.oid = None, device.oid
    await node.invent(
        "Rotated", device.ticket.contract, gid=device.gid, oid=device.oid, newAddress=thief.key.address, epoch=2
    )
    await wait_for_standing(edge, device, "disputed")
    if shows == "signatures of its own":
        digest = device.domain.rotation_digest(device.gid, device.oid, thief.key.address, 0)
        by_thief = thief.key.sign_digest(digest)
        thief.key_changes = (KeyChange(thief.key.address, 0, by_thief, by_thief),)
    async with edge.master.unchanged():
        _, m3 = await thief.ask_for_keys()
        assert await edge.ask("/getTicket", m3.to_body()) == REFUSED
    await assert_shut_out(device)
    node.lies.clear()
    await wait_for_standing(edge, device, "member")
    await assert_at_work(edge, device)
    _, m3 = await thief.ask_for_keys()
    assert await edge.ask("/getTicket", m3.to_body()) == REFUSED


async def test_device_whose_invented_revocation_the_operator_confirms_is_out_for_good(
    stage: tuple[Edge, LyingNode],
) -> None:
    edge, node = stage
    edge.master.may_report_errors = True  # of the lie, when the true revocation contradicts it
    device = await edge.member()
    device.code = None
    await invent_revocation(edge, node, device)
    await wait_for_standing(edge, device, "disputed")
    node.lies.clear()
    await edge.master.ask("device.revoke", device=device.oid.hex())
    assert (await listed(edge, device))["standing"] == "evicted"
    assert (await device.open_session()).state is MembershipState.REVOKED
    await asyncio.to_thread(edge.master.stop)
    await asyncio.to_thread(edge.master.start)
    assert (await device.open_session()).state is MembershipState.REVOKED

    async def is_revoked_in_the_contract() -> bool:
        logs = await node.ask_truth("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"})
        return sum(device.oid.hex() in "".join(log["topics"]) for log in logs) > 1

    await until(is_revoked_in_the_contract)


async def test_true_revocation_that_this_store_does_not_know_shuts_out_until_the_operator_makes_it_final(
    stage: tuple[Edge, LyingNode], tmp_path: Path
) -> None:
    """Another copy of the master's key made it, or this store was put back from before it."""
    edge, node = stage
    device = await edge.member()
    device.code = None
    deadline = device.ticket.deadline_unix_s
    signature = MASTER_KEY.sign_digest(device.domain.revocation_digest(device.gid, device.oid, deadline))
    config = gateway_beside(node, device.ticket.contract, tmp_path / "copy")
    async with open_registry(config, time.time) as copy:
        await copy.revoke(RevocationRequest(device.gid, device.oid, deadline, signature))
    await wait_for_standing(edge, device, "disputed")
    await assert_shut_out(device)
    await asyncio.to_thread(edge.master.stop)
    await asyncio.to_thread(edge.master.start)
    await assert_shut_out(device)
    calls = node.asked["eth_call"]

    async def is_contract_asked() -> bool:
        return node.asked["eth_call"] >= calls + 4

    await until(is_contract_asked)  # directly, in case its events were invented; it says the same
    await assert_shut_out(device)
    assert (await edge.master.ask("master.status"))["disputed"][0]["oid"] == device.oid.hex()
    await edge.master.ask("device.revoke", device=device.oid.hex())
    assert (await listed(edge, device))["standing"] == "evicted"
    assert (await edge.master.ask("master.status"))["disputed"] == []
    assert (await device.open_session()).state is MembershipState.REVOKED
