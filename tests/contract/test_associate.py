"""associate and associateBatch: Algorithm 1 of the paper (section 4.2), the slave's branch, in its order.

The paper: "if checkOID(object.Id) = true return Error; if checkAddr(…) = true return Error; … if checkgrpID(…) = false
return Error; if tokenVerify(object.token) = failed return Error". Here the deadline and the recovery of the request
come first, because the object id is that of the recovered signer.
"""

from typing import Any

import pytest
from eth_utils.crypto import keccak

from tests.contract.acts import Actor, Association
from tests.contract.local_evm import START_S, LocalEvm
from tests.contract.local_register import LocalRegister, Named
from tests.contract.scenario import DEADLINE, Ward, signature_of_nobody, ward

NO_GROUP = bytes(15) + b"\x01"


def hexadecimal(address: bytes) -> str:
    return "0x" + address.hex()


def refusal(register: LocalRegister, item: Association) -> Named:
    """The reason of associate, after showing that the batch gives the same and changes nothing."""
    alone = register.refusal(register.send("associate", item))
    batch = register.events(register.send("associateBatch", [item]))
    reason = next(selector for selector, error in register.errors.items() if error == alone.name)
    assert batch == [("AssociationRefused", {"index": 0, "gid": item[0], "reason": reason})]
    return alone


def test_slave_with_a_token_becomes_a_member(register: LocalRegister, group: Ward, stranger: Actor) -> None:
    outcome = group.associate(stranger)
    joined = {"gid": group.gid, "oid": stranger.oid, "account": hexadecimal(stranger.address)}
    assert register.events(outcome) == [("Associated", joined)]
    assert register.read("objectOf", stranger.oid) == (hexadecimal(stranger.address), 1, 1, 0)
    assert register.read("objectIdOf", stranger.address) == stranger.oid
    assert register.read("checkOID", stranger.oid)
    assert register.read("checkAddr", stranger.address)
    assert register.read("groupOf", group.gid)[2] == 1  # joining is no new epoch


def test_request_in_the_block_of_its_deadline_is_accepted(
    register: LocalRegister, group: Ward, stranger: Actor
) -> None:
    item = register.acts.association(group.gid, group.master, stranger, START_S)
    assert register.send("associate", item).succeeded


def test_first_check_is_the_deadline(register: LocalRegister) -> None:
    item = (NO_GROUP, signature_of_nobody(), signature_of_nobody(), START_S - 1)
    assert refusal(register, item) == ("VirtualGroups_DeadlinePassed", {"deadline": START_S - 1})


def test_second_check_is_that_the_request_recovers_to_somebody(register: LocalRegister) -> None:
    item = (NO_GROUP, signature_of_nobody(), signature_of_nobody(), DEADLINE)
    assert refusal(register, item) == ("VirtualGroups_BadSignature", {})


def test_third_check_is_that_the_object_id_is_free(register: LocalRegister, slave: Actor) -> None:
    item = register.acts.request(NO_GROUP, signature_of_nobody(), slave, DEADLINE)
    assert refusal(register, item) == ("VirtualGroups_ObjectIdInUse", {"oid": slave.oid})


def test_third_check_tells_a_revoked_id_apart(register: LocalRegister, revoked_slave: Actor) -> None:
    item = register.acts.request(NO_GROUP, signature_of_nobody(), revoked_slave, DEADLINE)
    assert refusal(register, item) == ("VirtualGroups_ObjectRevoked", {"oid": revoked_slave.oid})


def test_fourth_check_is_that_the_address_is_free(
    register: LocalRegister, group: Ward, slave: Actor, stranger: Actor
) -> None:
    group.rotate(slave.oid, slave, stranger)
    item = register.acts.request(NO_GROUP, signature_of_nobody(), stranger, DEADLINE)
    assert refusal(register, item) == ("VirtualGroups_AddressInUse", {"account": hexadecimal(stranger.address)})


def test_fifth_check_is_that_the_group_exists(register: LocalRegister, stranger: Actor) -> None:
    """r = s = 0 recovers to the zero address, which is the master of every group that does not exist."""
    item = register.acts.request(NO_GROUP, signature_of_nobody(), stranger, DEADLINE)
    assert refusal(register, item) == ("VirtualGroups_UnknownGroup", {"gid": NO_GROUP})
    assert not register.read("tokenVerify", NO_GROUP, stranger.oid, stranger.address, signature_of_nobody())


