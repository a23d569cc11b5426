"""Suite and AEAD downgrade: both lists stand in what the master signs, so a list changed on the way is found out."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from Crypto.PublicKey import RSA

from group_protocol.crypto.aead import Aead
from group_protocol.errors import DecodingError, VerificationError
from group_protocol.handshake import SlaveHandshake
from group_protocol.messages import KeysSessionAnswer, KeysSessionRequest, parse_keys_session_answer
from group_protocol.suites import DEFAULT_SUITES, Suite
from measure.paper_baseline.ciphers import SessionKey, encrypt, public_pem, unwrap_session_key
from measure.paper_baseline.http_form import KEY_SESSION_PATH
from measure.paper_baseline.messages import KeySessionAnswer, KeySessionRequest
from tests.attacks.edge import REFUSED, Edge
from tests.attacks.interceptor import intercepting
from tests.attacks.papers_flow import PapersFlow
from tests.support.handshakes import make_slave

pytestmark = [pytest.mark.network, pytest.mark.processes]

OFFERED_AEADS = (Aead.C20P1305, Aead.A256GCM)


async def cautious_slave(edge: Edge) -> SlaveHandshake:
    """A slave that offers everything, the best first."""
    code = await edge.master.make_code()
    return make_slave(Suite.H1, key=edge.new_key(), code=code, aeads=OFFERED_AEADS)


def without_mlkem(m1: KeysSessionRequest) -> KeysSessionRequest:
    return replace(m1, suites=(Suite.E1,), share=m1.share[:32])


DOWNGRADES: dict[str, Callable[[KeysSessionRequest], KeysSessionRequest]] = {
    "H1 struck out of the suites": without_mlkem,
    "E1 struck out of the suites": lambda m1: replace(m1, suites=(Suite.H1,)),
    "AEADs in another order": lambda m1: replace(m1, aeads=m1.aeads[::-1]),
    "the preferred AEAD struck out": lambda m1: replace(m1, aeads=m1.aeads[1:]),
    "all of it at once": lambda m1: replace(without_mlkem(m1), aeads=(Aead.A256GCM,)),
}


@pytest.mark.parametrize("downgrade", DOWNGRADES)
async def test_offer_changed_on_the_way_makes_the_slave_stop(edge: Edge, downgrade: str) -> None:
    slave = await cautious_slave(edge)
    async with edge.master.unchanged():
        changed = DOWNGRADES[downgrade](slave.start())
        m2 = parse_keys_session_answer(await edge.exchange("/keysSession", changed.to_body()))
        with pytest.raises((VerificationError, DecodingError)):
            slave.receive_keys_session(m2)


async def test_rsa_key_in_the_place_of_a_modern_offer_makes_the_slave_stop(
    edge: Edge, rsa_keys: list[RSA.RsaKey]
) -> None:
    """Even at a master that takes R1: the slave did not offer it."""
    slave = await cautious_slave(edge)
    attacker_der = rsa_keys[2].public_key().export_key("DER")
    async with edge.master.unchanged():
        changed = replace(slave.start(), suites=(Suite.R1,), share=attacker_der)
        m2 = parse_keys_session_answer(await edge.exchange("/keysSession", changed.to_body()))
        with pytest.raises(VerificationError):
            slave.receive_keys_session(m2)


CHOICES: dict[str, Callable[[KeysSessionAnswer], KeysSessionAnswer]] = {
    "another suite": lambda m2: replace(m2, suite=Suite.E1, share=m2.share[:32]),
    "another AEAD": lambda m2: replace(m2, aead=Aead.A256GCM),
}


@pytest.mark.parametrize("choice", CHOICES)
async def test_masters_choice_changed_on_the_way_makes_the_slave_stop(edge: Edge, choice: str) -> None:
    slave = await cautious_slave(edge)
    async with edge.master.unchanged():
        m2 = parse_keys_session_answer(await edge.exchange("/keysSession", slave.start().to_body()))
        assert isinstance(m2, KeysSessionAnswer)
        assert (m2.suite, m2.aead) == (Suite.H1, Aead.C20P1305), "the control: both sides' best"
        with pytest.raises(VerificationError):
            slave.receive_keys_session(CHOICES[choice](m2))


@pytest.mark.parametrize(
    "change",
    [{"suites": ["E1", "H1"]}, {"suites": ["R1", "E1"]}, {"suites": ["none"]}, {"aeads": ["none"]}, {"aeads": []}],
    ids=str,
)
async def test_offer_that_is_no_offer_is_refused(edge: Edge, change: dict[str, list[str]]) -> None:
    body = (await cautious_slave(edge)).start().to_body()
    for name, values in change.items():
        old = ",".join(f'"{entry}"' for entry in (DEFAULT_SUITES if name == "suites" else OFFERED_AEADS))
        new = ",".join(f'"{entry}"' for entry in values)
        assert old.encode() in body
        body = body.replace(old.encode(), new.encode())
    async with edge.master.unchanged():
        assert await edge.ask("/keysSession", body) == REFUSED


async def test_cookie_slipped_in_on_the_way_downgrades_nothing(edge: Edge) -> None:
    """The one field of M1 that no transcript holds."""
    device = await edge.invited(Suite.H1)

    def add_cookie(path: str, body: bytes) -> bytes:
        return (
            replace(KeysSessionRequest.from_body(body), cookie=bytes(32)).to_body() if path == "/keysSession" else body
        )

    async with intercepting(edge, add_cookie) as middle:
        device.bench = middle
        await device.open_session()


def weak_rsa_key(bits: int) -> RSA.RsaKey:
    return RSA.generate(bits, randfunc=random.Random(bits).randbytes)


@pytest.mark.parametrize("bits", [1_024, 1_536])
async def test_weak_rsa_key_is_refused(edge: Edge, bits: int) -> None:
    weak = weak_rsa_key(bits).public_key().export_key("DER")
    m1 = replace(edge.stranger(Suite.R1).begin().start(), share=weak)
    async with edge.master.unchanged():
        assert await edge.ask("/keysSession", m1.to_body()) == REFUSED


async def test_weak_rsa_key_succeeds_against_the_papers_flow(paper: PapersFlow) -> None:
    """Nothing says how large a key has to be: the session key goes out under 1,024 bits."""
    weak = weak_rsa_key(1_024)
    request = KeySessionRequest(public_pem(weak), paper.device.object_id)

    answer = KeySessionAnswer.decode(await paper.client.exchange(KEY_SESSION_PATH, request.encode()))

    session = unwrap_session_key(answer.encrypted_aes_key, weak)
    assert isinstance(session, SessionKey)
    assert encrypt(session, b"hr=072") == encrypt(session, b"hr=072"), "and one IV for all: equal readings look equal"
