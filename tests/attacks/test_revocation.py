"""Sending after revocation, with a key that was rotated out, or from an old epoch."""

import pytest

from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import Reason
from group_protocol.frames import Items, Open, encode_frame
from group_protocol.messages_rotation import RotationCall
from group_protocol.tickets import MembershipState
from measure.paper_baseline.client import PaperClient
from measure.paper_baseline.http_form import DATA_PATH
from measure.paper_baseline.relay import relay_to
from measure.paper_baseline.slave import Device as PaperDevice
from tests.attacks.edge import POLICY_VIOLATION, REFUSED, Edge
from tests.attacks.papers_flow import PapersFlow
from tests.contract.acts import Actor
from tests.contract.local_evm import LocalEvm
from tests.contract.local_register import LocalRegister
from tests.contract.scenario import ward
from tests.support.running_master import Device

pytestmark = [pytest.mark.network, pytest.mark.processes]


async def revoke(edge: Edge, device: Device) -> int:
    return int((await edge.master.ask("device.revoke", device=device.oid.hex()))["epoch"])


async def rotate(edge: Edge, device: Device) -> PrivateKey:
    """Change the device's key; answers the new one, which the device does not use yet."""
    new, deadline = edge.new_key(), device.ticket.deadline_unix_s
    digest = device.domain.rotation_digest(device.gid, device.oid, new.address, deadline)
    call = RotationCall(new.public_key, deadline, device.key.sign_digest(digest), new.sign_digest(digest))
    assert (await device.ask_control("/rotate", call.encode())).state is MembershipState.ACTIVE
    return new


async def test_revoked_device_is_cut_off_in_its_session(edge: Edge) -> None:
    device = await edge.member()
    await device.send(device.record())
    stream = await device.open_stream()
    await stream.receive_ack()
    late = [device.seal_items(device.record()), device.session.control.seal_request(device.association().encode())]
    await revoke(edge, device)
    assert await stream.receive_close_code() in (1000, POLICY_VIOLATION)
    async with edge.master.unchanged():
        for path, request in zip(("/data", "/assoc"), late, strict=True):
            assert await edge.ask(path, request.to_body()) == REFUSED
        assert await edge.ask("/getTicket", device.m3.to_body()) == REFUSED


async def test_revoked_device_that_comes_back_is_told_so_and_can_do_nothing(edge: Edge) -> None:
    device = await edge.member()
    await revoke(edge, device)
    before = await edge.master.state()
    ticket = await device.open_session()
    assert ticket.state is MembershipState.REVOKED
    async with edge.master.unchanged():
        ack = await device.send(device.record())
        assert (ack.last_seq, ack.reason) == (0, Reason.NOT_A_MEMBER)
        result = await device.associate()
        assert (result.state, result.reason) == (MembershipState.REVOKED, Reason.OBJECT_REVOKED)
        new = edge.new_key()
        digest = device.domain.rotation_digest(device.gid, device.oid, new.address, ticket.deadline_unix_s)
        signed = device.key.sign_digest(digest), new.sign_digest(digest)
        call = RotationCall(new.public_key, ticket.deadline_unix_s, *signed)
        assert (await device.ask_control("/rotate", call.encode())).reason is Reason.OBJECT_REVOKED
    after = await edge.master.state()
    assert (after.group, after.tables["records"]) == (before.group, before.tables["records"])


async def test_revoked_device_with_a_fresh_pairing_code_stays_revoked(edge: Edge) -> None:
    device = await edge.member()
    await revoke(edge, device)
    device.code = await edge.master.make_code("bed 1 again")
    assert (await device.open_session()).state is MembershipState.REVOKED
    assert (await device.send(device.record())).reason is Reason.NOT_A_MEMBER


async def test_revoked_device_stays_revoked_over_a_stream(edge: Edge) -> None:
    device = await edge.member()
    await revoke(edge, device)
    await device.open_session()
    stream = await device.open_stream()
    await stream.receive_ack()
    before = await edge.master.state()
    await stream.send(Items((device.record(),)))
    assert (await stream.receive_ack()).reason is Reason.NOT_A_MEMBER
    assert (await edge.master.state()).tables["records"] == before.tables["records"]
    await stream.socket.close()


