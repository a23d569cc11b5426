"""Pairing codes used twice, expired, locked and guessed: one answer for all, and the same work behind it."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from group_protocol import pairing
from group_protocol.crypto import kdf
from group_protocol.errors import PairingError
from group_protocol.extensions import TurnedAwayError
from group_protocol.handshake import master as master_handshake
from group_protocol.pairing import derive_code_id
from group_protocol.tickets import IdentityProof, PairingProof
from tests.attacks.edge import REFUSED, Answer, Edge, flip
from tests.attacks.forged import lying_handshake
from tests.attacks.papers_flow import PapersFlow
from tests.support.handshakes import CODE, answer_m1, make_slave, receive_m2
from tests.support.running_master import Device

pytestmark = [pytest.mark.network, pytest.mark.processes]

WRONG_PROOFS_MAX = 5


async def states(edge: Edge) -> dict[str, str]:
    return {row["name"]: row["state"] for row in (await edge.master.ask("device.list"))["invitations"]}


async def try_code(edge: Edge, code: bytes) -> Answer:
    _, m3 = await edge.stranger(code=code).ask_for_keys()
    return await edge.ask("/getTicket", m3.to_body())


async def guess_proof(edge: Edge, code: bytes, *, wrong_at: int = 0) -> Answer:
    """Know a code's id, which travels to the master alone, and guess the proof: right but for one bit."""

    def guess(proof: IdentityProof) -> IdentityProof:
        assert proof.pairing is not None
        return replace(proof, pairing=PairingProof(proof.pairing.code_id, flip(proof.pairing.proof, wrong_at)))

    m3 = await edge.begin(lying_handshake(edge.stranger(code=code), guess))
    return await edge.ask("/getTicket", m3.to_body())


async def expired_code(edge: Edge) -> bytes:
    code = await edge.master.make_code("too late", lifetime_s=0.01)
    while (await states(edge))["too late"] != "expired":  # noqa: ASYNC110 - the clock tells nobody
        await asyncio.sleep(0.01)
    return code


async def test_used_code_is_refused_and_its_device_stays(edge: Edge) -> None:
    device = await edge.enrolled()
    assert device.code is not None
    async with edge.master.unchanged():
        assert await try_code(edge, device.code) == REFUSED
    assert (await device.associate()).state.name == "ACTIVE"


async def test_expired_code_lets_nobody_in_and_only_who_has_it_hears_why(edge: Edge) -> None:
    code = await expired_code(edge)
    async with edge.master.unchanged():
        assert await guess_proof(edge, code) == REFUSED
        late = edge.stranger(code=code)
        with pytest.raises(TurnedAwayError, match="expired"):
            await late.open_session()
        assert await edge.ask("/getTicket", late.m3.to_body()) == REFUSED, "there is no session behind it"


@pytest.mark.parametrize("guess", [bytes(16), b"\xff" * 16, b"sixteen bytes of"], ids=["zeros", "ones", "text"])
async def test_guessed_code_is_refused(edge: Edge, guess: bytes) -> None:
    await edge.master.make_code()
    async with edge.master.unchanged():
        assert await try_code(edge, guess) == REFUSED


async def test_guessed_proofs_lock_the_code_and_the_fifth_is_answered_like_the_first(edge: Edge) -> None:
    code = await edge.master.make_code("to be locked")
    for number in range(WRONG_PROOFS_MAX):
        noted = {"invitation.wrong_proof"} | ({"invitation.locked"} if number == WRONG_PROOFS_MAX - 1 else set())
        async with edge.master.unchanged(noted=noted, tables=("invitations",)):
            assert await guess_proof(edge, code, wrong_at=number) == REFUSED
    assert (await states(edge))["to be locked"] == "locked"
    async with edge.master.unchanged():
        assert await try_code(edge, code) == REFUSED, "the right proof, too late"


async def test_two_devices_with_one_code_at_once_are_one_device_and_a_refusal(edge: Edge) -> None:
    code = await edge.master.make_code()
    answers = await asyncio.gather(*(try_code(edge, code) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 400, 400, 400]
    assert all(answer == REFUSED for answer in answers if answer.status == 400)


async def test_proof_of_another_exchange_is_refused(edge: Edge) -> None:
    """The proof holds for one transcript and one key: seen somewhere, it is of no use elsewhere."""
    code = await edge.master.make_code()
    seen: list[IdentityProof] = []

    def look(proof: IdentityProof) -> IdentityProof:
        seen.append(proof)
        return proof

    owner = edge.stranger(code=code)
    await edge.begin(lying_handshake(owner, look))
    for thief in (edge.stranger(code=code), owner):
        handshake = lying_handshake(thief, lambda proof: replace(proof, pairing=seen[0].pairing))
        async with edge.master.unchanged(noted={"invitation.wrong_proof"}, tables=("invitations",)):
            assert await edge.ask("/getTicket", (await edge.begin(handshake)).to_body()) == REFUSED
    await owner.open_session()


async def test_code_never_travels(edge: Edge) -> None:
    device = await edge.invited()
    assert device.code is not None
    handshake = device.begin()
    m1 = handshake.start().to_body()
    _, m3 = await device.ask_for_keys()
    for body in (m1, m3.to_body(), m3.sealed):
        assert device.code not in body
        assert derive_code_id(device.code) not in body


class CountedWork:
    """How often the master's pairing check hashes and compares, whatever the proof is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: Counter[str] = Counter()
        for module, name in ((pairing, "hmac_sha256"), (master_handshake, "is_equal")):
            original = getattr(kdf, name)

            def counted(*arguments: object, name: str = name, original: object = original) -> object:
                self.calls[name] += 1
                return original(*arguments)  # type: ignore[operator]

            monkeypatch.setattr(module, name, counted)


@pytest.mark.parametrize("wrong_at", [0, 15, 31, None], ids=["first byte", "middle", "last byte", "right"])
def test_right_and_wrong_proofs_cost_the_same_operations(wrong_at: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is not measured here: one HMAC and one comparison, in constant time, wherever the proof is wrong."""
    slave = make_slave()
    master, m2 = answer_m1(slave.start())
    identity = master.receive_identity(receive_m2(slave, m2))
    assert identity.pairing is not None
    if wrong_at is not None:
        wrong = PairingProof(identity.pairing.code_id, flip(identity.pairing.proof, wrong_at))
        master._identity = replace(identity, pairing=wrong)
    work = CountedWork(monkeypatch)
    try:
        master.verify_pairing(CODE)
    except PairingError:
        assert wrong_at is not None
    assert work.calls == {"hmac_sha256": 1, "is_equal": 1}


def test_comparison_is_the_constant_time_one() -> None:
    assert kdf.is_equal.__module__ in {"group_protocol.crypto.kdf", "_operator", "hmac"}
    assert "compare_digest" in kdf.is_equal.__code__.co_names or kdf.is_equal.__name__ == "compare_digest"


async def test_device_that_nobody_invited_succeeds_against_the_papers_flow(paper: PapersFlow) -> None:
    """Nothing is asked of a new device: whoever can reach the master is a member."""
    membership = await paper.client.join(paper.attacker)
    await paper.client.send_reading(paper.attacker, membership, b"hr=999")
    assert paper.readings == [b"hr=999"]


async def test_device_keeps_its_code_until_it_is_enrolled(edge: Edge) -> None:
    """A lost M4 does no harm: the same device comes again, and nobody else does."""
    device: Device = await edge.invited()
    _, m3 = await device.ask_for_keys()
    assert (await edge.ask("/getTicket", m3.to_body())).status == 200  # and the answer is lost
    await device.open_session()
    assert (await device.associate()).state.name == "ACTIVE"
