"""verifyExchange, recordExchange, verifyCheckpoint and anchor.

Algorithm 3 of the paper (section 4.2): "if checkOID(sender.Id) = false or checkOID(receiver.Id) = false return Error;
if (sender.Id ≠ bc) return Error; if SignVeri(sender.msg) = failed return Error". The second is read as: the sender's
group on the chain must be the one it names, and its key the one that signed.
"""

from typing import Any

import pytest
from eth_utils.crypto import keccak

from tests.contract.acts import Actor
from tests.contract.local_register import LocalRegister, Named
from tests.contract.scenario import Ward, signature_of_nobody

NO_GROUP = bytes(15) + b"\x01"
NOBODY = bytes(15) + b"\x02"
LAST_SEQ = 2**56 - 1


def refusal(register: LocalRegister, arguments: list[Any]) -> Named:
    """The reason of verifyExchange, after showing that recordExchange gives the same."""
    seen = register.refusal(register.call("verifyExchange", *arguments))
    assert register.refusal(register.send("recordExchange", *arguments)) == seen
    return seen


def test_exchange_of_a_member_verifies_and_is_recorded(register: LocalRegister, group: Ward, slave: Actor) -> None:
    arguments = group.exchange(slave, group.master.oid, 5)
    assert register.read("verifyExchange", *arguments) is True
    recorded = {
        "gid": group.gid,
        "from": slave.oid,
        "to": group.master.oid,
        "payloadHash": keccak(text="payload 5"),
        "seq": 5,
        "epoch": 1,
    }
    assert register.events(register.send("recordExchange", *arguments)) == [("ExchangeRecorded", recorded)]
    assert register.read("objectOf", slave.oid)[1:] == (1, 1, 5)


def test_exchange_of_the_master_verifies(register: LocalRegister, group: Ward, slave: Actor) -> None:
    assert register.read("verifyExchange", *group.exchange(group.master, slave.oid, 1)) is True


def test_first_check_is_the_sender(register: LocalRegister, group: Ward, slave: Actor) -> None:
    arguments = group.exchange(slave, NOBODY[::-1], 1, from_=NOBODY, gid=NO_GROUP, epoch=9)
    assert refusal(register, arguments) == ("VirtualGroups_UnknownObject", {"oid": NOBODY})


def test_revoked_sender_is_refused(register: LocalRegister, group: Ward, revoked_slave: Actor) -> None:
    arguments = group.exchange(revoked_slave, NOBODY, 1)
    assert refusal(register, arguments) == ("VirtualGroups_ObjectRevoked", {"oid": revoked_slave.oid})


def test_second_check_is_the_receiver(register: LocalRegister, group: Ward, slave: Actor) -> None:
    arguments = group.exchange(slave, NOBODY, 1, gid=NO_GROUP, epoch=9)
    assert refusal(register, arguments) == ("VirtualGroups_UnknownObject", {"oid": NOBODY})


def test_revoked_receiver_is_refused(register: LocalRegister, group: Ward, slave: Actor, revoked_slave: Actor) -> None:
    arguments = group.exchange(slave, revoked_slave.oid, 1, gid=NO_GROUP)
    assert refusal(register, arguments) == ("VirtualGroups_ObjectRevoked", {"oid": revoked_slave.oid})


def test_third_check_is_the_group(register: LocalRegister, group: Ward, slave: Actor) -> None:
    arguments = group.exchange(slave, group.master.oid, 1, gid=NO_GROUP, epoch=9)
    assert refusal(register, arguments) == ("VirtualGroups_UnknownGroup", {"gid": NO_GROUP})


def test_fourth_check_is_that_the_sender_is_in_the_group(
    register: LocalRegister, other_group: Ward, slave: Actor, group: Ward
) -> None:
    arguments = other_group.exchange(slave, group.master.oid, 1, epoch=9)
    assert refusal(register, arguments) == ("VirtualGroups_NotInGroup", {"oid": slave.oid})


