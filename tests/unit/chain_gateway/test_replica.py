"""The event replica follows the chain, through reorganisations, restarts and failing nodes."""

import asyncio
import gc
import sqlite3
import weakref
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from chain_gateway.config import ReplicaTimes
from chain_gateway.contract_abi import ContractAbi
from chain_gateway.events import EventDecoder
from chain_gateway.node_answers import RawLog
from chain_gateway.replica import EventReplica
from contracts import load_artifact
from group_protocol.errors import ConfigurationError, RegistryInconsistent, RegistryUnavailable
from group_protocol.identifiers import Address, GroupId, ObjectId, derive_object_id
from group_protocol.membership import Associated, AssociationUndone, GroupCreated, ObjectState, Revoked
from group_protocol.ports import RegistryIdentity
from tests.support.contract_logs import CONTRACT, make_log
from tests.support.model_node import CHAIN_ID, ModelNode, RpcFault
from tests.support.waiting import until

GID = GroupId(b"g" * 16)
MASTER = Address(b"m" * 20)
ABI = ContractAbi.from_json(load_artifact().abi)
QUICK = ReplicaTimes(poll_interval_s=0.005, longest_backoff_s=0.01, catch_up_timeout_s=60, blocks_per_request=100)
NEVER_POLLS = ReplicaTimes(poll_interval_s=3_600, catch_up_timeout_s=60, blocks_per_request=100)
FILE = "events.sqlite3"


def created() -> RawLog:
    return make_log("GroupCreated", gid=GID, master=MASTER, oid=derive_object_id(MASTER), index=1)


def address(number: int) -> Address:
    return Address(number.to_bytes(20, "big"))


def oid(number: int) -> ObjectId:
    return derive_object_id(address(number))


def associated(number: int) -> RawLog:
    return make_log("Associated", gid=GID, oid=oid(number), account=address(number))


def revoked(number: int, epoch: int) -> RawLog:
    return make_log("Revoked", gid=GID, oid=oid(number), epoch=epoch)


def make_replica(
    model: ModelNode,
    directory: Path,
    times: ReplicaTimes = QUICK,
    *,
    contract: Address = CONTRACT,
    confirmations: int = 0,
) -> EventReplica:
    return EventReplica(
        model.connect_gateway(),
        EventDecoder(ABI, contract),
        RegistryIdentity(CHAIN_ID, contract),
        path=directory / FILE,
        first_block=1,
        times=times,
        confirmations=confirmations,
    )


@asynccontextmanager
async def following(
    model: ModelNode,
    directory: Path,
    times: ReplicaTimes = QUICK,
    *,
    contract: Address = CONTRACT,
    confirmations: int = 0,
) -> AsyncIterator[EventReplica]:
    replica = make_replica(model, directory, times, contract=contract, confirmations=confirmations)
    try:
        await replica.start()
        yield replica
    finally:
        await replica.close()


def slaves(replica: EventReplica) -> set[ObjectId]:
    return {view.oid for view in replica.membership.objects.values() if view.state is ObjectState.SLAVE}


@pytest.fixture
def model() -> ModelNode:
    """A chain with a group in block 1."""
    model = ModelNode()
    model.mine(created())
    return model


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


async def test_replaced_block_is_rolled_back(model: ModelNode, tmp_path: Path) -> None:
    async with following(model, tmp_path) as replica:
        await replica.wait_for_block(model.mine(associated(1)).number)
        await replica.wait_for_block(model.mine(associated(2)).number)
        model.fork(1)
        model.mine()
        await replica.wait_for_block(model.mine(associated(3)).number)
        assert slaves(replica) == {oid(1), oid(3)}


async def test_replaced_block_of_the_same_height_is_rolled_back(model: ModelNode, tmp_path: Path) -> None:
    async with following(model, tmp_path) as replica:
        await replica.wait_for_block(model.mine(associated(1)).number)
        events = replica.subscribe()
        model.fork(1)
        model.mine(associated(2))
        await anext(events)
        assert slaves(replica) == {oid(2)}


async def test_shorter_chain_is_followed_back(model: ModelNode, tmp_path: Path) -> None:
    for number in range(1, 6):
        model.mine(associated(number))
    async with following(model, tmp_path) as replica:
        events = replica.subscribe()
        model.fork(4)
        model.mine(associated(9))
        await anext(events)
        assert slaves(replica) == {oid(1), oid(9)}


