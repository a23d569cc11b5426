"""The event replica follows the chain, through restarts and failing nodes."""

import gc
import sqlite3
import weakref
from dataclasses import replace
from pathlib import Path

import pytest

from chain_gateway.config import ReplicaTimes
from chain_gateway.node_answers import RawLog
from group_protocol.errors import ConfigurationError, RegistryInconsistent, RegistryUnavailable
from group_protocol.identifiers import Address
from group_protocol.membership import Associated, GroupCreated, ObjectState
from tests.support.followed_chain import (
    FILE,
    GID,
    NEVER_POLLS,
    associated,
    chain_with_group,
    created,
    following,
    make_replica,
    oid,
    revoked,
    slaves,
)
from tests.support.model_node import ModelNode, RpcFault
from tests.support.waiting import until


@pytest.fixture
def model() -> ModelNode:
    """A chain with a group in block 1."""
    return chain_with_group()


async def test_start_takes_all_that_is_there(model: ModelNode, tmp_path: Path) -> None:
    model.mine(associated(1), associated(2))
    model.mine(revoked(2, epoch=2))
    async with following(model, tmp_path) as replica:
        assert slaves(replica) == {oid(1)}
        assert replica.membership.groups[GID].epoch == 2


async def test_new_block_is_found_by_polling(model: ModelNode, tmp_path: Path) -> None:
    async with following(model, tmp_path) as replica:
        events = replica.subscribe()
        model.mine(associated(1))
        event = await anext(events)
        assert isinstance(event, Associated)
        assert slaves(replica) == {oid(1)}


async def test_waiting_for_a_block_does_not_wait_for_the_poll(model: ModelNode, tmp_path: Path) -> None:
    async with following(model, tmp_path, NEVER_POLLS) as replica:
        block = model.mine(associated(1))
        await replica.wait_for_block(block.number)
        assert slaves(replica) == {oid(1)}


async def test_long_chain_is_read_in_parts_as_large_as_the_node_allows(model: ModelNode, tmp_path: Path) -> None:
    for number in range(1, 251):
        model.mine(associated(number))
    model.log_range_max = 30
    async with following(model, tmp_path) as replica:
        assert len(slaves(replica)) == 250


async def test_reopened_replica_asks_only_for_what_is_new(model: ModelNode, tmp_path: Path) -> None:
    for number in range(1, 11):
        model.mine(associated(number))
    async with following(model, tmp_path):
        pass
    model.asked.clear()
    async with following(model, tmp_path, NEVER_POLLS) as replica:
        assert len(slaves(replica)) == 10
        assert model.asked == ["eth_getBlockByNumber"]


def retell(model: ModelNode, number: int, *logs: RawLog) -> None:
    """The node tells of other events in the same block: what it told before, or what it tells now, is a lie."""
    block = model.blocks[number]
    placed = [
        replace(log, block_number=number, block_hash=block.block_hash, log_index=at) for at, log in enumerate(logs)
    ]
    model.blocks[number] = replace(block, logs=tuple(placed))


async def test_event_that_was_invented_is_forgotten_when_all_are_read_anew(model: ModelNode, tmp_path: Path) -> None:
    model.mine(associated(1))
    lie = model.mine(revoked(1, epoch=2)).number
    async with following(model, tmp_path) as replica:
        assert slaves(replica) == set()
        retell(model, lie)
        await replica.wait_for_block(model.mine(associated(2)).number)
        assert slaves(replica) == {oid(2)}, "nobody asks about old blocks by himself"
        replica.read_anew()
        await until(lambda: slaves(replica) == {oid(1), oid(2)})
        assert replica.membership.groups[GID].epoch == 1


async def test_reading_anew_is_made_up_for_when_the_node_answers_again(model: ModelNode, tmp_path: Path) -> None:
    model.mine(associated(1))
    lie = model.mine(revoked(1, epoch=2)).number
    async with following(model, tmp_path) as replica:
        retell(model, lie)
        model.fail_next("eth_getLogs", RpcFault(-32000, "away"), RpcFault(-32000, "away"))
        replica.read_anew()
        await until(lambda: slaves(replica) == {oid(1)})