def test_fifth_check_is_that_the_receiver_is_in_the_group(
    register: LocalRegister, group: Ward, other_group: Ward, slave: Actor
) -> None:
    arguments = group.exchange(slave, other_group.master.oid, 1, epoch=9)
    assert refusal(register, arguments) == ("VirtualGroups_NotInGroup", {"oid": other_group.master.oid})


@pytest.mark.parametrize("epoch", [0, 1, 3, 2**64 - 1])
def test_sixth_check_is_the_epoch(
    register: LocalRegister, group: Ward, slave: Actor, revoked_slave: Actor, epoch: int
) -> None:
    arguments = group.exchange(slave, group.master.oid, 1, epoch=epoch, signed_by=revoked_slave)
    assert refusal(register, arguments) == ("VirtualGroups_StaleEpoch", {"current": 2})


def test_seventh_check_is_the_signature(register: LocalRegister, group: Ward, slave: Actor) -> None:
    """A member cannot sign as another member, nor the master as a slave."""
    arguments = group.exchange(slave, group.master.oid, LAST_SEQ + 1, signed_by=group.master)
    assert refusal(register, arguments) == ("VirtualGroups_BadSignature", {})


def test_exchange_signed_by_nobody_is_refused(register: LocalRegister, group: Ward, slave: Actor) -> None:
    arguments = [*group.exchange(slave, group.master.oid, 1)[:-1], signature_of_nobody()]
    assert refusal(register, arguments) == ("VirtualGroups_BadSignature", {})


@pytest.mark.parametrize("place", [3, 4])
def test_exchange_with_another_payload_or_seq_is_refused(
    register: LocalRegister, group: Ward, slave: Actor, place: int
) -> None:
    arguments = group.exchange(slave, group.master.oid, 1)
    arguments[place] = {3: keccak(text="another payload"), 4: 2}[place]
    assert refusal(register, arguments) == ("VirtualGroups_BadSignature", {})


def test_exchange_with_a_key_that_was_rotated_out_is_refused(
    register: LocalRegister, group: Ward, slave: Actor, stranger: Actor
) -> None:
    group.rotate(slave.oid, slave, stranger)
    assert refusal(register, group.exchange(slave, group.master.oid, 1)) == ("VirtualGroups_BadSignature", {})
    assert register.read("verifyExchange", *group.exchange(slave, group.master.oid, 1, signed_by=stranger)) is True


def test_id_of_a_later_key_is_no_object(register: LocalRegister, group: Ward, slave: Actor, stranger: Actor) -> None:
    group.rotate(slave.oid, slave, stranger)
    arguments = group.exchange(stranger, group.master.oid, 1)
    assert refusal(register, arguments) == ("VirtualGroups_UnknownObject", {"oid": stranger.oid})


@pytest.mark.parametrize("seq", [6, 7])
def test_recorded_exchange_with_a_seq_that_does_not_rise_is_refused(
    register: LocalRegister, group: Ward, slave: Actor, seq: int
) -> None:
    assert register.send("recordExchange", *group.exchange(slave, group.master.oid, 7)).succeeded
    outcome = register.send("recordExchange", *group.exchange(slave, group.master.oid, seq))
    assert register.refusal(outcome) == ("VirtualGroups_SeqNotRising", {"last": 7})
    assert register.read("verifyExchange", *group.exchange(slave, group.master.oid, seq)) is True


def test_seq_zero_is_never_recorded(register: LocalRegister, group: Ward, slave: Actor) -> None:
    outcome = register.send("recordExchange", *group.exchange(slave, group.master.oid, 0))
    assert register.refusal(outcome) == ("VirtualGroups_SeqNotRising", {"last": 0})


def test_seq_above_what_the_register_holds_is_refused(register: LocalRegister, group: Ward, slave: Actor) -> None:
    assert register.send("recordExchange", *group.exchange(slave, group.master.oid, LAST_SEQ)).succeeded
    outcome = register.send("recordExchange", *group.exchange(slave, group.master.oid, LAST_SEQ + 1))
    assert register.refusal(outcome) == ("VirtualGroups_BadRange", {"first": LAST_SEQ + 1, "last": LAST_SEQ})
    assert register.read("objectOf", slave.oid)[1:] == (1, 1, LAST_SEQ)


