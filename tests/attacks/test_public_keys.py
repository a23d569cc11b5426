"""Hybrid-form and malformed public keys: one key has one form (docs/protocol.md §1)."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from group_protocol.errors import Reason
from group_protocol.messages_rotation import RotationCall
from measure.paper_baseline.clear_texts import Ticket
from measure.paper_baseline.http_form import TICKET_PATH
from measure.paper_baseline.messages import TicketRequest
from measure.paper_baseline.signatures import derive_address
from measure.paper_baseline.slave import accept_ticket
from tests.attacks.edge import REFUSED, Edge, flip
from tests.attacks.forged import lying_handshake
from tests.attacks.papers_flow import PapersFlow

pytestmark = [pytest.mark.network, pytest.mark.processes]


def hybrid(key: bytes) -> bytes:
    """06 or 07, as y's parity has it: the form that OpenSSL writes and libsecp256k1 reads."""
    return bytes([0x06 | (key[-1] & 1)]) + key[1:]


FORMS: Mapping[str, Callable[[bytes], bytes]] = {
    "hybrid": hybrid,
    "hybrid of the other parity": lambda key: bytes([hybrid(key)[0] ^ 1]) + key[1:],
    "compressed": lambda key: bytes([0x02 | (key[-1] & 1)]) + key[1:33],
    "compressed and filled up": lambda key: bytes([0x02 | (key[-1] & 1)]) + key[1:33] + bytes(32),
    "without a prefix": lambda key: key[1:] + b"\x00",
    "prefix 00": lambda key: b"\x00" + key[1:],
    "prefix 05": lambda key: b"\x05" + key[1:],
    "beside the curve": lambda key: flip(key, -1),
    "the point at infinity": lambda _: b"\x04" + bytes(64),
    "coordinates above the prime": lambda _: b"\x04" + b"\xff" * 64,
    "nothing": lambda _: b"",
}


@pytest.mark.parametrize("form", FORMS)
async def test_public_key_of_another_form_in_m3_is_refused(edge: Edge, form: str) -> None:
    device = await edge.invited()
    handshake = lying_handshake(device, lambda proof: replace(proof, public_key=FORMS[form](proof.public_key)))
    async with edge.master.unchanged():
        m3 = await edge.begin(handshake)
        assert await edge.ask("/getTicket", m3.to_body()) == REFUSED
    await device.open_session()


@pytest.mark.parametrize("form", FORMS)
async def test_public_key_of_another_form_in_a_rotation_is_refused(edge: Edge, form: str) -> None:
    device, new = await edge.member(), edge.new_key()
    deadline = device.ticket.deadline_unix_s
    digest = device.domain.rotation_digest(device.gid, device.oid, new.address, deadline)
    good = RotationCall(new.public_key, deadline, device.key.sign_digest(digest), new.sign_digest(digest))
    plaintext = good.encode()
    spoiled = FORMS[form](new.public_key) + plaintext[len(new.public_key) :]
    async with edge.master.unchanged():
        assert (await device.ask_control("/rotate", spoiled)).reason is Reason.MALFORMED
    assert (await device.ask_control("/rotate", plaintext)).reason is Reason.NONE


async def test_hybrid_public_key_succeeds_against_the_papers_flow(paper: PapersFlow) -> None:
    """Two texts for one key: a list of blocked keys, compared as text, is walked around."""
    session = await paper.client.share_session_key(paper.device)
    body = TicketRequest(paper.device.object_id, hybrid(paper.device.public_key)).encode()
    assert paper.device.public_key.hex().encode() not in body

    ticket = accept_ticket(session, await paper.client.exchange(TICKET_PATH, body))
    await paper.client.associate(paper.device, session, ticket)

    assert isinstance(ticket, Ticket)
    assert ticket.address == derive_address(paper.device.public_key)
