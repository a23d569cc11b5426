"""r = s = 0 against a group that does not exist, high s, wrong v: wherever a signature travels, and at the contract."""

from dataclasses import replace

import pytest

from group_protocol.errors import Reason, VerificationError
from group_protocol.identifiers import GroupId
from group_protocol.messages import KeysSessionAnswer, parse_keys_session_answer
from group_protocol.messages_rotation import RotationCall
from group_protocol.records import CheckpointedRecord
from group_protocol.tickets import MembershipState
from tests.attacks.edge import REFUSED, Edge
from tests.attacks.forged import FORGERIES, OF_NOBODY, lying_handshake, with_negated_s, with_other_parity
from tests.attacks.open_bubbles import OpenBubbles, ticket
from tests.contract.acts import Actor
from tests.contract.local_evm import LocalEvm
from tests.contract.local_register import LocalRegister
from tests.contract.scenario import DEADLINE, ward
from tests.support.running_master import payload

pytestmark = [pytest.mark.network, pytest.mark.processes]

EVERY_FORGERY = pytest.mark.parametrize("forgery", FORGERIES)
NO_GROUP = GroupId(b"no group of hers")


@EVERY_FORGERY
async def test_forged_signature_in_m3_is_refused(edge: Edge, forgery: str) -> None:
    device = await edge.invited()
    handshake = lying_handshake(device, lambda proof: replace(proof, signature=FORGERIES[forgery](proof.signature)))
    async with edge.master.unchanged():
        m3 = await edge.begin(handshake)
        assert await edge.ask("/getTicket", m3.to_body()) == REFUSED
    await device.open_session()


@EVERY_FORGERY
async def test_forged_signature_in_m2_makes_the_slave_stop(edge: Edge, forgery: str) -> None:
    slave = (await edge.invited()).begin()
    m2 = parse_keys_session_answer(await edge.exchange("/keysSession", slave.start().to_body()))
    assert isinstance(m2, KeysSessionAnswer)
    with pytest.raises(VerificationError):
        slave.receive_keys_session(replace(m2, sig=FORGERIES[forgery](m2.sig)))


@EVERY_FORGERY
async def test_forged_signature_in_m5_is_refused_with_its_reason(edge: Edge, forgery: str) -> None:
    device = await edge.enrolled()
    call = device.association()
    async with edge.master.unchanged():
        result = await device.ask_control("/assoc", replace(call, request=FORGERIES[forgery](call.request)).encode())
        assert (result.state, result.reason) == (MembershipState.NOT_ASSOCIATED, Reason.BAD_SIGNATURE)


@EVERY_FORGERY
async def test_forged_token_in_m5_is_refused_with_its_reason(edge: Edge, forgery: str) -> None:
    device = await edge.enrolled()
    token = type(device.ticket.token)(FORGERIES[forgery](device.ticket.token))
    digest = device.domain.association_digest(device.gid, token, device.ticket.deadline_unix_s)
    call = replace(device.association(), token=token, request=device.key.sign_digest(digest))
    async with edge.master.unchanged():
        result = await device.ask_control("/assoc", call.encode())
        assert (result.state, result.reason) == (MembershipState.NOT_ASSOCIATED, Reason.TOKEN_REFUSED)


@EVERY_FORGERY
async def test_forged_signature_of_a_rotation_is_refused_with_its_reason(edge: Edge, forgery: str) -> None:
    device, new = await edge.member(), edge.new_key()
    digest = device.domain.rotation_digest(device.gid, device.oid, new.address, device.ticket.deadline_unix_s)
    by_old, by_new = device.key.sign_digest(digest), new.sign_digest(digest)
    good = RotationCall(new.public_key, device.ticket.deadline_unix_s, by_old, by_new)
    async with edge.master.unchanged():
        for bad in (replace(good, by_old=FORGERIES[forgery](by_old)), replace(good, by_new=FORGERIES[forgery](by_new))):
            assert (await device.ask_control("/rotate", bad.encode())).reason is Reason.BAD_SIGNATURE


