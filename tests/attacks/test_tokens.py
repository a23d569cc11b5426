"""Tokens: stolen, front-run, of another group, chain or contract, and asked for by a stranger."""

from dataclasses import replace

import pytest

from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import Reason
from group_protocol.identifiers import Address, GroupId, Token
from group_protocol.ports import RegistryIdentity
from group_protocol.tickets import AssociationCall, MembershipState
from group_protocol.tokens import issue_token
from group_protocol.typed_data import TypedDataDomain, derive_group_id
from measure.paper_baseline.http_form import KEY_SESSION_PATH, TICKET_PATH
from measure.paper_baseline.messages import KeySessionRequest, TicketRequest
from measure.paper_baseline.signatures import derive_address, is_signature, token_message
from measure.paper_baseline.slave import accept_key_session, accept_ticket, prepare_key_session_request
from tests.attacks.edge import REFUSED, Edge
from tests.attacks.open_bubbles import OpenBubbles, ticket
from tests.attacks.papers_flow import PapersFlow
from tests.contract.acts import Actor
from tests.contract.local_evm import LocalEvm
from tests.contract.local_register import LocalRegister
from tests.contract.scenario import DEADLINE, ward
from tests.support.running_master import MASTER_KEY, Device

pytestmark = [pytest.mark.network, pytest.mark.processes]

ELSEWHERE = Address(bytes.fromhex("42" * 20))
SALT = bytes(32)


def call_with(device: Device, token: Token, *, domain: TypedDataDomain | None = None) -> AssociationCall:
    """The device's own good request, around any token."""
    deadline = device.ticket.deadline_unix_s
    digest = (domain or device.domain).association_digest(device.gid, token, deadline)
    return AssociationCall(token, device.key.sign_digest(digest), deadline)


async def refuse(edge: Edge, device: Device, call: AssociationCall, reason: Reason) -> None:
    async with edge.master.unchanged():
        result = await device.ask_control("/assoc", call.encode())
        assert (result.state, result.reason) == (MembershipState.NOT_ASSOCIATED, reason)


@pytest.mark.parametrize("owner_is_a_member", [True, False])
async def test_stolen_token_is_refused(edge: Edge, owner_is_a_member: bool) -> None:
    thief = await edge.enrolled()
    owner = await (edge.member() if owner_is_a_member else edge.enrolled())
    await refuse(edge, thief, call_with(thief, owner.ticket.token), Reason.TOKEN_REFUSED)


async def test_association_copied_whole_makes_nobody_else_a_member(edge: Edge) -> None:
    """Token and request as the owner signed them, in the thief's own session."""
    thief, owner = await edge.enrolled(), await edge.enrolled()
    await refuse(edge, thief, owner.association(), Reason.TOKEN_REFUSED)
    stolen = replace(owner.association(), token=thief.ticket.token)
    await refuse(edge, thief, stolen, Reason.BAD_SIGNATURE)


async def test_token_of_another_chain_contract_or_group_is_refused(edge: Edge) -> None:
    """By the same master, for the same device: what differs is where."""
    device = await edge.enrolled()
    here = device.domain.identity
    places = (RegistryIdentity(here.chain_id + 1, here.contract), RegistryIdentity(here.chain_id, ELSEWHERE), here)
    for place in places:
        gid = derive_group_id(place, MASTER_KEY.address, SALT)
        await refuse(
            edge, device, call_with(device, issue_token(MASTER_KEY, gid, device.key.address)), Reason.TOKEN_REFUSED
        )


async def test_request_signed_for_another_chain_or_contract_is_refused(edge: Edge) -> None:
    device = await edge.enrolled()
    here = device.domain.identity
    for place in (RegistryIdentity(here.chain_id + 1, here.contract), RegistryIdentity(here.chain_id, ELSEWHERE)):
        call = call_with(device, device.ticket.token, domain=TypedDataDomain(place))
        await refuse(edge, device, call, Reason.BAD_SIGNATURE)