async def test_node_that_is_behind_takes_no_revocation_back(model: ModelNode, tmp_path: Path) -> None:
    model.mine(associated(1))
    model.mine(revoked(1, epoch=2))
    async with following(model, tmp_path) as replica:
        newest = model.blocks.pop()
        asked = len(model.asked)
        await until(lambda: len(model.asked) >= asked + 4)
        assert slaves(replica) == set()
        model.blocks.append(newest)
        await replica.wait_for_block(model.mine(associated(2)).number)
        assert slaves(replica) == {oid(2)}


async def test_node_that_is_behind_at_the_start_takes_nothing_back(model: ModelNode, tmp_path: Path) -> None:
    model.mine(associated(1))
    model.mine(revoked(1, epoch=2))
    async with following(model, tmp_path):
        pass
    del model.blocks[-2:]
    async with following(model, tmp_path) as replica:
        assert slaves(replica) == set()
        assert replica.membership.groups[GID].epoch == 2


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


async def test_chain_replaced_while_closed_is_rolled_back_at_start(model: ModelNode, tmp_path: Path) -> None:
    for number in range(1, 6):
        model.mine(associated(number))
    async with following(model, tmp_path):
        pass
    model.fork(3)
    model.mine(associated(7))
    async with following(model, tmp_path) as replica:
        assert slaves(replica) == {oid(1), oid(2), oid(7)}


async def test_wholly_other_chain_is_read_from_its_beginning(model: ModelNode, tmp_path: Path) -> None:
    for number in range(1, 101):
        model.mine(associated(number))
    async with following(model, tmp_path):
        pass
    model.fork(len(model.blocks))
    model.mine()
    model.mine(created(), associated(500))
    async with following(model, tmp_path) as replica:
        assert slaves(replica) == {oid(500)}


async def test_common_block_is_found_in_few_questions(model: ModelNode, tmp_path: Path) -> None:
    for number in range(1, 1_001):
        model.mine(associated(number))
    async with following(model, tmp_path):
        pass
    model.fork(500)
    model.mine()
    model.asked.clear()
    async with following(model, tmp_path, NEVER_POLLS) as replica:
        assert slaves(replica) == {oid(number) for number in range(1, 501)}
        assert len(model.asked) < 20


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


class TestConfirmations:
    """An association counts when enough blocks stand above its own; a revocation at once."""

    async def test_association_counts_after_the_blocks_and_is_told_of_then(
        self, model: ModelNode, tmp_path: Path
    ) -> None:
        async with following(model, tmp_path, confirmations=2) as replica:
            events = replica.subscribe()
            block = model.mine(associated(1))
            model.mine()
            await replica.wait_for_block(block.number + 1)
            assert slaves(replica) == set()
            model.mine()
            await replica.wait_until_counted(block.number)
            assert slaves(replica) == {oid(1)}
            assert isinstance(await anext(events), Associated)

    async def test_revocation_counts_at_once_also_of_a_device_that_does_not_count_yet(
        self, model: ModelNode, tmp_path: Path
    ) -> None:
        model.mine(associated(1))
        for _ in range(5):
            model.mine()
        async with following(model, tmp_path, confirmations=5) as replica:
            assert slaves(replica) == {oid(1)}
            events = replica.subscribe()
            await replica.wait_for_block(model.mine(associated(2), revoked(1, epoch=2), revoked(2, epoch=3)).number)
            states = {view.oid: view.state for view in replica.membership.objects.values()}
            assert states[oid(1)] is states[oid(2)] is ObjectState.REVOKED
            assert [type(await anext(events)) for _ in range(2)] == [Revoked, Revoked]

    async def test_fork_below_the_confirmations_makes_and_unmakes_nobody(
        self, model: ModelNode, tmp_path: Path
    ) -> None:
        async with following(model, tmp_path, confirmations=3) as replica:
            events = replica.subscribe()
            model.mine(associated(1))
            await replica.wait_for_block(model.mine(associated(2)).number)
            model.fork(2)
            model.mine()
            block = model.mine(associated(3))
            for _ in range(3):
                model.mine()
            await replica.wait_until_counted(block.number)
            assert slaves(replica) == {oid(3)}
            event = await anext(events)
            assert isinstance(event, Associated)
            assert event.oid == oid(3)

    async def test_fork_deeper_than_the_confirmations_is_told_of(self, model: ModelNode, tmp_path: Path) -> None:
        async with following(model, tmp_path, confirmations=1) as replica:
            stays = model.mine(associated(1))
            goes = model.mine(associated(2))
            model.mine()
            await replica.wait_until_counted(goes.number)
            events = replica.subscribe()
            model.fork(2)
            for _ in range(3):
                model.mine()
            event = await anext(events)
            assert isinstance(event, AssociationUndone)
            assert (event.oid, event.account, event.gid) == (oid(2), address(2), GID)
            assert slaves(replica) == {oid(1)}
            assert stays.number < goes.number

    async def test_association_that_counts_goes_on_counting_on_a_branch_that_is_not_as_high_yet(
        self, model: ModelNode, tmp_path: Path
    ) -> None:
        async with following(model, tmp_path, confirmations=2) as replica:
            block = model.mine(associated(1))
            for _ in range(2):
                model.mine()
            await replica.wait_until_counted(block.number)
            model.fork(1)
            seen = model.mine()
            while replica._position is None or replica._position.block_hash != seen.block_hash:
                await replica.wait_for_block(seen.number)
                await asyncio.sleep(0.005)
            assert slaves(replica) == {oid(1)}

    async def test_membership_is_never_without_what_both_branches_have(self, model: ModelNode, tmp_path: Path) -> None:
        """While blocks are replaced it stays as it was, so that nobody is cut off in between."""
        async with following(model, tmp_path) as replica:
            await replica.wait_for_block(model.mine(associated(1)).number)
            seen = []
            replica._tell_waiters = lambda: seen.append(slaves(replica))  # type: ignore[method-assign]
            model.fork(1)
            model.log_range_max = 1
            for log in (None, associated(1), associated(2)):
                model.mine(*([] if log is None else [log]))
            while not seen or oid(2) not in seen[-1]:  # noqa: ASYNC110 - what would tell is replaced
                await asyncio.sleep(0.005)
            assert all(oid(1) in each for each in seen)

    async def test_reopened_replica_counts_as_before(self, model: ModelNode, tmp_path: Path) -> None:
        async with following(model, tmp_path, confirmations=1):
            model.mine(associated(1))
            model.mine(associated(2))
        async with following(model, tmp_path, confirmations=1) as replica:
            assert slaves(replica) == {oid(1)}


