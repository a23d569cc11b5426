"""revoke, rotate and rotateMaster: each raises the epoch, and nothing that was taken ever comes back."""

import itertools
from typing import Any

import pytest

from tests.contract.acts import Actor
from tests.contract.local_evm import START_S
from tests.contract.local_register import LocalRegister
from tests.contract.scenario import DEADLINE, Ward, signature_of_nobody

NO_GROUP = bytes(15) + b"\x01"
NOBODY = bytes(15) + b"\x02"
ZERO = bytes(20)
UNSIGNED = signature_of_nobody()
BAD_SIGNATURE: tuple[str, dict[str, Any]] = ("VirtualGroups_BadSignature", {})


def hexadecimal(address: bytes) -> str:
    return "0x" + address.hex()


# revoke


def test_revoked_slave_is_a_tombstone_in_a_new_epoch(register: LocalRegister, group: Ward, slave: Actor) -> None:
    outcome = group.revoke(slave.oid)
    assert register.events(outcome) == [("Revoked", {"gid": group.gid, "oid": slave.oid, "epoch": 2})]
    assert register.read("objectOf", slave.oid) == (hexadecimal(slave.address), 1, 3, 0)
    assert register.read("checkOID", slave.oid)
    assert register.read("checkAddr", slave.address)
    assert group.epoch == 2


def test_revocation_is_checked_in_the_documented_order(
    register: LocalRegister, group: Ward, other_group: Ward, slave: Actor, revoked_slave: Actor
) -> None:
    wrong = [
        ((NO_GROUP, NOBODY, START_S - 1), "DeadlinePassed", {"deadline": START_S - 1}),
        ((NO_GROUP, NOBODY, DEADLINE), "UnknownGroup", {"gid": NO_GROUP}),
        ((group.gid, NOBODY, DEADLINE), "UnknownObject", {"oid": NOBODY}),
        ((other_group.gid, revoked_slave.oid, DEADLINE), "NotInGroup", {"oid": revoked_slave.oid}),
        ((group.gid, revoked_slave.oid, DEADLINE), "ObjectRevoked", {"oid": revoked_slave.oid}),
        ((group.gid, group.master.oid, DEADLINE), "NotASlave", {"oid": group.master.oid}),
        ((group.gid, slave.oid, DEADLINE), "BadSignature", {}),
    ]
    for arguments, error, values in wrong:
        outcome = register.send("revoke", *arguments, UNSIGNED)
        assert register.refusal(outcome) == (f"VirtualGroups_{error}", values)


def test_master_cannot_revoke_itself(register: LocalRegister, group: Ward) -> None:
    assert register.refusal(group.revoke(group.master.oid)) == ("VirtualGroups_NotASlave", {"oid": group.master.oid})


def test_master_cannot_revoke_a_slave_of_another_group(
    register: LocalRegister, other_group: Ward, slave: Actor
) -> None:
    assert register.refusal(other_group.revoke(slave.oid)) == ("VirtualGroups_NotInGroup", {"oid": slave.oid})


def test_slave_cannot_revoke_a_slave(register: LocalRegister, group: Ward, slave: Actor) -> None:
    assert register.refusal(group.revoke(slave.oid, by=slave)) == BAD_SIGNATURE


def test_device_that_never_joined_cannot_be_revoked(register: LocalRegister, group: Ward, stranger: Actor) -> None:
    assert register.refusal(group.revoke(stranger.oid)) == ("VirtualGroups_UnknownObject", {"oid": stranger.oid})


def test_replayed_revocation_is_refused(register: LocalRegister, group: Ward, slave: Actor) -> None:
    group.revoke(slave.oid)
    assert register.refusal(group.revoke(slave.oid)) == ("VirtualGroups_ObjectRevoked", {"oid": slave.oid})
    assert group.epoch == 2


def test_revocation_by_a_master_key_that_was_rotated_out_is_refused(
    register: LocalRegister, group: Ward, slave: Actor, stranger: Actor
) -> None:
    group.rotate_master(group.master, stranger)
    assert register.refusal(group.revoke(slave.oid)) == BAD_SIGNATURE
    assert group.revoke(slave.oid, by=stranger).succeeded


# rotate


def test_rotated_slave_keeps_its_id_and_its_old_address_stays_taken(
    register: LocalRegister, group: Ward, slave: Actor, stranger: Actor
) -> None:
    outcome = group.rotate(slave.oid, slave, stranger)
    rotated = {"gid": group.gid, "oid": slave.oid, "newAddress": hexadecimal(stranger.address), "epoch": 2}
    assert register.events(outcome) == [("Rotated", rotated)]
    assert register.read("objectOf", slave.oid) == (hexadecimal(stranger.address), 1, 1, 0)
    for address in (slave.address, stranger.address):
        assert register.read("objectIdOf", address) == slave.oid
        assert register.read("checkAddr", address)