async def test_token_signed_by_the_device_itself_is_refused(edge: Edge) -> None:
    device = await edge.enrolled()
    await refuse(
        edge, device, call_with(device, issue_token(device.key, device.gid, device.key.address)), Reason.TOKEN_REFUSED
    )


@pytest.mark.parametrize("code", [None, b"sixteen bytes of"], ids=["without a code", "with an invented code"])
async def test_stranger_gets_no_token(edge: Edge, code: bytes | None) -> None:
    stranger = edge.stranger(code=code)
    async with edge.master.unchanged():
        _, m3 = await stranger.ask_for_keys()
        assert await edge.ask("/getTicket", m3.to_body()) == REFUSED


def test_stolen_token_is_refused_by_the_contract() -> None:
    register = LocalRegister.deploy(LocalEvm())
    group, owner, thief = ward(register, "a ward"), Actor.named("owner"), Actor.named("thief")
    assert group.create().succeeded
    item = register.acts.request(group.gid, group.master.token_for(group.gid, owner), thief, DEADLINE)
    assert register.refusal(register.send("associate", item)).name == "VirtualGroups_TokenRefused"
    assert not register.read("checkOID", thief.oid)


def test_front_run_association_makes_the_same_device_a_member_and_nobody_else() -> None:
    """Anybody may relay it; there is nothing in it that the relayer could change."""
    register = LocalRegister.deploy(LocalEvm())
    group, device = ward(register, "a ward"), Actor.named("device")
    assert group.create().succeeded
    seen_in_the_pool = group.request(device)
    assert register.send("associate", seen_in_the_pool).succeeded  # the attacker's transaction
    assert register.refusal(register.send("associate", seen_in_the_pool)).name == "VirtualGroups_ObjectIdInUse"
    assert register.read("objectIdOf", device.address) == device.oid
    assert register.read("objectOf", device.oid)[2] == 1


async def test_stranger_asks_for_a_token_and_succeeds_against_the_papers_flow(paper: PapersFlow) -> None:
    membership = await paper.client.join(paper.attacker)
    await paper.client.send_reading(paper.attacker, membership, b"hr=999")
    assert paper.readings == [b"hr=999"]


async def test_token_for_anybodys_key_and_any_id_succeeds_against_the_papers_flow(paper: PapersFlow) -> None:
    """/getTicket signs whatever it is asked for: the victim's key under an id that the attacker likes."""
    claimed, victim = b"\xbe\xef", paper.device
    request = KeySessionRequest.decode(prepare_key_session_request(paper.attacker))
    answer = await paper.client.exchange(KEY_SESSION_PATH, replace(request, object_id=claimed).encode())
    session = accept_key_session(paper.attacker, answer)

    body = TicketRequest(claimed, victim.public_key).encode()
    stolen = accept_ticket(session, await paper.client.exchange(TICKET_PATH, body))

    message = token_message(paper.keys.group_id, claimed, derive_address(victim.public_key))
    assert is_signature(paper.keys.public_key, stolen.token, message)


def test_token_of_another_chain_succeeds_against_the_original_design() -> None:
    """Neither chain nor contract stand in what is signed: a ticket of the test network opens the real one."""
    master, device = Actor.named("master"), Actor.named("device")
    r, s = ticket(master, 9, 2, device.address)
    for chain_id in (1, 1337):
        bubbles = OpenBubbles.deploy(chain_id=chain_id)
        assert bubbles.send("createGroup(uint8,uint8)", 9, 1, sender=master)
        assert bubbles.send("associate(uint8,uint8,bytes32,bytes32)", 9, 2, r, s, sender=device)


def test_group_ids_of_two_chains_and_contracts_never_meet() -> None:
    master = PrivateKey.from_secret(b"\x11" * 32).address
    places = [
        RegistryIdentity(chain_id, contract) for chain_id in (1, 1337) for contract in (ELSEWHERE, Address(bytes(20)))
    ]
    gids: set[GroupId] = {derive_group_id(place, master, SALT) for place in places}
    assert len(gids) == len(places)
