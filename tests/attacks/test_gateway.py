"""A gateway's node that lies, stalls, or replays old state: it can withhold, and what was once seen stays seen."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chain_gateway.composition import open_registry
from chain_gateway.node_provider import ANSWER_MAX_BYTES
from group_protocol.errors import Reason
from group_protocol.messages import BUSY_BODY
from group_protocol.ports import AssociationRequest
from group_protocol.tickets import MembershipState
from tests.attacks.edge import Edge
from tests.attacks.lying_node import LyingNode, gateway_beside, master_behind_a_liar
from tests.support.running_master import Device

pytestmark = [pytest.mark.anvil, pytest.mark.network, pytest.mark.processes]

SAME_LOOP = pytest.mark.asyncio(loop_scope="module")
POLLS_S = 2.5
"""Two polls of the chain and more, in which a lie would have been believed."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Edge, LyingNode]]:
    """One for all tests that leave the gateway alive."""
    async with master_behind_a_liar(tmp_path_factory.mktemp("gateway")) as stage:
        yield stage


@pytest.fixture
async def last_stage(tmp_path: Path) -> AsyncIterator[tuple[Edge, LyingNode]]:
    async with master_behind_a_liar(tmp_path) as stage:
        yield stage


async def assert_revoked(edge: Edge, device: Device) -> None:
    """Nothing is taken of it, and it is told why."""
    device.code = None
    assert (await device.open_session()).state is MembershipState.REVOKED
    records = (await edge.master.state()).tables["records"]
    ack = await device.send(device.record(seq=2), device.record(seq=3))
    assert (ack.last_seq, ack.reason) == (1, Reason.NOT_A_MEMBER)
    assert (await device.associate()).state is MembershipState.REVOKED
    assert (await edge.master.state()).tables["records"] == records


async def is_on_chain(node: LyingNode, device: Device) -> bool:
    """Whether some event of the node's true chain but the device's association names it: its revocation."""
    logs = await node.ask_truth("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"})
    return sum(device.oid.hex() in "".join([*log["topics"], log["data"]]) for log in logs) > 1


def forged_receipt(node: LyingNode, logs: list[Any], block: dict[str, Any]) -> None:
    """Swallow transactions, and tell of a receipt that no block holds."""

    def receipt(params: list[Any], _: Any) -> Any:
        return {
            "transactionHash": params[0],
            "blockNumber": block["number"],
            "blockHash": block["hash"],
            "status": "0x1",
            "gasUsed": "0x5208",
            "contractAddress": None,
            "logs": [log | {"transactionHash": params[0]} for log in logs],
        }

    node.lies["eth_getTransactionReceipt"] = receipt


@SAME_LOOP
@pytest.mark.parametrize("with_event", [False, True], ids=["without its event", "with another device's event"])
async def test_receipt_of_a_transaction_that_never_was_makes_nobody_a_member(
    stage: tuple[Edge, LyingNode], with_event: bool
) -> None:
    edge, node = stage
    await edge.member()
    newest = await node.ask_truth("eth_getBlockByNumber", "latest", False)
    logs = await node.ask_truth("eth_getLogs", {"fromBlock": newest["number"], "toBlock": newest["number"]})
    assert len(logs) == 1, "the member's Associated"
    device = await edge.enrolled()
    await node.ask_truth("evm_setAutomine", False)
    forged_receipt(node, logs if with_event else [], newest)
    async with edge.master.unchanged():
        result = await device.associate()
        assert result.state is not MembershipState.ACTIVE
        assert (await device.send(device.record(seq=1))).reason is Reason.NOT_A_MEMBER
    node.lies.clear()
    await node.ask_truth("evm_mine")
    await node.ask_truth("evm_setAutomine", True)


@SAME_LOOP
async def test_front_run_association_makes_the_same_device_a_member_and_nobody_else(
    stage: tuple[Edge, LyingNode], tmp_path: Path
) -> None:
    """Somebody sees the request in the node's pool and sends it first, from an account of his own."""
    edge, node = stage
    device = await edge.enrolled()
    call = device.association()
    config = gateway_beside(node, device.ticket.contract, tmp_path / "thief")
    async with open_registry(config, time.time) as thief:
        await thief.associate(AssociationRequest(device.gid, call.token, call.request, call.deadline_unix_s))
    while (result := await device.ask_control("/assoc", call.encode())).state is MembershipState.PENDING:  # noqa: ASYNC110
        await asyncio.sleep(0.1)  # as a slave does
    assert (result.state, result.reason) == (MembershipState.ACTIVE, Reason.NONE)
    devices = (await edge.master.ask("device.list"))["devices"]
    assert (await edge.master.ask("group.show"))["slaves"] <= len(devices), "nobody else is a member"
    assert (await device.send(device.record())).last_seq == 1