def test_sixth_check_is_the_token(register: LocalRegister, group: Ward, stranger: Actor) -> None:
    item = register.acts.request(group.gid, signature_of_nobody(), stranger, DEADLINE)
    assert refusal(register, item) == ("VirtualGroups_TokenRefused", {})


def test_token_signed_by_the_slave_itself_is_refused(register: LocalRegister, group: Ward, stranger: Actor) -> None:
    item = register.acts.association(group.gid, stranger, stranger, DEADLINE)
    assert refusal(register, item) == ("VirtualGroups_TokenRefused", {})


def test_stolen_token_is_refused(register: LocalRegister, group: Ward, stranger: Actor) -> None:
    token = group.master.token_for(group.gid, Actor.named("owner of the token"))
    item = register.acts.request(group.gid, token, stranger, DEADLINE)
    assert refusal(register, item) == ("VirtualGroups_TokenRefused", {})


def test_token_of_another_group_is_refused(
    register: LocalRegister, group: Ward, other_group: Ward, stranger: Actor
) -> None:
    token = other_group.master.token_for(other_group.gid, stranger)
    item = register.acts.request(group.gid, token, stranger, DEADLINE)
    assert refusal(register, item) == ("VirtualGroups_TokenRefused", {})


def test_token_of_a_master_key_that_was_rotated_out_is_refused(
    register: LocalRegister, group: Ward, stranger: Actor
) -> None:
    item = group.request(stranger)
    group.rotate_master(group.master, Actor.named("new master"))
    assert refusal(register, item) == ("VirtualGroups_TokenRefused", {})


@pytest.mark.parametrize("chain_id", [1, 1338])
def test_token_of_another_chain_is_refused(
    register: LocalRegister, group: Ward, stranger: Actor, chain_id: int
) -> None:
    """The group id is another there, so the token names another group."""
    elsewhere = ward(LocalRegister.deploy(LocalEvm(chain_id=chain_id)), "the first ward")
    assert elsewhere.register.address == register.address
    assert elsewhere.gid != group.gid
    token = elsewhere.master.token_for(elsewhere.gid, stranger)
    item = register.acts.request(group.gid, token, stranger, DEADLINE)
    assert refusal(register, item) == ("VirtualGroups_TokenRefused", {})


def test_token_of_another_contract_is_refused(register: LocalRegister, group: Ward, stranger: Actor) -> None:
    elsewhere = ward(LocalRegister.deploy(register.evm), "the first ward")
    assert elsewhere.gid != group.gid
    token = elsewhere.master.token_for(elsewhere.gid, stranger)
    item = register.acts.request(group.gid, token, stranger, DEADLINE)
    assert refusal(register, item) == ("VirtualGroups_TokenRefused", {})


def test_request_for_another_contract_recovers_to_somebody_without_a_token(
    register: LocalRegister, group: Ward, stranger: Actor
) -> None:
    """The digest is another, so the signer is another: not the one whom the token names."""
    elsewhere = LocalRegister.deploy(register.evm)
    item = elsewhere.acts.association(group.gid, group.master, stranger, DEADLINE)
    assert refusal(register, item) == ("VirtualGroups_TokenRefused", {})
    assert not register.read("checkOID", stranger.oid)


@pytest.mark.parametrize("change", ["gid", "token", "deadline"])
def test_request_with_any_signed_part_exchanged_is_refused(
    register: LocalRegister, group: Ward, other_group: Ward, stranger: Actor, change: str
) -> None:
    gid, token, request, deadline = group.request(stranger)
    if change == "gid":
        gid, token = other_group.gid, other_group.master.token_for(other_group.gid, stranger)
    elif change == "token":
        token = (token[0], bytes([token[1][0] ^ 0x80]) + token[1][1:])
    else:
        deadline += 1
    assert refusal(register, (gid, token, request, deadline)) == ("VirtualGroups_TokenRefused", {})


