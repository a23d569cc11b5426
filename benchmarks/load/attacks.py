"""The attacks: what is sent, from how many addresses, how fast. Each runs in its own process and counts answers."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.core_join import CoreSlave
from benchmarks.fixtures import begin_join
from benchmarks.joins import new_key
from benchmarks.load.wire import Wire, loopback_address
from group_protocol.frames import Ack, Items, decode_master_frame, encode_frame
from group_protocol.identifiers import Signature
from group_protocol.messages import CookieChallenge, KeysSessionRequest, SealedAnswer, parse_keys_session_answer
from group_protocol.records import SignedRecord
from group_protocol.suites import Suite

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
    """

    port: int
    addresses: int
    count: int
    per_s: float
    for_s: float


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

    await asyncio.gather(*(fire(loopback_address(number)) for number in range(plan.addresses)))
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
    """Whole exchanges with a fresh key and a pairing code that nobody gave."""

    async def shoot(wire: Wire) -> str:
        slave = begin_join(Suite.E1, new_key(), os.urandom(16))
        m1 = slave.start()
        status, answer = await wire.post("/keysSession", m1.to_body())
        if status != 200:
            return f"M1 {status}"
        following = slave.receive_keys_session(parse_keys_session_answer(answer))
        if isinstance(following, KeysSessionRequest):
            status, answer = await wire.post("/keysSession", following.to_body())
            if status != 200:
                return f"M1 {status}"
            following = slave.receive_keys_session(parse_keys_session_answer(answer))
        status, _ = await wire.post("/getTicket", following.to_body())
        return f"M3 {status}"

    return await send_all(plan, shoot)


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
