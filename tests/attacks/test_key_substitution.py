"""Keys substituted in /keysSession: whoever stands between slave and master reads nothing and joins nothing."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from Crypto.PublicKey import RSA
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from group_protocol.crypto.keys import PrivateKey
from group_protocol.encoding import b64decode
from group_protocol.errors import VerificationError
from group_protocol.handshake import MasterHandshake, MasterPolicy
from group_protocol.identifiers import GroupId
from group_protocol.messages import KeysSessionAnswer, KeysSessionRequest, parse_keys_session_answer
from group_protocol.suites import DEFAULT_SUITES, Suite
from measure.paper_baseline.client import PaperClient
from measure.paper_baseline.key_substitution import ManInTheMiddle
from measure.paper_baseline.server import serve
from slave_client.joining import Offer
from slave_client.state_directory import StateDirectory
from tests.attacks.edge import Edge
from tests.attacks.interceptor import Rewrite, intercepting, keep
from tests.attacks.papers_flow import PapersFlow
from tests.support.handshakes import OFFERS
from tests.support.running_master import payload
from tests.support.seeded import SeededRandom
from tests.support.slave_bench import OFFER, SlaveBench

pytestmark = [pytest.mark.network, pytest.mark.processes]

ATTACKER_KEY = PrivateKey.from_secret(b"\x66" * 32)
ATTACKER_SHARE = X25519PrivateKey.from_private_bytes(b"\x66" * 32).public_key().public_bytes_raw()


class OwnAnswer:
    """Answers the slave's M1 itself, as a master would, under a key of its own."""

    def __init__(self) -> None:
        self.m1 = b""

    def take(self, _path: str, body: bytes) -> bytes:
        self.m1 = body
        return body

    def answer(self, path: str, body: bytes) -> bytes:
        if path != "/keysSession":
            return body
        m1 = KeysSessionRequest.from_body(self.m1)
        policy = MasterPolicy(GroupId(bytes(16)), frozenset(Suite))
        _, m2 = MasterHandshake.answer(m1, key=ATTACKER_KEY, policy=policy, random=SeededRandom(9))
        return m2.to_body()


def rewritten_m2(change: Callable[[KeysSessionAnswer], KeysSessionAnswer]) -> Rewrite:
    def rewrite(path: str, body: bytes) -> bytes:
        m2 = parse_keys_session_answer(body) if path == "/keysSession" else None
        return change(m2).to_body() if isinstance(m2, KeysSessionAnswer) else body

    return rewrite


def own_share_to_the_master(path: str, body: bytes) -> bytes:
    if path != "/keysSession":
        return body
    m1 = KeysSessionRequest.from_body(body)
    return replace(m1, share=ATTACKER_SHARE + m1.share[32:]).to_body()


def own_share_to_the_slave(m2: KeysSessionAnswer) -> KeysSessionAnswer:
    return replace(m2, share=ATTACKER_SHARE + m2.share[32:])


def signed_by_the_attacker(m2: KeysSessionAnswer) -> KeysSessionAnswer:
    return replace(own_share_to_the_slave(m2), sig=ATTACKER_KEY.sign_digest(bytes(32)))


OWN_ANSWER = OwnAnswer()
SUBSTITUTIONS: dict[str, tuple[Rewrite, Rewrite]] = {
    "an answer under the attacker's own key": (OWN_ANSWER.take, OWN_ANSWER.answer),
    "the attacker's share in M1": (own_share_to_the_master, keep),
    "the attacker's share in M2": (keep, rewritten_m2(own_share_to_the_slave)),
    "the attacker's share in both": (own_share_to_the_master, rewritten_m2(own_share_to_the_slave)),
    "the attacker's share and signature in M2": (keep, rewritten_m2(signed_by_the_attacker)),
}


@pytest.mark.parametrize("substitution", SUBSTITUTIONS)
@pytest.mark.parametrize("offer", [OFFER, Offer(DEFAULT_SUITES, OFFER.aeads)], ids=["E1", "H1"])
async def test_substituted_key_makes_the_slave_stop_before_it_says_who_it_is(
    edge: Edge, tmp_path: Path, substitution: str, offer: Offer
) -> None:
    on_request, on_answer = SUBSTITUTIONS[substitution]
    code = await edge.master.make_code()
    async with intercepting(edge, on_request, on_answer) as middle, edge.master.unchanged():
        with StateDirectory(tmp_path / "slave") as directory:
            slave = SlaveBench(directory, middle, next(edge.master.numbers), offer)
            slave.pair(code)
            with pytest.raises(VerificationError):
                await slave.join()
            assert slave.state.code == code  # nothing is lost: it may try again
        assert set(middle.paths) <= {"/keysSession", "/succession"}  # it asked whether the master has a new key


async def test_substituted_rsa_key_of_the_papers_own_suite_is_found_out_too(
    edge: Edge, rsa_keys: list[RSA.RsaKey]
) -> None:
    """R1 is the paper's step with our signatures around it."""
    attacker_der = rsa_keys[2].public_key().export_key("DER")

    def substitute(path: str, body: bytes) -> bytes:
        return (
            replace(KeysSessionRequest.from_body(body), share=attacker_der).to_body()
            if path == "/keysSession"
            else body
        )

    device = await edge.invited(Suite.R1)
    async with intercepting(edge, substitute) as middle, edge.master.unchanged():
        device.bench = middle
        with pytest.raises(VerificationError):
            await device.open_session()
        assert middle.paths == ["/keysSession"]


@pytest.mark.parametrize("suite", Suite)
async def test_honest_slave_behind_a_listener_joins_and_the_listener_reads_nothing(edge: Edge, suite: Suite) -> None:
    """The control: the same place in the middle, and nothing touched."""
    assert OFFERS[suite][0] is suite
    device = await edge.invited(suite)
    async with intercepting(edge) as middle:
        device.bench = middle
        ticket = await device.open_session()
        await device.associate()
        await device.send(device.record())
    assert middle.paths == ["/keysSession", "/getTicket", "/assoc", "/data"]
    heard = [
        b64decode(value) for _, body in middle.seen for value in json.loads(body).values() if isinstance(value, str)
    ]
    for secret in (device.key.public_key, ticket.token, device.oid, payload(1.0)):
        assert not any(secret in value for value in heard)


async def test_man_in_the_middle_succeeds_against_the_papers_flow(paper: PapersFlow) -> None:
    middle = ManInTheMiddle(paper.client.exchange, paper.attacker.rsa_key, random.Random(6).randbytes)

    async with serve(middle) as port, PaperClient("127.0.0.1", port) as slave:
        membership = await slave.join(paper.device)
        await slave.send_reading(paper.device, membership, b"hr=072")

    assert middle.clear_texts[0] == membership.ticket.encode()
    assert middle.clear_texts[-1] == b"hr=072"
    assert paper.readings == [b"hr=072"]