@SAME_LOOP
async def test_node_that_stalls_stops_no_member_and_admits_nobody(stage: tuple[Edge, LyingNode]) -> None:
    edge, node = stage
    member, newcomer = await edge.member(), await edge.enrolled()
    node.is_stalling = True
    assert (await newcomer.associate()).state is MembershipState.PENDING
    assert (await member.send(member.record())).last_seq == 1
    stream = await member.open_stream()
    await stream.receive_ack()
    await stream.socket.close()
    assert (await member.open_session()).state is MembershipState.ACTIVE
    assert (await member.send(member.record())).last_seq == 2
    assert (await newcomer.send(newcomer.record(seq=1))).reason is Reason.NOT_A_MEMBER
    node.is_stalling = False
    node.answer_the_stalled()


BOMBS = {
    "nested": b"[" * 1_000_000,
    "nested_in_an_answer": b'{"jsonrpc":"2.0","id":1,"result":' * 30_000,
    "huge": b'"' + b"A" * (ANSWER_MAX_BYTES + 1),
    "no_json": b"\xff\xfe<html>",
}


@SAME_LOOP
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
async def test_node_that_answers_with_a_bomb_ends_nobody(stage: tuple[Edge, LyingNode], bomb: bytes) -> None:
    edge, node = stage
    member = await edge.member()
    before_bytes = edge.master.resident_bytes
    node.bomb = bomb
    await asyncio.sleep(POLLS_S)
    assert (await member.send(member.record())).last_seq == 1
    assert edge.master.resident_bytes - before_bytes < 5 * ANSWER_MAX_BYTES
    node.bomb = b""
    assert (await (await edge.enrolled()).associate()).state in {MembershipState.ACTIVE, MembershipState.PENDING}


@SAME_LOOP
async def test_old_state_of_the_same_chain_takes_no_revocation_back(stage: tuple[Edge, LyingNode]) -> None:
    """A shorter chain without a contradiction is a node that is behind, not a reorganisation."""
    edge, node = stage
    device = await edge.member()
    await device.send(device.record())
    old = await node.remember_newest()
    await edge.master.ask("device.revoke", device=device.oid.hex())
    before = (await edge.master.state()).group
    node.stop_at(old)
    await asyncio.sleep(POLLS_S)
    assert (await edge.master.state()).group == before
    await assert_revoked(edge, device)
    node.lies.clear()


@SAME_LOOP
async def test_old_state_on_another_branch_takes_no_revocation_back(stage: tuple[Edge, LyingNode]) -> None:
    """The chain is replaced by one without the revocation: the register has forgotten it, the master makes it anew."""
    edge, node = stage
    device = await edge.member()
    await device.send(device.record())
    revoked_before = (await edge.master.ask("group.show"))["revoked"]
    snapshot = await node.ask_truth("evm_snapshot")
    await edge.master.ask("device.revoke", device=device.oid.hex())
    await node.ask_truth("evm_revert", snapshot)
    await node.ask_truth("anvil_mine", "0x5", "0x7")
    while not await is_on_chain(node, device):  # noqa: ASYNC110 - the node tells nobody
        await asyncio.sleep(0.1)
    while (await edge.master.ask("group.show"))["revoked"] != revoked_before + 1:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.1)
    await assert_revoked(edge, device)
    await asyncio.to_thread(edge.master.stop)
    await asyncio.to_thread(edge.master.start)
    await assert_revoked(edge, device)


async def test_events_that_contradict_each_other_stop_the_gateway_and_change_nothing(
    last_stage: tuple[Edge, LyingNode],
) -> None:
    """A second revocation of the same device, which the contract would never tell of."""
    edge, node = last_stage
    edge.master.may_report_errors = True  # the operator is to read of this one
    member, leaver = await edge.member(), await edge.member()
    await edge.master.ask("device.revoke", device=leaver.oid.hex())
    newest = await node.ask_truth("eth_getBlockByNumber", "latest", False)
    (revoked,) = await node.ask_truth("eth_getLogs", {"fromBlock": newest["number"], "toBlock": newest["number"]})
    before = edge.master.read_tables()

    def contradict(params: list[Any], told: Any) -> Any:
        return [*told, revoked | {"blockNumber": params[0]["toBlock"], "logIndex": "0x63"}]

    node.lies["eth_getLogs"] = contradict
    await node.ask_truth("anvil_mine", "0x1")
    while (await edge.ask("/data", member.seal_items(member.record(seq=1, epoch=1)).to_body())).status == 200:  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    unit = member.seal_items(member.record(epoch=2))
    for _ in range(2):
        answer = await edge.ask("/data", unit.to_body())
        assert (answer.status, answer.body) == (429, BUSY_BODY)
    assert edge.master.read_tables() == before
