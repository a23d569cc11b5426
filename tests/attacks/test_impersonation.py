"""A member that signs as another member: who speaks is who holds the session's key and signs with it, nobody else."""

from dataclasses import replace

import pytest

from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import Reason
from group_protocol.identifiers import ObjectId
from group_protocol.messages_rotation import RotationCall
from group_protocol.records import CheckpointedRecord, SignedRecord, sign_record
from group_protocol.tickets import IdentityProof
from measure.paper_baseline.ciphers import encrypt
from measure.paper_baseline.http_form import DATA_PATH, KEY_SESSION_PATH
from measure.paper_baseline.messages import DataMessage, KeySessionRequest
from measure.paper_baseline.slave import accept_key_session, prepare_key_session_request
from tests.attacks.edge import REFUSED, Edge
from tests.attacks.forged import lying_handshake
from tests.attacks.open_bubbles import OpenBubbles, ticket
from tests.attacks.papers_flow import PapersFlow
from tests.contract.acts import Actor
from tests.contract.local_evm import LocalEvm
from tests.contract.local_register import LocalRegister
from tests.contract.scenario import ward
from tests.support.running_master import Device, payload

pytestmark = [pytest.mark.network, pytest.mark.processes]


async def two_members(edge: Edge) -> tuple[Device, Device]:
    return await edge.member(), await edge.member()


async def test_record_in_anothers_name_is_refused(edge: Edge) -> None:
    """Signed by the bad member over the victim's id; and the victim's own record in the bad member's session."""
    bad, victim = await two_members(edge)

    def signed(key: PrivateKey, sender: ObjectId) -> SignedRecord:
        return sign_record(key, bad.domain, bad.gid, sender, bad.ticket.master_oid, 1, bad.ticket.epoch, payload(1.0))

    async with edge.master.unchanged():
        for key, sender in ((bad.key, victim.oid), (victim.key, victim.oid), (victim.key, bad.oid)):
            ack = await bad.send(signed(key, sender))
            assert (ack.last_seq, ack.reason) == (0, Reason.BAD_SIGNATURE)
    assert (await victim.send(victim.record())).last_seq == 1


async def test_records_under_anothers_session_are_refused(edge: Edge) -> None:
    bad, victim = await two_members(edge)
    async with edge.master.unchanged():
        unit = replace(bad.seal_items(bad.record()), sid=victim.session.sid)
        assert await edge.ask("/data", unit.to_body()) == REFUSED


async def test_checkpoint_signed_by_another_member_is_refused(edge: Edge) -> None:
    bad, victim = await two_members(edge)
    record = CheckpointedRecord(victim.ticket.master_oid, 1, victim.ticket.epoch, payload(1.0))
    await victim.send(record)
    async with edge.master.unchanged():
        assert (await bad.send(victim.checkpoint(record))).reason is Reason.BAD_RANGE  # it has no such period
        ack = await victim.send(bad.checkpoint(record))
        assert (ack.evidence_seq, ack.reason) == (0, Reason.BAD_SIGNATURE)


@pytest.mark.parametrize("taken", ["public key", "signature", "both"])
async def test_session_with_anothers_key_is_refused(edge: Edge, taken: str) -> None:
    """M3 with the victim's public key, or a signature of the victim's from another exchange."""
    bad, victim = await edge.member(), await edge.member()
    bad.code = None
    seen: list[IdentityProof] = []

    def look(proof: IdentityProof) -> IdentityProof:
        seen.append(proof)
        return proof

    def steal(proof: IdentityProof) -> IdentityProof:
        if taken != "signature":
            proof = replace(proof, public_key=seen[0].public_key)
        return proof if taken == "public key" else replace(proof, signature=seen[0].signature)

    await edge.begin(lying_handshake(victim, look))
    async with edge.master.unchanged():
        m3 = await edge.begin(lying_handshake(bad, steal))
        assert await edge.ask("/getTicket", m3.to_body()) == REFUSED


async def test_key_of_another_member_cannot_be_changed(edge: Edge) -> None:
    bad, victim = await two_members(edge)
    new, deadline = edge.new_key(), bad.ticket.deadline_unix_s
    digest = bad.domain.rotation_digest(bad.gid, victim.oid, new.address, deadline)
    async with edge.master.unchanged():
        for by_old in (bad.key.sign_digest(digest), victim.key.sign_digest(digest)):
            call = RotationCall(new.public_key, deadline, by_old, new.sign_digest(digest))
            assert (await bad.ask_control("/rotate", call.encode())).reason is Reason.BAD_SIGNATURE


async def test_rotation_to_a_key_of_another_member_is_refused(edge: Edge) -> None:
    bad, victim = await two_members(edge)
    deadline = bad.ticket.deadline_unix_s
    digest = bad.domain.rotation_digest(bad.gid, bad.oid, victim.key.address, deadline)
    signed = bad.key.sign_digest(digest)
    async with edge.master.unchanged():
        call = RotationCall(victim.key.public_key, deadline, signed, signed)
        assert (await bad.ask_control("/rotate", call.encode())).reason is Reason.ADDRESS_IN_USE


def test_exchange_in_anothers_name_is_refused_by_the_contract() -> None:
    register = LocalRegister.deploy(LocalEvm())
    group, bad, victim = ward(register, "a ward"), Actor.named("bad member"), Actor.named("victim")
    assert all(outcome.succeeded for outcome in (group.create(), group.associate(bad), group.associate(victim)))
    forged = group.exchange(victim, group.master.oid, 1, signed_by=bad)
    for function in ("verifyExchange", "recordExchange"):
        assert register.refusal(register.call(function, *forged)).name == "VirtualGroups_BadSignature"
    assert register.call("verifyExchange", *group.exchange(victim, group.master.oid, 1)).succeeded


async def test_reading_in_a_members_name_succeeds_against_the_papers_flow(paper: PapersFlow) -> None:
    """Who asks for a session key under a member's id gets it, and is that member from then on."""
    await paper.client.join(paper.device)
    own = KeySessionRequest.decode(prepare_key_session_request(paper.attacker))
    body = replace(own, object_id=paper.device.object_id).encode()
    session = accept_key_session(paper.attacker, await paper.client.exchange(KEY_SESSION_PATH, body))

    forged = DataMessage(paper.device.object_id, encrypt(session, b"hr=000"))
    await paper.client.exchange(DATA_PATH, forged.encode())

    assert [(received.object_id, received.reading) for received in paper.master.received] == [
        (paper.device.object_id, b"hr=000")
    ]


def test_message_in_anothers_name_succeeds_against_the_original_design() -> None:
    bubbles, master, device = OpenBubbles.deploy(), Actor.named("master"), Actor.named("device")
    assert bubbles.send("createGroup(uint8,uint8)", 9, 1, sender=master)
    assert bubbles.send(
        "associate(uint8,uint8,bytes32,bytes32)", 9, 2, *ticket(master, 9, 2, device.address), sender=device
    )
    stranger = Actor.named("stranger")
    assert bubbles.send("send(uint8,uint8,string)", 2, 1, "hr=000", sender=stranger)
    assert bubbles.read("inboxOf(uint8)", "string", 1) == "hr=000"