async def test_reading_anew_what_is_told_the_same_changes_nothing_and_tells_nothing(
    model: ModelNode, tmp_path: Path
) -> None:
    model.mine(associated(1))
    async with following(model, tmp_path) as replica:
        heard = replica.subscribe()
        replica.read_anew()
        await replica.wait_for_block(model.mine(associated(2)).number)
        event = await anext(heard)
        assert isinstance(event, Associated)
        assert event.oid == oid(2)


@pytest.mark.parametrize("failing", ["away", "behind", "contradicting"])
async def test_membership_outlasts_a_node_that_fails_while_all_is_read_anew(
    model: ModelNode, tmp_path: Path, failing: str
) -> None:
    model.mine(associated(1))
    model.mine(revoked(1, epoch=2))
    model.mine(associated(2))
    newest = model.blocks[-1]
    async with following(model, tmp_path) as replica:
        if failing == "away":
            model.fail_next("eth_getLogs", *(RpcFault(-32000, "away"),) * 3)
        elif failing == "behind":
            model.blocks.pop()
        else:
            retell(model, 3, revoked(1, epoch=7))
        asked = len(model.asked)
        replica.read_anew()
        await until(lambda: len(model.asked) >= asked + 8)
        assert slaves(replica) == {oid(2)}
    if failing == "behind":
        model.blocks.append(newest)
    async with following(model, tmp_path) as replica:
        assert slaves(replica) == {oid(2)}


async def test_file_of_another_contract_is_read_anew(model: ModelNode, tmp_path: Path) -> None:
    model.mine(associated(1))
    async with following(model, tmp_path):
        pass
    other = Address(b"\xdd" * 20)
    empty = ModelNode()
    empty.mine()
    async with following(empty, tmp_path, contract=other) as replica:
        assert not replica.membership.objects


async def test_node_that_is_away_is_waited_for(model: ModelNode, tmp_path: Path) -> None:
    async with following(model, tmp_path) as replica:
        events = replica.subscribe()
        model.is_down = True
        asked = len(model.asked)
        await until(lambda: len(model.asked) >= asked + 3)
        model.is_down = False
        model.mine(associated(1))
        assert isinstance(await anext(events), Associated)


async def test_node_that_is_away_at_start_is_unavailable(model: ModelNode, tmp_path: Path) -> None:
    model.is_down = True
    with pytest.raises(RegistryUnavailable):
        async with following(model, tmp_path):
            pass


async def test_block_whose_events_do_not_come_is_unavailable(model: ModelNode, tmp_path: Path) -> None:
    impatient = ReplicaTimes(poll_interval_s=0.005, catch_up_timeout_s=0.05)
    async with following(model, tmp_path, impatient) as replica:
        with pytest.raises(RegistryUnavailable):
            await replica.wait_for_block(len(model.blocks))


async def test_contradicting_events_end_everything_that_waits(model: ModelNode, tmp_path: Path) -> None:
    async with following(model, tmp_path) as replica:
        events = replica.subscribe()
        block = model.mine(revoked(1, epoch=2))
        with pytest.raises(RegistryInconsistent):
            await replica.wait_for_block(block.number)
        with pytest.raises(RegistryInconsistent):
            await anext(events)
        with pytest.raises(RegistryInconsistent):
            _ = replica.membership
        with pytest.raises(RegistryInconsistent):
            await anext(replica.subscribe())


async def test_contradicting_events_at_start_are_inconsistent(model: ModelNode, tmp_path: Path) -> None:
    model.mine(associated(1))
    model.mine(associated(1))
    with pytest.raises(RegistryInconsistent):
        async with following(model, tmp_path):
            pass


async def test_events_that_contradict_the_file_are_read_again_from_the_first(model: ModelNode, tmp_path: Path) -> None:
    model.mine(associated(1))
    async with following(model, tmp_path):
        pass
    change_file(tmp_path, "DELETE FROM log WHERE block_number = 2")
    model.mine(revoked(1, epoch=2))
    async with following(model, tmp_path) as replica:
        assert replica.membership.objects[oid(1)].state is ObjectState.REVOKED