class TestBranches:
    """A branch takes the other's place at once and as a whole: in the membership and in the file."""

    async def test_restart_in_the_middle_of_a_fork_begins_with_the_old_branch_when_the_node_is_away(
        self, model: ModelNode, tmp_path: Path
    ) -> None:
        model.mine(associated(1), associated(2))
        model.mine(revoked(1, epoch=2))
        async with following(model, tmp_path) as replica:
            model.fork(1)
            model.mine(revoked(1, epoch=2))
            model.mine(associated(3))
            asked = len(model.asked)
            model.fail_next("eth_getLogs", *(RpcFault(-32000, "away"),) * 1_000)
            await until(lambda: len(model.asked) >= asked + 8)
            assert slaves(replica) == {oid(2)}
        model.is_down = True
        again = make_replica(model, tmp_path, NEVER_POLLS)
        try:
            await again.start(may_be_away=True)
            assert slaves(again) == {oid(2)}, "the revocation stands on both branches"
        finally:
            await again.close()

    async def test_restart_while_contradicting_events_are_read_again_begins_with_what_was_known(
        self, model: ModelNode, tmp_path: Path
    ) -> None:
        model.mine(associated(1))
        async with following(model, tmp_path) as replica:
            model.mine(revoked(7, epoch=2))
            with pytest.raises(RegistryInconsistent):
                await replica.wait_for_block(len(model.blocks) - 1)
        model.is_down = True
        again = make_replica(model, tmp_path, NEVER_POLLS)
        try:
            await again.start(may_be_away=True)
            assert slaves(again) == {oid(1)}
        finally:
            await again.close()

    async def test_fork_between_two_parts_of_a_long_reading_leaves_nothing_of_the_old_branch(
        self, tmp_path: Path
    ) -> None:
        model = ForksAfterLogs()
        model.mine(created())
        async with following(model, tmp_path, replace(QUICK, blocks_per_request=2)) as replica:
            model.is_down = True
            for number in range(1, 7):
                model.mine(associated(number))
            model.next_fork = (5, range(12, 19))
            model.is_down = False
            await until(lambda: oid(18) in slaves(replica))
            assert slaves(replica) == {oid(1), *(oid(number) for number in range(12, 19))}


class ForksAfterLogs(ModelNode):
    """Replaces its newest blocks right after it has answered for the first logs.

    Attributes:
        next_fork: How many blocks go, and the slaves whose association stands in one new block each.
    """

    next_fork: tuple[int, Iterable[int]] | None = None

    def _eth_getLogs(self, query: dict[str, str]) -> list[dict[str, object]]:  # noqa: N802
        logs = super()._eth_getLogs(query)
        if self.next_fork is not None:
            (depth, numbers), self.next_fork = self.next_fork, None
            self.fork(depth)
            for number in numbers:
                self.mine(associated(number))
        return logs
