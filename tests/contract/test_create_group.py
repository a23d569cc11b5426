"""createGroup: Algorithm 1 of the paper (section 4.2), the master's branch, in its order."""

from typing import Any

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from tests.contract.acts import Actor
from tests.contract.local_evm import START_S, Outcome
from tests.contract.local_register import LocalRegister
from tests.contract.scenario import DEADLINE, Ward, signature_of_nobody, ward

SALT = keccak(text="another salt")
GROUPS_SLOT = 1
NEXT_INDEX_SLOT = 2


def create(register: LocalRegister, master: Actor, *, by: Actor | None = None, **changed: Any) -> Outcome:
    fields: dict[str, Any] = {"salt": SALT, "master": master.address, "deadline": DEADLINE} | changed
    return register.send("createGroup", *fields.values(), register.acts.sign(by or master, "CreateGroup", **fields))


def test_new_group_has_epoch_one_and_its_master_is_an_object(register: LocalRegister) -> None:
    first = ward(register, "the first ward")
    outcome = first.create()
    address = "0x" + first.master.address.hex()
    created = {"gid": first.gid, "master": address, "oid": first.master.oid, "index": 1}
    assert register.events(outcome) == [("GroupCreated", created)]
    assert outcome.output[:16] == first.gid
    assert register.read("groupOf", first.gid) == (address, 1, 1)
    assert register.read("objectOf", first.master.oid) == (address, 1, 2, 0)
    assert register.read("objectIdOf", first.master.address) == first.master.oid
    assert register.read("checkGID", first.gid)
    assert register.read("checkOID", first.master.oid)
    assert register.read("checkAddr", first.master.address)


def test_group_id_is_the_first_half_of_the_documented_hash(register: LocalRegister, stranger: Actor) -> None:
    preimage = encode(
        ["string", "uint256", "address", "address", "bytes32"],
        ["VirtualGroups", register.evm.chain_id, register.address, stranger.address, SALT],
    )
    assert register.read("deriveGroupId", stranger.address, SALT) == keccak(preimage)[:16]


def test_groups_are_numbered_in_the_order_of_creation(register: LocalRegister, group: Ward, other_group: Ward) -> None:
    assert register.read("groupOf", group.gid)[1] == 1
    assert register.read("groupOf", other_group.gid)[1] == 2


def test_late_creation_is_refused_before_anything_else(register: LocalRegister) -> None:
    outcome = register.send("createGroup", SALT, bytes(20), START_S - 1, signature_of_nobody())
    assert register.refusal(outcome) == ("VirtualGroups_DeadlinePassed", {"deadline": START_S - 1})


def test_creation_in_the_block_of_its_deadline_is_accepted(register: LocalRegister, stranger: Actor) -> None:
    assert create(register, stranger, deadline=START_S).succeeded


def test_zero_address_as_master_is_refused(register: LocalRegister) -> None:
    outcome = register.send("createGroup", SALT, bytes(20), DEADLINE, signature_of_nobody())
    assert register.refusal(outcome) == ("VirtualGroups_ZeroAddress", {})


def test_creation_signed_by_another_than_the_master_is_refused(register: LocalRegister, stranger: Actor) -> None:
    outcome = create(register, Actor.named("victim"), by=stranger)
    assert register.refusal(outcome) == ("VirtualGroups_BadSignature", {})


def test_creation_with_another_salt_than_the_signed_one_is_refused(register: LocalRegister, stranger: Actor) -> None:
    fields = {"salt": SALT, "master": stranger.address, "deadline": DEADLINE}
    signature = register.acts.sign(stranger, "CreateGroup", **fields)
    outcome = register.send("createGroup", keccak(SALT), stranger.address, DEADLINE, signature)
    assert register.refusal(outcome) == ("VirtualGroups_BadSignature", {})


def test_replayed_creation_is_refused(register: LocalRegister, group: Ward) -> None:
    assert register.refusal(group.create()) == ("VirtualGroups_ObjectIdInUse", {"oid": group.master.oid})


def test_second_group_of_one_master_is_refused(register: LocalRegister, group: Ward) -> None:
    outcome = create(register, group.master)
    assert register.refusal(outcome) == ("VirtualGroups_ObjectIdInUse", {"oid": group.master.oid})


def test_group_with_a_slave_as_master_is_refused(register: LocalRegister, slave: Actor) -> None:
    assert register.refusal(create(register, slave)) == ("VirtualGroups_ObjectIdInUse", {"oid": slave.oid})


def test_group_with_a_revoked_slave_as_master_is_refused(register: LocalRegister, revoked_slave: Actor) -> None:
    outcome = create(register, revoked_slave)
    assert register.refusal(outcome) == ("VirtualGroups_ObjectRevoked", {"oid": revoked_slave.oid})


def test_group_with_an_address_that_a_slave_rotated_to_is_refused(
    register: LocalRegister, group: Ward, slave: Actor, stranger: Actor
) -> None:
    group.rotate(slave.oid, slave, stranger)
    refused = ("VirtualGroups_AddressInUse", {"account": "0x" + stranger.address.hex()})
    assert register.refusal(create(register, stranger)) == refused


def test_old_key_of_a_master_cannot_create_another_group(register: LocalRegister, group: Ward, stranger: Actor) -> None:
    group.rotate_master(group.master, stranger)
    outcome = create(register, group.master)
    assert register.refusal(outcome) == ("VirtualGroups_ObjectIdInUse", {"oid": group.master.oid})


def test_group_id_in_use_is_refused(register: LocalRegister, stranger: Actor) -> None:
    """Only a collision of the hash leads here, so the group is written into the storage by hand."""
    gid = register.read("deriveGroupId", stranger.address, SALT)
    slot = int.from_bytes(keccak(gid.ljust(32, b"\0") + GROUPS_SLOT.to_bytes(32, "big")), "big")
    register.evm.set_storage(register.address, slot, 7 << 160)
    assert register.refusal(create(register, stranger)) == ("VirtualGroups_GroupIdInUse", {"gid": gid})


def test_group_after_the_last_index_panics_and_gives_no_index_twice(register: LocalRegister, stranger: Actor) -> None:
    register.evm.set_storage(register.address, NEXT_INDEX_SLOT, 2**32 - 2)
    assert create(register, stranger).succeeded
    outcome = create(register, Actor.named("one too many"))
    assert not outcome.succeeded
    assert outcome.output == keccak(text="Panic(uint256)")[:4] + (0x11).to_bytes(32, "big")


def test_checksummed_address_is_the_signed_one(register: LocalRegister, group: Ward) -> None:
    assert to_checksum_address(register.read("groupOf", group.gid)[0]) == to_checksum_address(group.master.address)