def test_seq_of_one_sender_leaves_the_others_alone(register: LocalRegister, group: Ward, slave: Actor) -> None:
    assert register.send("recordExchange", *group.exchange(slave, group.master.oid, 7)).succeeded
    assert register.send("recordExchange", *group.exchange(group.master, slave.oid, 1)).succeeded


def test_seq_survives_a_change_of_key(register: LocalRegister, group: Ward, slave: Actor, stranger: Actor) -> None:
    assert register.send("recordExchange", *group.exchange(slave, group.master.oid, 7)).succeeded
    assert group.rotate(slave.oid, slave, stranger).succeeded
    outcome = register.send("recordExchange", *group.exchange(slave, group.master.oid, 7, signed_by=stranger))
    assert register.refusal(outcome) == ("VirtualGroups_SeqNotRising", {"last": 7})


def test_checkpoint_of_a_member_verifies(register: LocalRegister, group: Ward, slave: Actor) -> None:
    assert register.read("verifyCheckpoint", *group.checkpoint(slave, 1, 2**64 - 1)) is True
    assert register.read("verifyCheckpoint", *group.checkpoint(slave, 7, 7)) is True


def test_checkpoints_are_checked_in_the_documented_order(
    register: LocalRegister, group: Ward, other_group: Ward, slave: Actor, revoked_slave: Actor
) -> None:
    wrong = [
        (group.checkpoint(slave, 2, 1, from_=NOBODY), "BadRange", {"first": 2, "last": 1}),
        (group.checkpoint(slave, 1, 2, from_=NOBODY, gid=NO_GROUP), "UnknownObject", {"oid": NOBODY}),
        (group.checkpoint(revoked_slave, 1, 2, gid=NO_GROUP), "ObjectRevoked", {"oid": revoked_slave.oid}),
        (group.checkpoint(slave, 1, 2, gid=NO_GROUP, epoch=9), "UnknownGroup", {"gid": NO_GROUP}),
        (other_group.checkpoint(slave, 1, 2, epoch=9), "NotInGroup", {"oid": slave.oid}),
        (group.checkpoint(slave, 1, 2, epoch=1, signed_by=group.master), "StaleEpoch", {"current": 2}),
        (group.checkpoint(slave, 1, 2, signed_by=group.master), "BadSignature", {}),
    ]
    for arguments, error, values in wrong:
        assert register.refusal(register.call("verifyCheckpoint", *arguments)) == (f"VirtualGroups_{error}", values)


def test_anchor_of_the_master_is_logged_with_the_epoch(
    register: LocalRegister, group: Ward, revoked_slave: Actor
) -> None:
    logged = {"gid": group.gid, "root": keccak(text="root 1"), "fromRecord": 1, "toRecord": 1000, "epoch": 2}
    assert register.read("checkOID", revoked_slave.oid)
    assert register.events(group.anchor(1, 1000)) == [("Anchored", logged)]


def test_anchor_of_another_than_the_master_is_refused(
    register: LocalRegister, group: Ward, other_group: Ward, slave: Actor
) -> None:
    for signer in (slave, other_group.master):
        assert register.refusal(group.anchor(1, 2, by=signer)) == ("VirtualGroups_BadSignature", {})


def test_anchor_of_a_range_that_ends_before_it_begins_is_refused(register: LocalRegister, group: Ward) -> None:
    assert register.refusal(group.anchor(2, 1)) == ("VirtualGroups_BadRange", {"first": 2, "last": 1})


def test_anchor_for_a_group_that_does_not_exist_is_refused_even_from_nobody(register: LocalRegister) -> None:
    outcome = register.send("anchor", NO_GROUP, bytes(32), 1, 2, signature_of_nobody())
    assert register.refusal(outcome) == ("VirtualGroups_UnknownGroup", {"gid": NO_GROUP})
