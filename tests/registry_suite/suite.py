"""One suite for every GroupRegistry: in memory, on an embedded chain, on a node by URL.

A backend's module subclasses these classes and defines the fixture ``registry_factory``.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import pytest

from group_protocol.errors import ContractRefusal, LocalProtocolError, Reason
from group_protocol.identifiers import GroupId
from group_protocol.limits import ASSOCIATION_BATCH_MAX
from group_protocol.membership import (
    Anchored,
    Associated,
    AssociationRefused,
    ChainEvent,
    ExchangeRecorded,
    GroupCreated,
    GroupView,
    MasterRotated,
    Membership,
    ObjectState,
    ObjectView,
    Revoked,
    Rotated,
    fold,
)
from tests.registry_suite.backends import RegistryFactory, Stage, set_stage
from tests.registry_suite.refusals import EPOCH, NO_GROUP, NOBODY, REFUSALS, Refusal
from tests.registry_suite.signers import PAYLOAD_HASH, ROOT, Signers, address_of, oid_of

DEVICES = 20

EventT = TypeVar("EventT", bound=ChainEvent)


class RefusalSuite:
    """Each refusal of the contract. What is refused changes nothing, so all cases share one stage."""

    @pytest.mark.asyncio(loop_scope="module")
    @pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
    async def test_refusal_has_its_reason_and_changes_nothing(self, refusal_stage: Stage, refusal: Refusal) -> None:
        registry, gid = refusal_stage.registry, refusal_stage.sign.gid_of("master")
        before = registry.membership()
        with pytest.raises(ContractRefusal) as caught:
            await refusal.attempt(registry, refusal_stage.sign, gid)
        assert caught.value.reason is refusal.reason
        assert registry.membership() == before
        group = await registry.fetch_group(gid)
        assert group is not None
        assert group.epoch == EPOCH


class RepetitionSuite:
    """Who asks for the same again gets the receipt of the first time."""

    @pytest.fixture
    async def stage(self, registry_factory: RegistryFactory, tmp_path: Path) -> AsyncIterator[Stage]:
        async with registry_factory.open(tmp_path / "registry") as registry:
            yield await set_stage(registry)

    @pytest.fixture
    async def gid(self, stage: Stage) -> GroupId:
        receipt = await stage.registry.create_group(stage.sign.create_group("master"))
        return receipt_event(receipt.event, GroupCreated).gid

    async def test_same_association_again_gets_the_first_receipt(self, stage: Stage, gid: GroupId) -> None:
        request = stage.sign.associate("slave", gid, master="master")
        first = await stage.registry.associate(request)
        assert await stage.registry.associate(request) == first

    async def test_same_association_many_times_at_once_gets_one_receipt(self, stage: Stage, gid: GroupId) -> None:
        request = stage.sign.associate("slave", gid, master="master")
        receipts = await asyncio.gather(*(stage.registry.associate(request) for _ in range(5)))
        assert len({receipt.position for receipt in receipts}) == 1
        assert len(stage.registry.membership().members(gid)) == 2

    async def test_association_again_that_was_in_a_batch_gets_the_batchs_receipt(
        self, stage: Stage, gid: GroupId
    ) -> None:
        requests = [stage.sign.associate(name, gid, master="master") for name in ("first", "second")]
        receipts = await stage.registry.associate_batch(requests)
        assert await stage.registry.associate(requests[1]) == receipts[1]
        third = stage.sign.associate("third", gid, master="master")
        again = await stage.registry.associate_batch([third, requests[0]])
        assert again[1] == receipts[0]
        assert receipt_event(again[0].event, Associated).oid == oid_of("third")

    async def test_same_association_again_after_revocation_is_refused(self, stage: Stage, gid: GroupId) -> None:
        request = stage.sign.associate("slave", gid, master="master")
        await stage.registry.associate(request)
        await stage.registry.revoke(stage.sign.revoke(gid, oid_of("slave"), signer="master"))
        with pytest.raises(ContractRefusal) as caught:
            await stage.registry.associate(request)
        assert caught.value.reason is Reason.OBJECT_REVOKED

    async def test_same_group_revocation_and_rotation_again_get_the_first_receipt(
        self, stage: Stage, gid: GroupId
    ) -> None:
        for name in ("slave", "goes"):
            await stage.registry.associate(stage.sign.associate(name, gid, master="master"))
        creation = stage.sign.create_group("other-master")
        rotation = stage.sign.rotate(gid, oid_of("slave"), old="slave", new="slave-new")
        revocation = stage.sign.revoke(gid, oid_of("goes"), signer="master")
        assert await stage.registry.create_group(creation) == await stage.registry.create_group(creation)
        assert await stage.registry.rotate(rotation) == await stage.registry.rotate(rotation)
        assert await stage.registry.revoke(revocation) == await stage.registry.revoke(revocation)
        assert stage.registry.membership().groups[gid].epoch == 3

    async def test_same_rotation_again_that_another_followed_is_refused(self, stage: Stage, gid: GroupId) -> None:
        await stage.registry.associate(stage.sign.associate("slave", gid, master="master"))
        first = stage.sign.rotate(gid, oid_of("slave"), old="slave", new="slave-new")
        await stage.registry.rotate(first)
        await stage.registry.rotate(stage.sign.rotate(gid, oid_of("slave"), old="slave-new", new="slave-newer"))
        with pytest.raises(ContractRefusal):
            await stage.registry.rotate(first)

    async def test_same_anchor_again_is_not_sent_again(self, stage: Stage, gid: GroupId) -> None:
        anchor = stage.sign.anchor(gid, signer="master")
        assert await stage.registry.anchor(anchor) == await stage.registry.anchor(anchor)

    async def test_same_exchange_again_gets_the_first_receipt(self, stage: Stage, gid: GroupId) -> None:
        await stage.registry.associate(stage.sign.associate("slave", gid, master="master"))
        proof = stage.sign.exchange(gid, oid_of("slave"), oid_of("master"), signer="slave")
        assert await stage.registry.record_exchange(proof) == await stage.registry.record_exchange(proof)


class BehaviourSuite(RepetitionSuite):
    """What a registry does when nothing is refused."""

    async def test_create_group_gives_the_derived_gid_and_epoch_one(self, stage: Stage) -> None:
        receipt = await stage.registry.create_group(stage.sign.create_group("master"))
        event = receipt_event(receipt.event, GroupCreated)
        assert (event.gid, event.master, event.oid) == (
            stage.sign.gid_of("master"),
            address_of("master"),
            oid_of("master"),
        )
        assert receipt.gas > 0
        assert await stage.registry.fetch_group(event.gid) == GroupView(
            event.gid, address_of("master"), oid_of("master"), 1
        )

    async def test_associate_makes_an_active_slave(self, stage: Stage, gid: GroupId) -> None:
        receipt = await stage.registry.associate(stage.sign.associate("slave", gid, master="master"))
        event = receipt_event(receipt.event, Associated)
        assert (event.gid, event.oid, event.account) == (gid, oid_of("slave"), address_of("slave"))
        assert stage.registry.membership().is_active_member(gid, oid_of("slave"))
        await expect_same_in_contract(stage, gid)

    async def test_association_leaves_the_epoch_alone(self, stage: Stage, gid: GroupId) -> None:
        await stage.registry.associate(stage.sign.associate("slave", gid, master="master"))
        assert stage.registry.membership().groups[gid].epoch == 1

    async def test_second_association_of_a_device_is_refused_and_the_first_stays(
        self, stage: Stage, gid: GroupId
    ) -> None:
        await stage.registry.associate(stage.sign.associate("slave", gid, master="master"))
        with pytest.raises(ContractRefusal) as caught:
            await stage.registry.associate(later(stage).associate("slave", gid, master="master"))
        assert caught.value.reason is Reason.OBJECT_ID_IN_USE
        assert stage.registry.membership().is_active_member(gid, oid_of("slave"))

    async def test_batch_answers_each_item_in_order(self, stage: Stage, gid: GroupId) -> None:
        items = [
            stage.sign.associate("first", gid, master="master"),
            stage.sign.associate("stranger", gid, master="other-master"),
            stage.sign.associate("second", gid, master="master"),
            later(stage).associate("first", gid, master="master"),
            stage.sign.associate("third", NO_GROUP, master="master"),
            stage.sign.associate("fourth", gid, master="master", deadline_unix_s=1),
        ]
        receipts = await stage.registry.associate_batch(items)
        outcomes = [
            event.reason if isinstance(event, AssociationRefused) else receipt_event(event, Associated).oid
            for event in (receipt.event for receipt in receipts)
        ]
        assert outcomes == [
            oid_of("first"),
            Reason.TOKEN_REFUSED,
            oid_of("second"),
            Reason.OBJECT_ID_IN_USE,
            Reason.UNKNOWN_GROUP,
            Reason.DEADLINE_PASSED,
        ]
        assert len({receipt.position.transaction_hash for receipt in receipts}) == 1
        await expect_same_in_contract(stage, gid)

    async def test_batch_without_items_is_a_local_error(self, stage: Stage) -> None:
        with pytest.raises(LocalProtocolError):
            await stage.registry.associate_batch([])

    async def test_batch_above_the_limit_is_a_local_error(self, stage: Stage, gid: GroupId) -> None:
        item = stage.sign.associate("slave", gid, master="master")
        with pytest.raises(LocalProtocolError):
            await stage.registry.associate_batch([item] * (ASSOCIATION_BATCH_MAX + 1))

    async def test_largest_batch_fits_one_transaction(self, stage: Stage, gid: GroupId) -> None:
        items = [
            stage.sign.associate(f"device {number}", gid, master="master") for number in range(ASSOCIATION_BATCH_MAX)
        ]
        receipts = await stage.registry.associate_batch(items)
        assert all(isinstance(receipt.event, Associated) for receipt in receipts)
        assert len(stage.registry.membership().members(gid)) == 1 + ASSOCIATION_BATCH_MAX

    async def test_revoke_is_final_and_raises_the_epoch(self, stage: Stage, gid: GroupId) -> None:
        await stage.registry.associate(stage.sign.associate("slave", gid, master="master"))
        receipt = await stage.registry.revoke(stage.sign.revoke(gid, oid_of("slave"), signer="master"))
        event = receipt_event(receipt.event, Revoked)
        assert (event.gid, event.oid, event.epoch) == (gid, oid_of("slave"), 2)
        assert not stage.registry.membership().is_active_member(gid, oid_of("slave"))
        assert stage.registry.membership().objects[oid_of("slave")].state is ObjectState.REVOKED
        await expect_same_in_contract(stage, gid)

    async def test_rotate_keeps_the_oid_and_raises_the_epoch(self, stage: Stage, gid: GroupId) -> None:
        await stage.registry.associate(stage.sign.associate("slave", gid, master="master"))
        receipt = await stage.registry.rotate(stage.sign.rotate(gid, oid_of("slave"), old="slave", new="slave-new"))
        event = receipt_event(receipt.event, Rotated)
        assert (event.oid, event.new_address, event.epoch) == (oid_of("slave"), address_of("slave-new"), 2)
        assert stage.registry.membership().objects[oid_of("slave")].account == address_of("slave-new")
        await expect_same_in_contract(stage, gid)

    async def test_rotated_slave_can_rotate_again_with_its_new_key(self, stage: Stage, gid: GroupId) -> None:
        await stage.registry.associate(stage.sign.associate("slave", gid, master="master"))
        await stage.registry.rotate(stage.sign.rotate(gid, oid_of("slave"), old="slave", new="slave-2"))
        await stage.registry.rotate(stage.sign.rotate(gid, oid_of("slave"), old="slave-2", new="slave-3"))
        assert stage.registry.membership().groups[gid].epoch == 3
        await expect_same_in_contract(stage, gid)

    async def test_rotated_slave_can_be_revoked(self, stage: Stage, gid: GroupId) -> None:
        await stage.registry.associate(stage.sign.associate("slave", gid, master="master"))
        await stage.registry.rotate(stage.sign.rotate(gid, oid_of("slave"), old="slave", new="slave-new"))
        await stage.registry.revoke(stage.sign.revoke(gid, oid_of("slave"), signer="master"))
        assert stage.registry.membership().objects[oid_of("slave")].state is ObjectState.REVOKED
        await expect_same_in_contract(stage, gid)

    async def test_rotate_master_keeps_members_and_hands_over_the_group(self, stage: Stage, gid: GroupId) -> None:
        await stage.registry.associate(stage.sign.associate("slave", gid, master="master"))
        receipt = await stage.registry.rotate_master(stage.sign.rotate_master(gid, old="master", new="master-new"))
        event = receipt_event(receipt.event, MasterRotated)
        assert (event.new_master, event.epoch) == (address_of("master-new"), 2)
        assert stage.registry.membership().is_active_member(gid, oid_of("slave"))
        group = await stage.registry.fetch_group(gid)
        assert group == GroupView(gid, address_of("master-new"), oid_of("master"), 2)
        await expect_same_in_contract(stage, gid)

    async def test_after_rotate_master_only_the_new_masters_tokens_count(self, stage: Stage, gid: GroupId) -> None:
        await stage.registry.rotate_master(stage.sign.rotate_master(gid, old="master", new="master-new"))
        with pytest.raises(ContractRefusal) as caught:
            await stage.registry.associate(stage.sign.associate("slave", gid, master="master"))
        assert caught.value.reason is Reason.TOKEN_REFUSED
        await stage.registry.associate(stage.sign.associate("slave", gid, master="master-new"))
        assert stage.registry.membership().is_active_member(gid, oid_of("slave"))

    async def test_exchange_between_members_verifies_and_is_recorded(self, stage: Stage, gid: GroupId) -> None:
        await stage.registry.associate(stage.sign.associate("slave", gid, master="master"))
        proof = stage.sign.exchange(gid, oid_of("slave"), oid_of("master"), signer="slave", seq=7)
        await stage.registry.verify_exchange(proof)
        receipt = await stage.registry.record_exchange(proof)
        event = receipt_event(receipt.event, ExchangeRecorded)
        assert (event.gid, event.sender, event.receiver) == (gid, oid_of("slave"), oid_of("master"))
        assert (event.payload_hash, event.seq, event.epoch) == (PAYLOAD_HASH, 7, 1)

    async def test_recorded_seq_must_rise(self, stage: Stage, gid: GroupId) -> None:
        await stage.registry.associate(stage.sign.associate("slave", gid, master="master"))

        await stage.registry.associate(stage.sign.associate("other", gid, master="master"))

        async def record(seq: int, receiver: str = "master") -> None:
            proof = stage.sign.exchange(gid, oid_of("slave"), oid_of(receiver), signer="slave", seq=seq)
            await stage.registry.record_exchange(proof)

        await record(7)
        for seq in (7, 6):
            with pytest.raises(ContractRefusal) as caught:
                await record(seq, "other")
            assert caught.value.reason is Reason.SEQ_NOT_RISING
        await record(9)

    async def test_exchange_is_signed_by_the_rotated_key_under_the_new_epoch(self, stage: Stage, gid: GroupId) -> None:
        await stage.registry.associate(stage.sign.associate("slave", gid, master="master"))
        await stage.registry.rotate(stage.sign.rotate(gid, oid_of("slave"), old="slave", new="slave-new"))
        slave, master = oid_of("slave"), oid_of("master")
        await stage.registry.verify_exchange(stage.sign.exchange(gid, slave, master, signer="slave-new", epoch=2))

    async def test_master_may_send_to_a_slave(self, stage: Stage, gid: GroupId) -> None:
        await stage.registry.associate(stage.sign.associate("slave", gid, master="master"))
        await stage.registry.verify_exchange(
            stage.sign.exchange(gid, oid_of("master"), oid_of("slave"), signer="master")
        )

    async def test_anchor_carries_what_the_master_signed(self, stage: Stage, gid: GroupId) -> None:
        receipt = await stage.registry.anchor(stage.sign.anchor(gid, signer="master", from_record=5, to_record=5))
        event = receipt_event(receipt.event, Anchored)
        assert (event.gid, event.root, event.from_record, event.to_record, event.epoch) == (gid, ROOT, 5, 5, 1)

    async def test_anchors_of_a_group_are_found_in_order_each_once(self, stage: Stage, gid: GroupId) -> None:
        await stage.registry.create_group(stage.sign.create_group("other-master"))
        other_gid = stage.sign.gid_of("other-master")
        first = await stage.registry.anchor(stage.sign.anchor(gid, signer="master", from_record=1, to_record=4))
        await stage.registry.anchor(stage.sign.anchor(other_gid, signer="other-master"))
        second = await stage.registry.anchor(stage.sign.anchor(gid, signer="master", from_record=5, to_record=9))
        await stage.registry.anchor(stage.sign.anchor(gid, signer="master", from_record=1, to_record=4))
        assert await stage.registry.fetch_anchors(gid) == [first.event, second.event]
        assert await stage.registry.fetch_anchors(NO_GROUP) == []

    async def test_what_is_not_there_is_none(self, stage: Stage, gid: GroupId) -> None:
        await stage.registry.create_group(stage.sign.create_group("other-master"))
        other_gid = stage.sign.gid_of("other-master")
        assert await stage.registry.fetch_group(NO_GROUP) is None
        assert await stage.registry.fetch_object(gid, NOBODY) is None
        assert await stage.registry.fetch_object(NO_GROUP, NOBODY) is None
        assert await stage.registry.fetch_object(other_gid, oid_of("master")) is None

    async def test_events_come_in_the_chains_order_and_fold_to_the_membership(self, stage: Stage, gid: GroupId) -> None:
        before = stage.registry.membership()
        events = stage.registry.events()
        await stage.registry.associate(stage.sign.associate("slave", gid, master="master"))
        await stage.registry.anchor(stage.sign.anchor(gid, signer="master"))
        await stage.registry.revoke(stage.sign.revoke(gid, oid_of("slave"), signer="master"))
        seen = [await next_event(events, kind) for kind in (Associated, Anchored, Revoked)]
        assert all(
            (first.at.block_number, first.at.log_index) < (second.at.block_number, second.at.log_index)
            for first, second in pairwise(seen)
        )
        assert fold(seen, before) == stage.registry.membership()

    async def test_every_listener_gets_the_events_from_its_subscription_on(self, stage: Stage, gid: GroupId) -> None:
        early = stage.registry.events()
        await stage.registry.associate(stage.sign.associate("first", gid, master="master"))
        late = stage.registry.events()
        await stage.registry.associate(stage.sign.associate("second", gid, master="master"))
        assert [(await next_event(early, Associated)).oid for _ in range(2)] == [oid_of("first"), oid_of("second")]
        assert (await next_event(late, Associated)).oid == oid_of("second")

    async def test_event_is_in_the_membership_when_it_arrives(self, stage: Stage, gid: GroupId) -> None:
        events = stage.registry.events()
        sending = asyncio.create_task(stage.registry.associate(stage.sign.associate("slave", gid, master="master")))
        event = await next_event(events, Associated)
        assert stage.registry.membership().is_active_member(gid, event.oid)
        await sending

    async def test_events_end_when_the_registry_closes(self, registry_factory: RegistryFactory, tmp_path: Path) -> None:
        async with registry_factory.open(tmp_path / "registry") as registry:
            stage = await set_stage(registry)
            events = registry.events()
            await registry.create_group(stage.sign.create_group("master"))
        assert [type(event) async for event in events] == [GroupCreated]

    async def test_view_given_out_before_does_not_change(self, stage: Stage, gid: GroupId) -> None:
        view = stage.registry.membership()
        copy = Membership(dict(view.groups), dict(view.objects))
        await stage.registry.associate(stage.sign.associate("slave", gid, master="master"))
        assert view == copy

    async def test_devices_that_associate_at_once_all_become_members_once(self, stage: Stage, gid: GroupId) -> None:
        names = [f"device {number}" for number in range(DEVICES)]
        receipts = await asyncio.gather(
            *(stage.registry.associate(stage.sign.associate(name, gid, master="master")) for name in names)
        )
        assert [receipt_event(receipt.event, Associated).oid for receipt in receipts] == [
            oid_of(name) for name in names
        ]
        assert len({(receipt.position.block_number, receipt.position.log_index) for receipt in receipts}) == DEVICES
        assert len(stage.registry.membership().members(gid)) == 1 + DEVICES
        await expect_same_in_contract(stage, gid)

    async def test_one_device_that_associates_many_times_at_once_becomes_a_member_once(
        self, stage: Stage, gid: GroupId
    ) -> None:
        requests = [later(stage, seconds).associate("slave", gid, master="master") for seconds in range(5)]
        outcomes = await asyncio.gather(*map(stage.registry.associate, requests), return_exceptions=True)
        refusals = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert len(refusals) == 4
        assert all(isinstance(each, ContractRefusal) and each.reason is Reason.OBJECT_ID_IN_USE for each in refusals)
        assert stage.registry.membership().is_active_member(gid, oid_of("slave"))

    async def test_caller_that_gives_up_does_not_block_the_next(self, stage: Stage, gid: GroupId) -> None:
        sending = asyncio.create_task(stage.registry.associate(stage.sign.associate("first", gid, master="master")))
        await asyncio.sleep(0)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await stage.registry.associate(stage.sign.associate("second", gid, master="master"))
        assert stage.registry.membership().is_active_member(gid, oid_of("second"))


class PersistenceSuite:
    """What stays when a registry is closed and opened again."""

    async def test_reopened_registry_has_identity_members_and_epoch(
        self, registry_factory: RegistryFactory, tmp_path: Path
    ) -> None:
        async with registry_factory.open(tmp_path) as registry:
            stage = await set_stage(registry)
            gid = await populate(stage)
            identity, membership = await registry.fetch_identity(), registry.membership()
        async with registry_factory.open(tmp_path) as registry:
            assert await registry.fetch_identity() == identity
            assert registry.membership() == membership
            assert registry.membership().groups[gid].epoch == 2

    async def test_reopened_registry_goes_on(self, registry_factory: RegistryFactory, tmp_path: Path) -> None:
        async with registry_factory.open(tmp_path) as registry:
            gid = await populate(await set_stage(registry))
        async with registry_factory.open(tmp_path) as registry:
            stage = await set_stage(registry)
            events = registry.events()
            await registry.associate(stage.sign.associate("late", gid, master="master"))
            assert (await next_event(events, Associated)).oid == oid_of("late")
            await expect_same_in_contract(stage, gid)

    async def test_replica_that_was_lost_is_read_from_the_chain_again(
        self, registry_factory: RegistryFactory, tmp_path: Path
    ) -> None:
        async with registry_factory.open(tmp_path) as registry:
            await populate(await set_stage(registry))
            membership = registry.membership()
        lose_replica(tmp_path)
        async with registry_factory.open(tmp_path) as registry:
            assert registry.membership() == membership


def later(stage: Stage, seconds: int = 1) -> Signers:
    """The same people, whose requests have a later deadline: other requests."""
    return replace(stage.sign, deadline_unix_s=stage.sign.deadline_unix_s + seconds)


def lose_replica(directory: Path) -> None:
    files = list(directory.glob("*events.sqlite3*"))
    assert files
    for path in files:
        path.unlink()


async def populate(stage: Stage) -> GroupId:
    """A group with one active and one revoked slave; its epoch is 2."""
    gid = stage.sign.gid_of("master")
    await stage.registry.create_group(stage.sign.create_group("master"))
    for name in ("slave", "revoked"):
        await stage.registry.associate(stage.sign.associate(name, gid, master="master"))
    await stage.registry.revoke(stage.sign.revoke(gid, oid_of("revoked"), signer="master"))
    return gid


async def expect_same_in_contract(stage: Stage, gid: GroupId) -> None:
    """The fold of the events says what the contract itself says, object by object."""
    membership = stage.registry.membership()
    assert await stage.registry.fetch_group(gid) == membership.groups[gid]
    for view in membership.members(gid):
        assert await stage.registry.fetch_object(gid, view.oid) == ObjectView(view.oid, gid, view.account, view.state)


async def next_event(events: AsyncIterator[ChainEvent], kind: type[EventT]) -> EventT:
    """The next event, which has to be of this kind.

    A network of nodes may fork at any time, and tell of the group a second time, which was there before.
    """
    return receipt_event(await anext(event async for event in events if not isinstance(event, GroupCreated)), kind)


def receipt_event(event: ChainEvent, kind: type[EventT]) -> EventT:
    assert isinstance(event, kind)
    return event
