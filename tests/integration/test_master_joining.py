"""Joining a running master: key exchange, pairing, ticket, association."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from group_protocol.crypto.aead import Aead
from group_protocol.errors import Reason
from group_protocol.extensions import TurnedAwayError
from group_protocol.handshake import SlaveHandshake
from group_protocol.messages import (
    REFUSAL_BODY,
    CookieChallenge,
    SealedAnswer,
    SealedRequest,
    parse_keys_session_answer,
)
from group_protocol.pairing import derive_code_id
from group_protocol.suites import Suite
from group_protocol.tickets import IdentityProof, MembershipState, PairingProof
from tests.support.running_master import MASTER_KEY, Bench, device_key, running_master
from tests.support.seeded import SeededRandom

pytestmark = pytest.mark.network

REFUSED = (400, REFUSAL_BODY)


class ThiefHandshake(SlaveHandshake):
    """Knows the id of a code, which travels sealed to the master alone, but not the code."""

    stolen_code_id: bytes

    def _prove_identity(self, th2: bytes) -> IdentityProof:
        proof = super()._prove_identity(th2)
        return replace(proof, pairing=PairingProof(self.stolen_code_id, bytes(32)))


async def try_to_steal(bench: Bench, code: bytes, number: int) -> tuple[int, bytes]:
    """A wrong proof for this code, by a key of its own."""
    thief = ThiefHandshake(
        key=device_key(number),
        master=MASTER_KEY.address,
        gid=None,
        suites=(Suite.E1,),
        aeads=(Aead.A256GCM,),
        pairing_code=None,
        random=SeededRandom(number),
    )
    thief.stolen_code_id = derive_code_id(code)
    m2 = parse_keys_session_answer(await bench.exchange("/keysSession", thief.start().to_body()))
    m3 = thief.receive_keys_session(m2)
    assert isinstance(m3, SealedRequest)
    return await bench.post("/getTicket", m3.to_body())


async def listed_states(bench: Bench) -> list[str]:
    listing = await bench.operations.list_devices()
    invitations = listing["invitations"]
    assert isinstance(invitations, list)
    return [invitation["state"] for invitation in invitations]


@pytest.mark.parametrize("suite", [Suite.H1, Suite.E1, Suite.R1])
async def test_device_with_pairing_code_joins_and_sends_in_every_suite(tmp_path: Path, suite: Suite) -> None:
    async with running_master(tmp_path, suites=tuple(Suite)) as bench:
        device = bench.device(5, code=await bench.make_code(), suite=suite)
        ticket = await device.open_session()
        assert ticket.state is MembershipState.NOT_ASSOCIATED
        result = await device.associate()
        assert (result.state, result.reason) == (MembershipState.ACTIVE, Reason.NONE)
        ack = await device.send(device.record(), device.record())
        assert (ack.last_seq, ack.evidence_seq, ack.reason) == (2, 2, Reason.NONE)


async def test_enrolled_device_comes_back_without_a_pairing_proof_and_is_active(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        device.code = None
        assert (await device.open_session()).state is MembershipState.ACTIVE


async def test_stranger_without_a_pairing_proof_is_refused(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        _, m3 = await bench.device(5).ask_for_keys()
        assert await bench.post("/getTicket", m3.to_body()) == REFUSED
        assert await bench.operations.list_devices() == {"devices": [], "invitations": []}


async def test_same_m3_again_gets_the_same_m4_and_another_m3_the_refusal(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = bench.device(5, code=await bench.make_code())
        handshake, m3 = await device.ask_for_keys()
        first = await bench.exchange("/getTicket", m3.to_body())
        assert await bench.exchange("/getTicket", m3.to_body()) == first
        other = replace(m3, sealed=m3.sealed[:-1] + bytes([m3.sealed[-1] ^ 1]))
        assert await bench.post("/getTicket", other.to_body()) == REFUSED
        handshake.receive_ticket(SealedAnswer.from_body(first))


async def test_same_m3_sent_twice_at_once_gets_the_same_m4_twice(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        _, m3 = await bench.device(5, code=await bench.make_code()).ask_for_keys()
        answers = await asyncio.gather(*(bench.post("/getTicket", m3.to_body()) for _ in range(5)))
        assert len(set(answers)) == 1
        assert answers[0][0] == 200


async def test_m3_that_does_not_open_leaves_the_exchange_open_for_the_true_one(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        handshake, m3 = await bench.device(5, code=await bench.make_code()).ask_for_keys()
        forged = replace(m3, sealed=bytes(len(m3.sealed)))
        assert await bench.post("/getTicket", forged.to_body()) == REFUSED
        handshake.receive_ticket(SealedAnswer.from_body(await bench.exchange("/getTicket", m3.to_body())))


async def test_m3_after_thirty_seconds_is_refused(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        _, m3 = await bench.device(5, code=await bench.make_code()).ask_for_keys()
        bench.clock.advance(30.1)
        assert await bench.post("/getTicket", m3.to_body()) == REFUSED


async def test_five_wrong_proofs_lock_the_code_for_the_true_device_too(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        code = await bench.make_code()
        for number in range(5):
            assert await listed_states(bench) == ["open"]
            assert await try_to_steal(bench, code, 20 + number) == REFUSED
        assert await listed_states(bench) == ["locked"]
        _, m3 = await bench.device(5, code=code).ask_for_keys()
        assert await bench.post("/getTicket", m3.to_body()) == REFUSED


async def test_four_wrong_proofs_leave_the_code_good(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        code = await bench.make_code()
        for number in range(4):
            assert await try_to_steal(bench, code, 20 + number) == REFUSED
        await bench.device(5, code=code).open_session()


async def test_code_pairs_one_device_only(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        code = await bench.make_code()
        exchanges = [await bench.device(number, code=code).ask_for_keys() for number in (5, 6)]
        answers = await asyncio.gather(*(bench.post("/getTicket", m3.to_body()) for _, m3 in exchanges))
        assert sorted(status for status, _ in answers) == [200, 400]


async def test_expired_code_pairs_nobody(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        code = await bench.make_code(lifetime_s=60)
        bench.clock.advance(60)
        with pytest.raises(TurnedAwayError, match="expired"):
            await bench.device(5, code=code).open_session()
        assert await listed_states(bench) == ["expired"]
        assert (await bench.operations.list_devices())["devices"] == []


async def test_master_under_load_asks_for_a_cookie_and_serves_who_returns_it(tmp_path: Path) -> None:
    async with running_master(tmp_path, cookie_threshold=2) as bench:
        for number in (20, 21):
            await bench.device(number).ask_for_keys()
        answer = parse_keys_session_answer(
            await bench.exchange("/keysSession", bench.device(22).begin().start().to_body())
        )
        assert isinstance(answer, CookieChallenge)
        await bench.device(5, code=await bench.make_code()).open_session()


async def test_association_again_answers_active_without_a_second_transaction(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(5)
        blocks = await bench.registry.fetch_block_time(), bench.registry._block_number
        again = await device.associate()
        assert (again.state, again.reason) == (MembershipState.ACTIVE, Reason.NONE)
        assert again.block_number > 0
        assert blocks == (await bench.registry.fetch_block_time(), bench.registry._block_number)


async def test_repeated_m5_gets_the_stored_answer(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = bench.device(5, code=await bench.make_code())
        await device.open_session()
        request = device.session.control.seal_request(device.association().encode()).to_body()
        assert await bench.exchange("/assoc", request) == await bench.exchange("/assoc", request)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"token": bytes(64)}, Reason.TOKEN_REFUSED),
        ({"request": bytes(64)}, Reason.BAD_SIGNATURE),
        ({"deadline_unix_s": 1_900_000_000}, Reason.BAD_SIGNATURE),
    ],
)
async def test_bad_association_is_refused_with_its_reason_and_costs_no_transaction(
    tmp_path: Path, change: dict[str, object], reason: Reason
) -> None:
    async with running_master(tmp_path) as bench:
        device = bench.device(5, code=await bench.make_code())
        await device.open_session()
        block = bench.registry._block_number
        call = replace(device.association(), **change)  # type: ignore[arg-type] # parametrised
        result = await device.ask_control("/assoc", call.encode())
        assert (result.state, result.reason) == (MembershipState.NOT_ASSOCIATED, reason)
        assert bench.registry._block_number == block


async def test_association_past_its_deadline_is_refused_by_the_contract(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = bench.device(5, code=await bench.make_code())
        await device.open_session()
        bench.clock.advance(3_600)
        result = await device.associate()
        assert (result.state, result.reason) == (MembershipState.NOT_ASSOCIATED, Reason.DEADLINE_PASSED)


async def test_unreachable_chain_leaves_the_request_waiting_and_the_device_joins_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with running_master(tmp_path) as bench:
        device = bench.device(5, code=await bench.make_code())
        await device.open_session()
        bench.registry.is_reachable = False
        result = await device.associate()
        assert (result.state, result.reason) == (MembershipState.PENDING, Reason.CHAIN_UNAVAILABLE)
        bench.registry.is_reachable = True
        assert (await device.associate()).state is MembershipState.ACTIVE


async def test_slow_chain_answers_pending_and_active_when_asked_again(tmp_path: Path) -> None:
    async with running_master(tmp_path, association_wait_s=0.05) as bench:
        device = bench.device(5, code=await bench.make_code())
        await device.open_session()
        mined = asyncio.Event()
        associate = bench.registry.associate

        async def slow(request: object) -> object:
            await mined.wait()
            return await associate(request)  # type: ignore[arg-type]

        bench.registry.associate = slow  # type: ignore[method-assign, assignment]
        assert (await device.associate()).state is MembershipState.PENDING
        assert (await device.open_session()).state is MembershipState.PENDING
        mined.set()
        assert (await device.associate()).state is MembershipState.ACTIVE
