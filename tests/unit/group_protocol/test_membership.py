from dataclasses import replace

import pytest

from group_protocol.errors import Reason, RegistryInconsistent
from group_protocol.identifiers import Address, GroupId, ObjectId, derive_object_id
from group_protocol.membership import (
    Anchored,
    Associated,
    AssociationRefused,
    ChainEvent,
    ChainPosition,
    ExchangeRecorded,
    GroupCreated,
    MasterRotated,
    Membership,
    ObjectState,
    Revoked,
    Rotated,
    fold,
)

AT = ChainPosition(1, 0, b"b" * 32, b"t" * 32)
GID = GroupId(b"g" * 16)
OTHER_GID = GroupId(b"o" * 16)
MASTER, SLAVE, SECOND, NEW = (Address(bytes([n]) * 20) for n in (1, 2, 3, 4))
MASTER_OID, SLAVE_OID, SECOND_OID = (derive_object_id(address) for address in (MASTER, SLAVE, SECOND))
CREATED = GroupCreated(GID, MASTER, MASTER_OID, AT)
JOINED = Associated(GID, SLAVE_OID, SLAVE, AT)
JOINED_SECOND = Associated(GID, SECOND_OID, SECOND, AT)


def test_created_group_has_its_master_as_member_and_epoch_one() -> None:
    membership = fold([CREATED])
    assert membership.groups[GID].epoch == 1
    assert membership.groups[GID].master == MASTER
    assert membership.objects[MASTER_OID].state is ObjectState.MASTER
    assert membership.is_active_member(GID, MASTER_OID)


def test_associated_slave_is_member_of_its_group_only() -> None:
    membership = fold([CREATED, JOINED])
    assert membership.is_active_member(GID, SLAVE_OID)
    assert not membership.is_active_member(OTHER_GID, SLAVE_OID)
    assert membership.groups[GID].epoch == 1


def test_unknown_object_is_no_member() -> None:
    assert not fold([CREATED]).is_active_member(GID, SLAVE_OID)


def test_revoked_slave_is_no_member_but_stays_listed_and_epoch_rises() -> None:
    membership = fold([CREATED, JOINED, Revoked(GID, SLAVE_OID, 2, AT)])
    assert not membership.is_active_member(GID, SLAVE_OID)
    assert membership.groups[GID].epoch == 2
    assert [view.oid for view in membership.members(GID)] == sorted([MASTER_OID, SLAVE_OID])


def test_rotated_slave_keeps_its_id_under_the_new_address() -> None:
    membership = fold([CREATED, JOINED, Rotated(GID, SLAVE_OID, NEW, 2, AT)])
    assert membership.objects[SLAVE_OID].account == NEW
    assert membership.is_active_member(GID, SLAVE_OID)
    assert membership.groups[GID].epoch == 2


def test_rotated_master_keeps_its_id_and_members() -> None:
    membership = fold([CREATED, JOINED, MasterRotated(GID, NEW, 2, AT)])
    assert membership.groups[GID].master == NEW
    assert membership.objects[MASTER_OID].account == NEW
    assert membership.is_active_member(GID, SLAVE_OID)


def test_events_that_change_no_membership_leave_the_view_as_it_is() -> None:
    before = fold([CREATED, JOINED])
    passing: list[ChainEvent] = [
        AssociationRefused(GID, 0, Reason.TOKEN_REFUSED, AT),
        ExchangeRecorded(GID, SLAVE_OID, MASTER_OID, b"h" * 32, 1, 1, AT),
        Anchored(GID, b"r" * 32, 1, 2, 1, AT),
    ]
    assert fold(passing, before) == before


def test_fold_from_a_view_equals_fold_from_the_start_and_leaves_that_view_alone() -> None:
    events: list[ChainEvent] = [CREATED, JOINED, Revoked(GID, SLAVE_OID, 2, AT), JOINED_SECOND]
    half = fold(events[:2])
    kept = Membership(dict(half.groups), dict(half.objects))
    assert fold(events[2:], half) == fold(events)
    assert half == kept


REVOKED = Revoked(GID, SLAVE_OID, 2, AT)
CONTRADICTIONS: dict[str, tuple[list[ChainEvent], ChainEvent]] = {
    "group twice": ([CREATED], CREATED),
    "master in two groups": ([CREATED], replace(CREATED, gid=OTHER_GID)),
    "slave in unknown group": ([], JOINED),
    "slave twice": ([CREATED, JOINED], JOINED),
    "revoked slave again": ([CREATED, JOINED, REVOKED], JOINED),
    "oid of another address": ([CREATED], replace(JOINED, account=NEW)),
    "revoked master": ([CREATED], Revoked(GID, MASTER_OID, 2, AT)),
    "revoked unknown": ([CREATED], REVOKED),
    "revoked twice": ([CREATED, JOINED, REVOKED], replace(REVOKED, epoch=3)),
    "revoked in another group": ([CREATED, JOINED], replace(REVOKED, gid=OTHER_GID)),
    "rotated after revocation": ([CREATED, JOINED, REVOKED], Rotated(GID, SLAVE_OID, NEW, 3, AT)),
    "epoch stays": ([CREATED, JOINED], replace(REVOKED, epoch=1)),
    "epoch jumps": ([CREATED, JOINED], replace(REVOKED, epoch=3)),
    "master of unknown group": ([], MasterRotated(GID, NEW, 2, AT)),
}


@pytest.mark.parametrize(("before", "event"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_event_that_contradicts_the_contracts_rules_raises(before: list[ChainEvent], event: ChainEvent) -> None:
    membership = fold(before)
    with pytest.raises(RegistryInconsistent):
        fold([event], membership)
    assert membership == fold(before)


def test_members_are_those_of_one_group_in_order() -> None:
    other_master = Address(b"\x09" * 20)
    other = GroupCreated(OTHER_GID, other_master, derive_object_id(other_master), AT)
    membership = fold([CREATED, other, JOINED_SECOND, JOINED])
    expected: list[ObjectId] = sorted([MASTER_OID, SLAVE_OID, SECOND_OID])
    assert [view.oid for view in membership.members(GID)] == expected
