"""The event replica where the chain forks: whose branch it follows, what counts of it, and what outlives a restart."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from group_protocol.errors import RegistryInconsistent
from group_protocol.membership import Associated, AssociationUndone, ObjectState, Revoked
from tests.support.followed_chain import (
    GID,
    NEVER_POLLS,
    QUICK,
    address,
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
