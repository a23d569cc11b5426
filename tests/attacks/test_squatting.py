"""Squatted object and group ids: both are derived, so nobody can take another's (docs/protocol.md §1)."""

from itertools import count

import pytest

from group_protocol.crypto.keys import PrivateKey
from group_protocol.identifiers import derive_object_id, display_object_id
from group_protocol.suites import Suite
from group_protocol.tickets import MembershipState
from measure.paper_baseline.errors import MasterRefused
from measure.paper_baseline.http_form import ASSOCIATION_PATH, KEY_SESSION_PATH, TICKET_PATH
from measure.paper_baseline.messages import KeySessionRequest, TicketRequest
from measure.paper_baseline.slave import (
    accept_key_session,
    accept_ticket,
    prepare_association_request,
    prepare_key_session_request,
)
from tests.attacks.edge import Edge
from tests.attacks.open_bubbles import OpenBubbles, ticket
from tests.attacks.papers_flow import PapersFlow
from tests.contract.acts import Actor
from tests.contract.local_evm import LocalEvm
from tests.contract.local_register import LocalRegister
from tests.contract.scenario import DEADLINE, Ward, ward
from tests.support.running_master import Device

pytestmark = [pytest.mark.network, pytest.mark.processes]


def keys_with_one_display_id() -> tuple[PrivateKey, PrivateKey]:
    """The first two of a fixed row of keys that look alike in the paper's two bytes."""
    seen: dict[str, PrivateKey] = {}
    for number in count(500_000):
        key = PrivateKey.from_secret(number.to_bytes(32, "big"))
        shown = display_object_id(derive_object_id(key.address))
        if shown in seen:
            return seen[shown], key
        seen[shown] = key
    raise AssertionError("count ended")


async def test_two_devices_with_one_display_id_both_become_members(edge: Edge) -> None:
    """The two bytes that are the paper's whole id are for people's eyes here."""
    keys = keys_with_one_display_id()
    for key in keys:
        device = Device(edge, key, await edge.master.make_code(), Suite.E1)
        await device.open_session()
        assert (await device.associate()).state is MembershipState.ACTIVE
        assert (await device.send(device.record())).last_seq == 1
    oids = {derive_object_id(key.address).hex() for key in keys}
    listed = {device["oid"] for device in (await edge.master.ask("device.list"))["devices"]}
    assert len(oids) == 2
    assert oids <= listed


async def test_device_names_no_id_and_gets_the_one_of_its_key(edge: Edge) -> None:
    device = await edge.enrolled()
    assert device.ticket.oid == derive_object_id(device.key.address)


@pytest.fixture
def register() -> LocalRegister:
    return LocalRegister.deploy(LocalEvm())


def create_for(register: LocalRegister, group: Ward, signer: Actor) -> tuple[bytes, bytes, int, tuple[bytes, bytes]]:
    fields = {"salt": group.salt, "master": group.master.address, "deadline": DEADLINE}
    return group.salt, group.master.address, DEADLINE, register.acts.sign(signer, "CreateGroup", **fields)


def test_group_id_of_anothers_salt_is_another_group(register: LocalRegister) -> None:
    victim, squatter = ward(register, "the ward"), Actor.named("squatter")
    own = Ward(register, squatter, victim.salt, register.read("deriveGroupId", squatter.address, victim.salt))
    assert own.gid != victim.gid
    assert own.create().succeeded
    assert not register.read("checkGID", victim.gid)
    assert victim.create().succeeded


def test_group_in_anothers_name_is_refused(register: LocalRegister) -> None:
    victim = ward(register, "the ward")
    forged = create_for(register, victim, Actor.named("squatter"))
    assert register.refusal(register.send("createGroup", *forged)).name == "VirtualGroups_BadSignature"
    assert not register.read("checkGID", victim.gid)


def test_front_run_creation_makes_the_victims_own_group(register: LocalRegister) -> None:
    victim = ward(register, "the ward")
    seen_in_the_pool = create_for(register, victim, victim.master)
    assert register.send("createGroup", *seen_in_the_pool).succeeded  # the attacker's transaction
    assert register.read("groupOf", victim.gid)[0] == "0x" + victim.master.address.hex()
    assert victim.associate(Actor.named("device")).succeeded


def test_object_id_of_another_address_cannot_be_claimed(register: LocalRegister) -> None:
    """The contract takes no id at all: it derives it from who signed. A token over a claimed id is nobody's."""
    group, squatter, victim = ward(register, "the ward"), Actor.named("squatter"), Actor.named("victim")
    assert group.create().succeeded
    assert group.associate(squatter).succeeded
    assert not register.read("checkOID", victim.oid)
    assert group.associate(victim).succeeded


async def test_squatted_object_id_succeeds_against_the_papers_flow(paper: PapersFlow) -> None:
    """The attacker joins first under the two bytes that the victim's key ends in; the victim never gets in."""
    victim_id = paper.device.object_id
    keys = KeySessionRequest.decode(prepare_key_session_request(paper.attacker))
    body = KeySessionRequest(keys.slave_rsa_pem, victim_id).encode()
    session = accept_key_session(paper.attacker, await paper.client.exchange(KEY_SESSION_PATH, body))
    request = TicketRequest(victim_id, paper.attacker.public_key).encode()
    squatted = accept_ticket(session, await paper.client.exchange(TICKET_PATH, request))
    association = prepare_association_request(paper.attacker, session, squatted).replace(
        paper.attacker.object_id.hex().encode(), victim_id.hex().encode()
    )
    await paper.client.exchange(ASSOCIATION_PATH, association)

    with pytest.raises(MasterRefused, match=ASSOCIATION_PATH):
        await paper.client.join(paper.device)


def test_squatted_group_id_succeeds_against_the_original_design() -> None:
    bubbles, squatter, master = OpenBubbles.deploy(), Actor.named("squatter"), Actor.named("master")
    assert bubbles.send("createGroup(uint8,uint8)", 9, 66, sender=squatter)
    assert not bubbles.send("createGroup(uint8,uint8)", 9, 1, sender=master)


def test_squatted_object_id_succeeds_against_the_original_design() -> None:
    bubbles, squatter, master = OpenBubbles.deploy(), Actor.named("squatter"), Actor.named("master")
    assert bubbles.send("createGroup(uint8,uint8)", 9, 1, sender=master)
    device = Actor.named("device")
    r, s = ticket(master, 9, 2, device.address)
    assert bubbles.send("createGroup(uint8,uint8)", 10, 2, sender=squatter)  # takes the id that the ticket names
    assert not bubbles.send("associate(uint8,uint8,bytes32,bytes32)", 9, 2, r, s, sender=device)