async def test_file_that_contradicts_itself_is_read_again(model: ModelNode, tmp_path: Path) -> None:
    model.mine(associated(1))
    model.mine(revoked(1, epoch=2))
    async with following(model, tmp_path):
        pass
    change_file(tmp_path, "DELETE FROM log WHERE block_number = 2")
    async with following(model, tmp_path) as replica:
        assert replica.membership.objects[oid(1)].state is ObjectState.REVOKED


@pytest.mark.parametrize("swapped", [True, False], ids=["swapped", "foreign block"])
async def test_logs_out_of_order_are_inconsistent(model: ModelNode, tmp_path: Path, *, swapped: bool) -> None:
    model.mine(associated(1), associated(2))
    logs = model._eth_getLogs({"fromBlock": "0x0", "toBlock": "0x2"})
    model.answers["eth_getLogs"] = logs[::-1] if swapped else [logs[0] | {"blockNumber": "0x9"}]
    with pytest.raises(RegistryInconsistent):
        async with following(model, tmp_path):
            pass


async def test_damaged_file_is_the_users_to_remove(model: ModelNode, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all, but long enough to be taken for one" * 100)
    with pytest.raises(ConfigurationError) as caught:
        await make_replica(model, tmp_path).start()
    assert "Remove" in caught.value.remedy


async def test_other_programs_database_is_left_alone(model: ModelNode, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("CREATE TABLE precious (thing TEXT)")
    connection.close()
    with pytest.raises(ConfigurationError):
        await make_replica(model, tmp_path).start()
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("SELECT count(*) FROM precious").fetchone() == (0,)
    connection.close()


async def test_closed_replica_ends_its_subscriptions_after_what_was_queued(model: ModelNode, tmp_path: Path) -> None:
    async with following(model, tmp_path) as replica:
        events = replica.subscribe()
        await replica.wait_for_block(model.mine(associated(1)).number)
    assert [type(event) async for event in events] == [Associated]
    assert [event async for event in events] == []
    assert [event async for event in replica.subscribe()] == []


async def test_subscription_that_nobody_reads_any_more_gathers_nothing(model: ModelNode, tmp_path: Path) -> None:
    async with following(model, tmp_path) as replica:
        dropped = weakref.ref(replica.subscribe())
        kept = replica.subscribe()
        gc.collect()
        assert dropped() is None
        await replica.wait_for_block(model.mine(associated(1)).number)
        assert isinstance(await anext(kept), Associated)


async def test_only_the_newest_blocks_without_events_are_kept(model: ModelNode, tmp_path: Path) -> None:
    async with following(model, tmp_path, NEVER_POLLS) as replica:
        for _ in range(200):
            await replica.wait_for_block(model.mine().number)
        await replica.wait_for_block(model.mine(associated(1)).number)
    with sqlite3.connect(tmp_path / FILE) as connection:
        ((blocks,),) = connection.execute("SELECT count(*) FROM block")
        ((lowest,),) = connection.execute("SELECT min(number) FROM block")
    connection.close()
    assert blocks < 80
    assert lowest == 1, "a block with an event stays"


async def test_events_come_after_they_are_folded(tmp_path: Path) -> None:
    model = ModelNode()
    async with following(model, tmp_path) as replica:
        events = replica.subscribe()
        model.mine(created())
        event = await anext(events)
        assert isinstance(event, GroupCreated)
        assert event.gid in replica.membership.groups


async def test_fault_of_the_node_in_one_poll_is_survived(model: ModelNode, tmp_path: Path) -> None:
    async with following(model, tmp_path) as replica:
        model.fail_next("eth_getBlockByNumber", RpcFault(-32603, "internal error"))
        await replica.wait_for_block(model.mine(associated(1)).number)
        assert slaves(replica) == {oid(1)}


def change_file(directory: Path, statement: str) -> None:
    with sqlite3.connect(directory / FILE) as connection:
        connection.execute(statement)
    connection.close()
