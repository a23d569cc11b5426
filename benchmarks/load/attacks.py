"""The attacks: what is sent, from how many addresses, how fast. Each runs in its own process and counts answers."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from benchmarks.core_join import CoreSlave
from benchmarks.fixtures import MASTER_KEY, RANDOM, begin_join
from benchmarks.joins import new_key
from benchmarks.load.wire import Wire, loopback_address
from group_protocol.crypto.aead import Aead
from group_protocol.crypto.exchange import make_slave_share
from group_protocol.frames import Ack, Items, decode_master_frame, encode_frame
from group_protocol.handshake.transcript import HandshakeSecrets, compute_th1, slave_digest
from group_protocol.identifiers import Signature
from group_protocol.messages import (
    CookieChallenge,
    KeysSessionAnswer,
    KeysSessionRequest,
    SealedAnswer,
    SealedRequest,
    parse_keys_session_answer,
)
from group_protocol.pairing import derive_code_id
from group_protocol.records import SignedRecord
from group_protocol.suites import Suite
from group_protocol.tickets import IdentityProof, PairingProof

Answers = Counter[str]
NESTED = {
    "arrays": b"[" * 8_192,
    "objects": (b'{"a":' * 1_638)[:8_192],
    "closed": b"[" * 4_096 + b"]" * 4_096,
    "in a field": b'{"v":1,"suites":' + b"[" * 4_080 + b"]" * 4_080 + b"}",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of it.

    Attributes:
        port: The master's.
        addresses: From so many loopback addresses, one connection each.
        count: So many in all, at most.
        per_s: Sent at this pace over all addresses; 0: as fast as answers come.
        for_s: And for so long at most.
        first_address: The number of the first: each process of an attack has addresses of its own.
    """

    port: int
    addresses: int
    count: int
    per_s: float
    for_s: float
    first_address: int = 0

    def share(self, number: int, of: int) -> "Plan":
        """What the number-th of so many processes does of it."""
        addresses = self.addresses // of
        first = self.first_address + number * addresses
        return replace(self, addresses=addresses, count=self.count // of, per_s=self.per_s / of, first_address=first)


async def send_all(plan: Plan, shoot: Callable[[Wire], Awaitable[str]]) -> Answers:
    """Let all addresses fire until the plan is done; answers are counted by what ``shoot`` calls them."""
    answers: Answers = Counter()
    began_s = time.monotonic()
    fired = 0

    async def fire(source: str) -> None:
        nonlocal fired
        async with Wire(plan.port, source) as wire:
            while fired < plan.count and time.monotonic() - began_s < plan.for_s:
                turn, fired = fired, fired + 1
                if plan.per_s:
                    await asyncio.sleep(max(0.0, began_s + turn / plan.per_s - time.monotonic()))
                answers[await shoot(wire)] += 1

    numbers = range(plan.first_address, plan.first_address + plan.addresses)
    await asyncio.gather(*(fire(loopback_address(number)) for number in numbers))
    answers["milliseconds"] = round((time.monotonic() - began_s) * 1_000)
    return answers


async def half_open(plan: Plan, *, returns_cookie: bool) -> Answers:
    """M1 after M1, never an M3. The attacker pays nothing: it sends one and the same share again and again."""
    m1 = begin_join(Suite.H1, new_key()).start()

    async def shoot(wire: Wire) -> str:
        status, answer = await wire.post("/keysSession", m1.to_body())
        if status != 200:
            return str(status)
        parsed = parse_keys_session_answer(answer)
        if not isinstance(parsed, CookieChallenge):
            return "M2"
        if not returns_cookie:
            return "cookie"
        again = KeysSessionRequest(m1.suites, m1.aeads, m1.gid, m1.sn, m1.share, parsed.cookie)
        status, _ = await wire.post("/keysSession", again.to_body())
        return "M2 after cookie" if status == 200 else f"{status} after cookie"

    return await send_all(plan, shoot)


async def wrong_proofs(plan: Plan) -> Answers:
    """Whole exchanges, each with a pairing code that nobody gave."""
    guesser = Guesser()

    async def shoot(wire: Wire) -> str:
        status, answer = await wire.post("/keysSession", guesser.m1.to_body())
        if status != 200:
            return f"M1 {status}"
        m2 = parse_keys_session_answer(answer)
        if isinstance(m2, CookieChallenge):
            m1 = guesser.m1
            again = KeysSessionRequest(m1.suites, m1.aeads, m1.gid, m1.sn, m1.share, m2.cookie)
            status, answer = await wire.post("/keysSession", again.to_body())
            if status != 200:
                return f"M1 {status}"
            m2 = parse_keys_session_answer(answer)
        if isinstance(m2, CookieChallenge):
            return "a second cookie"
        status, _ = await wire.post("/getTicket", guesser.guess(m2).to_body())
        return f"M3 {status}"

    return await send_all(plan, shoot)


class Guesser:
    """M1 and M3 of an attacker who spares himself what is the master's to do.

    One key and one share serve for all; the master's signature and confirmation are not looked at, keys of a session
    not made. Only what the master checks before the pairing proof is right: two exchanges of a second in half the time.
    """

    def __init__(self) -> None:
        self._key = new_key()
        self._share = make_slave_share((Suite.E1,), RANDOM)
        self.m1 = KeysSessionRequest((Suite.E1,), (Aead.A256GCM,), b"", RANDOM.token_bytes(32), self._share.wire)

    def guess(self, m2: KeysSessionAnswer) -> SealedRequest:
        """M3 with the proof of a fresh code."""
        th1 = compute_th1(self.m1, suite=m2.suite, aead=m2.aead, sid=m2.sid, mn=m2.mn, share_m=m2.share)
        secrets = HandshakeSecrets.from_agreement(th1, self._share.agree(m2.suite, m2.share))
        th2, code = secrets.compute_th2(m2.sig, m2.fin), os.urandom(16)
        pairing = PairingProof(derive_code_id(code), os.urandom(32))
        signature = self._key.sign_digest(slave_digest(th2, MASTER_KEY.address, self._key.address))
        proof = IdentityProof(self._key.public_key, signature, pairing)
        return SealedRequest(m2.sid, 0, secrets.identity_ratchet(m2.aead, m2.sid, th2).seal(0, proof.encode()))


async def nested_json(plan: Plan) -> Answers:
    """8 KiB of brackets."""
    bodies = list(NESTED.values())

    async def shoot(wire: Wire) -> str:
        bodies.append(bodies.pop(0))
        status, _ = await wire.post("/keysSession", bodies[0])
        return str(status)

    return await send_all(plan, shoot)


def hostile_payloads() -> list[bytes]:
    """CBOR that announces what it has not: items of up to 2^64 - 1 elements or bytes, in every kind and width."""
    widths = ((0x1A, (2**32 - 1).to_bytes(4, "big")), (0x1B, (2**40).to_bytes(8, "big")), (0x1B, b"\xff" * 8))
    huge = [bytes((major | code,)) + length for major in (0x40, 0x60, 0x80, 0xA0) for code, length in widths]
    one_entry = b"\x81\xa2\x00\x61a\x02"
    return [*huge, *(b"\x81" + item for item in huge), *(one_entry + item for item in huge), b"\x81" * 8_192]


async def hostile_cbor(plan: Plan, code: bytes) -> Answers:
    """A member sends records whose payloads announce huge lengths, each in a sealed frame of its own."""
    slave = CoreSlave(Suite.E1, new_key(), code)
    payloads = hostile_payloads()
    async with Wire(plan.port, loopback_address(0)) as wire:
        body = slave.first()
        while slave.path:
            body = slave.take((await wire.post(slave.path, body))[1])
    session, ticket = slave.established
    seq = 0

    async def shoot(wire: Wire) -> str:
        nonlocal seq
        seq += 1
        payload = payloads[seq % len(payloads)]
        record = SignedRecord(ticket.master_oid, seq, ticket.epoch, payload, Signature(bytes(64)))
        request = session.data.seal_request(encode_frame(Items((record,))))
        status, answer = await wire.post("/data", request.to_body())
        if status != 200:
            return str(status)
        ack = decode_master_frame(session.data.open_answer(request.seq, SealedAnswer.from_body(answer)))
        return ack.reason.name if isinstance(ack, Ack) else type(ack).__name__

    return await send_all(plan, shoot)