async def test_key_that_was_rotated_out_opens_no_session(edge: Edge) -> None:
    device = await edge.member()
    device.code = None
    await rotate(edge, device)
    async with edge.master.unchanged():
        _, m3 = await device.ask_for_keys()
        assert await edge.ask("/getTicket", m3.to_body()) == REFUSED


async def test_old_session_sends_nothing_after_a_rotation(edge: Edge) -> None:
    device = await edge.member()
    await rotate(edge, device)
    async with edge.master.unchanged():
        assert (await device.send(device.record())).reason is Reason.NOT_A_MEMBER
        assert (await device.associate()).reason is Reason.NOT_A_MEMBER
        opening = device.session.stream_opening(encode_frame(Open()))
        assert await edge.close_code_after(opening) == POLICY_VIOLATION


async def test_record_signed_with_a_rotated_out_key_is_refused_under_the_new_epoch(edge: Edge) -> None:
    device = await edge.member()
    new = await rotate(edge, device)
    old, device.key = device.key, new
    await device.open_session()
    async with edge.master.unchanged():
        device.key = old
        ack = await device.send(device.record(seq=1))
        assert (ack.last_seq, ack.reason) == (0, Reason.BAD_SIGNATURE)
        ack = await device.send(device.record(seq=1, epoch=device.ticket.epoch - 1))
        assert (ack.last_seq, ack.reason) == (0, Reason.STALE_EPOCH)
    device.key = new
    assert (await device.send(device.record(seq=1))).last_seq == 1


@pytest.mark.parametrize("epochs_off", [-1, 1])
async def test_record_of_another_epoch_is_refused(edge: Edge, epochs_off: int) -> None:
    device, leaver = await edge.member(), await edge.member()
    epoch = await revoke(edge, leaver)
    async with edge.master.unchanged():
        ack = await device.send(device.record(seq=1, epoch=epoch + epochs_off))
        assert (ack.last_seq, ack.reason, ack.epoch) == (0, Reason.STALE_EPOCH, epoch)
    assert (await device.send(device.record(seq=1, epoch=epoch))).last_seq == 1


def test_old_epoch_revoked_sender_and_old_key_are_refused_by_the_contract() -> None:
    register = LocalRegister.deploy(LocalEvm())
    group, device, leaver, new = ward(register, "a ward"), *map(Actor.named, ("device", "leaver", "new key"))
    assert all(outcome.succeeded for outcome in (group.create(), group.associate(device), group.associate(leaver)))
    recorded, own = group.exchange(leaver, group.master.oid, 1), group.exchange(device, group.master.oid, 1)
    group.revoke(leaver.oid)
    assert register.refusal(register.call("verifyExchange", *recorded)).name == "VirtualGroups_ObjectRevoked"
    assert register.refusal(register.call("verifyExchange", *own)).name == "VirtualGroups_StaleEpoch"
    group.rotate(device.oid, device, new)
    by_old = group.exchange(device, group.master.oid, 2)
    assert register.refusal(register.call("verifyExchange", *by_old)).name == "VirtualGroups_BadSignature"


async def test_stolen_device_that_was_replaced_succeeds_against_the_papers_flow(paper: PapersFlow) -> None:
    """There is no removal: the thief goes on sending beside the device that was bought in its place."""
    stolen = await paper.client.join(paper.device)
    replacement = PaperDevice(paper.attacker.private_key, paper.attacker.rsa_key)
    await paper.client.join(replacement)

    await paper.client.send_reading(paper.device, stolen, b"hr=000")

    assert paper.readings == [b"hr=000"]


async def test_record_of_long_ago_succeeds_against_the_papers_flow(paper: PapersFlow) -> None:
    """There are no epochs: what was recorded before the group changed is as good after it."""
    async with relay_to("127.0.0.1", paper.port) as relay, PaperClient("127.0.0.1", relay.port) as slave:
        membership = await slave.join(paper.device)
        await slave.send_reading(paper.device, membership, b"hr=072")
    recorded = bytes(relay.conversations[-1].sent).split(b"\r\n\r\n", 1)[1]
    await paper.client.join(paper.attacker)

    await paper.client.exchange(DATA_PATH, recorded)

    assert paper.readings == [b"hr=072"] * 2