def test_id_of_a_later_key_is_never_an_object_id(
    register: LocalRegister, group: Ward, slave: Actor, stranger: Actor
) -> None:
    group.rotate(slave.oid, slave, stranger)
    assert not register.read("checkOID", stranger.oid)
    assert register.read("objectOf", stranger.oid) == (hexadecimal(ZERO), 0, 0, 0)
    for outcome in (group.revoke(stranger.oid), group.rotate(stranger.oid, stranger, Actor.named("third key"))):
        assert register.refusal(outcome) == ("VirtualGroups_UnknownObject", {"oid": stranger.oid})


def test_slave_rotates_again_and_again(register: LocalRegister, group: Ward, slave: Actor) -> None:
    keys = [slave, *(Actor.named(f"key {number}") for number in range(3))]
    for old, new in itertools.pairwise(keys):
        assert group.rotate(slave.oid, old, new).succeeded
    assert register.read("objectOf", slave.oid)[0] == hexadecimal(keys[-1].address)
    assert {register.read("objectIdOf", key.address) for key in keys} == {slave.oid}
    assert group.epoch == len(keys)


def test_rotation_is_checked_in_the_documented_order(
    register: LocalRegister, group: Ward, other_group: Ward, slave: Actor, revoked_slave: Actor, stranger: Actor
) -> None:
    new = stranger.address
    wrong = [
        ((NO_GROUP, NOBODY, ZERO, START_S - 1), "DeadlinePassed", {"deadline": START_S - 1}),
        ((NO_GROUP, NOBODY, ZERO, DEADLINE), "ZeroAddress", {}),
        ((NO_GROUP, NOBODY, slave.address, DEADLINE), "UnknownGroup", {"gid": NO_GROUP}),
        ((group.gid, NOBODY, slave.address, DEADLINE), "UnknownObject", {"oid": NOBODY}),
        ((other_group.gid, revoked_slave.oid, slave.address, DEADLINE), "NotInGroup", {"oid": revoked_slave.oid}),
        ((group.gid, revoked_slave.oid, slave.address, DEADLINE), "ObjectRevoked", {"oid": revoked_slave.oid}),
        ((group.gid, group.master.oid, slave.address, DEADLINE), "NotASlave", {"oid": group.master.oid}),
        ((group.gid, slave.oid, slave.address, DEADLINE), "AddressInUse", {"account": hexadecimal(slave.address)}),
        ((group.gid, slave.oid, new, DEADLINE), "BadSignature", {}),
    ]
    for arguments, error, values in wrong:
        outcome = register.send("rotate", *arguments, UNSIGNED, UNSIGNED)
        assert register.refusal(outcome) == (f"VirtualGroups_{error}", values)


@pytest.mark.parametrize("signers", [(0, 0), (1, 1), (1, 0), (0, 2), (2, 1)])
def test_rotation_needs_the_old_and_the_new_key(
    register: LocalRegister, group: Ward, slave: Actor, stranger: Actor, signers: tuple[int, int]
) -> None:
    actors = (slave, stranger, group.master)
    fields = {"gid": group.gid, "oid": slave.oid, "newAddress": stranger.address, "deadline": DEADLINE}
    signatures = [register.acts.sign(actors[signer], "Rotation", **fields) for signer in signers]
    assert register.refusal(register.send("rotate", *fields.values(), *signatures)) == BAD_SIGNATURE


def test_rotation_to_any_used_address_is_refused(
    register: LocalRegister, group: Ward, other_group: Ward, slave: Actor, revoked_slave: Actor, stranger: Actor
) -> None:
    """Own, another slave's, a revoked one's, a former one, a current one after a rotation, and the masters'."""
    other_slave = Actor.named("slave of the second ward")
    other_group.associate(other_slave)
    other_group.rotate(other_slave.oid, other_slave, stranger)
    for used in (slave, revoked_slave, other_slave, stranger, group.master, other_group.master):
        refused = ("VirtualGroups_AddressInUse", {"account": hexadecimal(used.address)})
        assert register.refusal(group.rotate(slave.oid, slave, used)) == refused
        assert register.refusal(group.rotate_master(group.master, used)) == refused


def test_rotation_back_to_the_first_key_is_refused(
    register: LocalRegister, group: Ward, slave: Actor, stranger: Actor
) -> None:
    group.rotate(slave.oid, slave, stranger)
    refused = ("VirtualGroups_AddressInUse", {"account": hexadecimal(slave.address)})
    assert register.refusal(group.rotate(slave.oid, stranger, slave)) == refused