def test_replayed_request_is_refused(register: LocalRegister, group: Ward, stranger: Actor) -> None:
    item = group.request(stranger)
    assert register.send("associate", item).succeeded
    assert refusal(register, item) == ("VirtualGroups_ObjectIdInUse", {"oid": stranger.oid})


def test_member_of_one_group_cannot_join_another(register: LocalRegister, other_group: Ward, slave: Actor) -> None:
    item = other_group.request(slave)
    assert refusal(register, item) == ("VirtualGroups_ObjectIdInUse", {"oid": slave.oid})


def test_master_cannot_join_as_a_slave(register: LocalRegister, group: Ward, other_group: Ward) -> None:
    item = group.request(other_group.master)
    assert refusal(register, item) == ("VirtualGroups_ObjectIdInUse", {"oid": other_group.master.oid})


def test_revoked_device_cannot_join_another_group(
    register: LocalRegister, other_group: Ward, revoked_slave: Actor
) -> None:
    item = other_group.request(revoked_slave)
    assert refusal(register, item) == ("VirtualGroups_ObjectRevoked", {"oid": revoked_slave.oid})


def test_key_that_was_rotated_out_cannot_join_again(
    register: LocalRegister, group: Ward, slave: Actor, stranger: Actor
) -> None:
    group.rotate(slave.oid, slave, stranger)
    assert refusal(register, group.request(slave)) == ("VirtualGroups_ObjectIdInUse", {"oid": slave.oid})


def test_later_key_of_a_revoked_device_cannot_join(
    register: LocalRegister, group: Ward, slave: Actor, stranger: Actor
) -> None:
    group.rotate(slave.oid, slave, stranger)
    group.revoke(slave.oid)
    refused = ("VirtualGroups_AddressInUse", {"account": hexadecimal(stranger.address)})
    assert refusal(register, group.request(stranger)) == refused


def test_batch_takes_the_good_and_names_the_bad(
    register: LocalRegister, group: Ward, other_group: Ward, slave: Actor, revoked_slave: Actor
) -> None:
    good = [Actor.named(f"good {number}") for number in range(3)]
    without_group = register.acts.request(NO_GROUP, signature_of_nobody(), Actor.named("lost"), DEADLINE)
    with_own_token = register.acts.association(group.gid, Actor.named("forger"), Actor.named("forger"), DEADLINE)
    items = [
        group.request(good[0]),
        (group.gid, signature_of_nobody(), signature_of_nobody(), DEADLINE),
        group.request(slave),
        other_group.request(good[1]),
        without_group,
        group.request(revoked_slave),
        with_own_token,
        register.acts.association(group.gid, group.master, Actor.named("late"), START_S - 1),
        group.request(good[2]),
    ]
    events = register.events(register.send("associateBatch", items))
    joined = [event.arguments["oid"] for event in events if event.name == "Associated"]
    refused = [
        (event.arguments["index"], event.arguments["gid"], register.errors[event.arguments["reason"]])
        for event in events
        if event.name == "AssociationRefused"
    ]
    assert joined == [actor.oid for actor in good]
    assert refused == [
        (1, group.gid, "VirtualGroups_BadSignature"),
        (2, group.gid, "VirtualGroups_ObjectIdInUse"),
        (4, NO_GROUP, "VirtualGroups_UnknownGroup"),
        (5, group.gid, "VirtualGroups_ObjectRevoked"),
        (6, group.gid, "VirtualGroups_TokenRefused"),
        (7, group.gid, "VirtualGroups_DeadlinePassed"),
    ]


def test_batch_with_one_device_twice_takes_it_once(register: LocalRegister, group: Ward, stranger: Actor) -> None:
    item = group.request(stranger)
    events = register.events(register.send("associateBatch", [item, item]))
    in_use: dict[str, Any] = {
        "index": 1,
        "gid": group.gid,
        "reason": keccak(text="VirtualGroups_ObjectIdInUse(bytes16)")[:4],
    }
    assert [event.name for event in events] == ["Associated", "AssociationRefused"]
    assert events[1].arguments == in_use


def test_empty_batch_does_nothing(register: LocalRegister) -> None:
    outcome = register.send("associateBatch", [])
    assert outcome.succeeded
    assert not outcome.logs