@EVERY_FORGERY
async def test_forged_signature_of_a_record_or_checkpoint_is_refused_with_its_reason(edge: Edge, forgery: str) -> None:
    device = await edge.member()
    record = device.record()
    async with edge.master.unchanged():
        ack = await device.send(record._replace(signature=FORGERIES[forgery](record.signature)))
        assert (ack.last_seq, ack.reason) == (0, Reason.BAD_SIGNATURE)
    unsigned = CheckpointedRecord(device.ticket.master_oid, 1, device.ticket.epoch, payload(1.0))
    assert (await device.send(unsigned)).reason is Reason.NONE
    checkpoint = device.checkpoint(unsigned)
    async with edge.master.unchanged():
        ack = await device.send(checkpoint._replace(signature=FORGERIES[forgery](checkpoint.signature)))
        assert (ack.evidence_seq, ack.reason) == (0, Reason.BAD_SIGNATURE)
    assert (await device.send(checkpoint)).evidence_seq == 1


async def test_m1_into_a_group_that_does_not_exist_is_refused(edge: Edge) -> None:
    m1 = edge.stranger().begin().start()
    async with edge.master.unchanged():
        assert await edge.ask("/keysSession", replace(m1, gid=NO_GROUP).to_body()) == REFUSED


async def test_request_for_a_group_that_does_not_exist_is_refused_with_its_reason(edge: Edge) -> None:
    """r = s = 0 for the token, rightly signed by the device itself."""
    device = await edge.enrolled()
    token = type(device.ticket.token)(OF_NOBODY)
    digest = device.domain.association_digest(NO_GROUP, token, device.ticket.deadline_unix_s)
    call = replace(device.association(), token=token, request=device.key.sign_digest(digest))
    async with edge.master.unchanged():
        assert (await device.ask_control("/assoc", call.encode())).reason is Reason.TOKEN_REFUSED


def test_token_of_nobody_for_a_group_that_does_not_exist_is_refused_by_the_contract() -> None:
    register, stranger = LocalRegister.deploy(LocalEvm()), Actor.named("stranger")
    item = register.acts.request(NO_GROUP, (bytes(32), bytes(32)), stranger, DEADLINE)
    assert register.refusal(register.send("associate", item)).name == "VirtualGroups_UnknownGroup"
    assert not register.read("checkOID", stranger.oid)


def test_malleable_forms_of_a_good_token_are_refused_by_the_contract() -> None:
    register, stranger = LocalRegister.deploy(LocalEvm()), Actor.named("stranger")
    group = ward(register, "a ward")
    assert group.create().succeeded
    good = b"".join(group.master.token_for(group.gid, stranger))
    for forge in (with_negated_s, with_other_parity):
        bad = forge(good)
        item = register.acts.request(group.gid, (bad[:32], bad[32:]), stranger, DEADLINE)
        assert register.refusal(register.send("associate", item)).name == "VirtualGroups_TokenRefused"
    assert register.send("associate", group.request(stranger)).succeeded


def test_token_of_nobody_succeeds_against_the_original_design() -> None:
    """The master of a group that does not exist is the zero address, and so is what ecrecover gives for r = s = 0."""
    bubbles, stranger = OpenBubbles.deploy(), Actor.named("stranger")
    assert bubbles.send("associate(uint8,uint8,bytes32,bytes32)", 9, 1, bytes(32), bytes(32), sender=stranger)


def test_high_s_and_wrong_v_succeed_against_the_original_design() -> None:
    """Both recovery bits are tried, so that any v passes, and of each signature there are two."""
    bubbles, master, slave = OpenBubbles.deploy(), Actor.named("master"), Actor.named("slave")
    assert bubbles.send("createGroup(uint8,uint8)", 9, 1, sender=master)
    r, s = ticket(master, 9, 2, slave.address)
    malleated = with_negated_s(r + s)
    for form in ((r, s), (malleated[:32], malleated[32:])):
        assert bubbles.read("isTicket(uint8,uint8,address,bytes32,bytes32)", "bool", 9, 2, slave.address, *form) is True