def test_replayed_rotation_is_refused(register: LocalRegister, group: Ward, slave: Actor, stranger: Actor) -> None:
    group.rotate(slave.oid, slave, stranger)
    refused = ("VirtualGroups_AddressInUse", {"account": hexadecimal(stranger.address)})
    assert register.refusal(group.rotate(slave.oid, slave, stranger)) == refused
    assert group.epoch == 2


def test_revoked_slave_cannot_rotate(
    register: LocalRegister, group: Ward, revoked_slave: Actor, stranger: Actor
) -> None:
    outcome = group.rotate(revoked_slave.oid, revoked_slave, stranger)
    assert register.refusal(outcome) == ("VirtualGroups_ObjectRevoked", {"oid": revoked_slave.oid})


# rotateMaster


def test_rotated_master_keeps_the_group_its_id_and_its_members(
    register: LocalRegister, group: Ward, slave: Actor, stranger: Actor
) -> None:
    outcome = group.rotate_master(group.master, stranger)
    rotated = {"gid": group.gid, "newMaster": hexadecimal(stranger.address), "epoch": 2}
    assert register.events(outcome) == [("MasterRotated", rotated)]
    assert register.read("groupOf", group.gid) == (hexadecimal(stranger.address), 1, 2)
    assert register.read("objectOf", group.master.oid) == (hexadecimal(stranger.address), 1, 2, 0)
    assert register.read("objectIdOf", stranger.address) == group.master.oid
    assert register.read("objectOf", slave.oid)[1:] == (1, 1, 0)
    item = register.acts.association(group.gid, stranger, Actor.named("new"), DEADLINE)
    assert register.send("associate", item).succeeded


def test_master_rotates_again_and_again(register: LocalRegister, group: Ward) -> None:
    keys = [group.master, *(Actor.named(f"key {number}") for number in range(3))]
    for old, new in itertools.pairwise(keys):
        assert group.rotate_master(old, new).succeeded
    assert register.read("objectOf", group.master.oid)[:3] == (hexadecimal(keys[-1].address), 1, 2)
    assert register.read("groupOf", group.gid)[0] == hexadecimal(keys[-1].address)
    assert {register.read("objectIdOf", key.address) for key in keys} == {group.master.oid}


def test_rotation_of_the_master_is_checked_in_the_documented_order(
    register: LocalRegister, group: Ward, slave: Actor, stranger: Actor
) -> None:
    wrong = [
        ((NO_GROUP, ZERO, START_S - 1), "DeadlinePassed", {"deadline": START_S - 1}),
        ((NO_GROUP, ZERO, DEADLINE), "ZeroAddress", {}),
        ((NO_GROUP, slave.address, DEADLINE), "UnknownGroup", {"gid": NO_GROUP}),
        ((group.gid, slave.address, DEADLINE), "AddressInUse", {"account": hexadecimal(slave.address)}),
        ((group.gid, stranger.address, DEADLINE), "BadSignature", {}),
    ]
    for arguments, error, values in wrong:
        outcome = register.send("rotateMaster", *arguments, UNSIGNED, UNSIGNED)
        assert register.refusal(outcome) == (f"VirtualGroups_{error}", values)


@pytest.mark.parametrize("signers", [(0, 0), (1, 1), (1, 0), (0, 2), (2, 1)])
def test_rotation_of_the_master_needs_the_old_and_the_new_key(
    register: LocalRegister, group: Ward, slave: Actor, stranger: Actor, signers: tuple[int, int]
) -> None:
    actors = (group.master, stranger, slave)
    fields = {"gid": group.gid, "newMaster": stranger.address, "deadline": DEADLINE}
    signatures = [register.acts.sign(actors[signer], "MasterRotation", **fields) for signer in signers]
    assert register.refusal(register.send("rotateMaster", *fields.values(), *signatures)) == BAD_SIGNATURE


def test_replayed_rotation_of_the_master_is_refused(register: LocalRegister, group: Ward, stranger: Actor) -> None:
    group.rotate_master(group.master, stranger)
    refused = ("VirtualGroups_AddressInUse", {"account": hexadecimal(stranger.address)})
    assert register.refusal(group.rotate_master(group.master, stranger)) == refused


def test_slave_cannot_become_the_master_by_the_rotation_of_slaves(
    register: LocalRegister, group: Ward, stranger: Actor
) -> None:
    outcome = group.rotate(group.master.oid, group.master, stranger)
    assert register.refusal(outcome) == ("VirtualGroups_NotASlave", {"oid": group.master.oid})
