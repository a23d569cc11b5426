"""Whether two refusals can be told apart by how long they take: dudect's question, put to a running master.

Reparaz, Balasch, Verbauwhede, "Dude, is my code constant time?" (DATE 2017): two classes of inputs, in random turns in
one run, the slowest tenth of all left out, Welch's t of the rest; above 4.5 the classes are told apart. The clock is
the attacker's: wall time of a request over loopback, which is more than a network would show.
"""

import asyncio
import json
import logging
import math
import os
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, quantiles, variance
from typing import Any, Final

from benchmarks.machine import Description
from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import UnexpectedMessageError
from group_protocol.handshake import SlaveHandshake
from group_protocol.identifiers import Signature
from group_protocol.messages import REFUSAL_BODY, SealedRequest, parse_keys_session_answer
from group_protocol.pairing import derive_code_id
from group_protocol.tickets import IdentityProof, PairingProof
from tests.attacks.forged import lying_handshake
from tests.support.running_master import Bench, Device, running_master

SAMPLES: Final = 1_000
"""Of each class."""
TOLD_APART: Final = 4.5
"""dudect's threshold for Welch's t."""
_KEPT_PERCENT: Final = 90
_ROOMY: Final[Mapping[str, Any]] = {
    "handshakes_per_s": 1e6,
    "handshakes_burst": 10**7,
    "handshakes_per_address_per_s": 1e6,
    "handshakes_per_address_burst": 10**7,
    "half_open_max": 10**5,
    "half_open_per_address_max": 10**5,
    "cookie_threshold": 10**5,
}

Request = tuple[str, bytes]
"""Path and body."""
Prepare = Callable[[], Awaitable[Request]]
"""Makes a request that will be refused; what it costs to make is not measured."""


@dataclass(frozen=True, slots=True)
class Question:
    """Two kinds of refusal that an attacker can cause at will.

    Attributes:
        first, second: What is wrong in each.
        secret: What it would tell to tell them apart.
    """

    first: str
    second: str
    secret: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Microseconds of each class, without the slowest tenth, and Welch's t between them."""

    question: Question
    samples: int
    first_us: float
    second_us: float
    t: float

    @property
    def is_told_apart(self) -> bool:
        """By dudect's threshold, with so many samples."""
        return abs(self.t) > TOLD_APART

    @property
    def samples_needed(self) -> int | None:
        """Requests of each kind after which the threshold is passed, if the difference is what was measured."""
        return math.ceil(self.samples * (TOLD_APART / self.t) ** 2) if self.is_told_apart else None


def welch_t(first: Sequence[float], second: Sequence[float]) -> float:
    """Difference of the means over its standard error, for two classes of unequal variance."""
    error = math.sqrt(variance(first) / len(first) + variance(second) / len(second))
    return (fmean(first) - fmean(second)) / error if error else 0.0


def judge(question: Question, first_us: Sequence[float], second_us: Sequence[float]) -> Finding:
    """Leave out the slowest tenth of all, and compare."""
    limit_us = quantiles([*first_us, *second_us], n=100, method="inclusive")[_KEPT_PERCENT - 1]
    kept = [[value for value in values if value <= limit_us] for values in (first_us, second_us)]
    return Finding(question, min(map(len, kept)), fmean(kept[0]), fmean(kept[1]), welch_t(*kept))


class Attacker:
    """Makes requests that are refused, each for its own reason."""

    def __init__(self, bench: Bench, member: Device) -> None:
        self._bench = bench
        self._member = member
        self._code, self._tries = b"", 0

    def questions(self) -> dict[Question, tuple[Prepare, Prepare]]:
        """All of them; the first compares a refusal with itself, which has to come out as nothing."""
        enrolled = self._member.key
        return {
            Question("unknown code", "unknown code", "nothing: the control"): (self.unknown_code, self.unknown_code),
            Question("wrong proof of an open code", "unknown code", "that a 64-bit code id exists"): (
                self.wrong_proof,
                self.unknown_code,
            ),
            Question("unknown code", "no code", "nothing that the sender does not know"): (
                self.unknown_code,
                self.no_code,
            ),
            Question("M3 with a bad signature", "M3 that does not open", "nothing that the sender does not know"): (
                self.bad_signature,
                self.bad_seal,
            ),
            Question(
                "bad signature under a member's key", "the same under a stranger's", "whether a key is enrolled"
            ): (
                lambda: self.bad_signature(enrolled),
                self.bad_signature,
            ),
            Question("/data of a live session, bad seal", "/data of no session", "that a 128-bit sid is live"): (
                self.data_of_a_session,
                self.data_of_nobody,
            ),
        }

    async def unknown_code(self) -> Request:
        """M3 of a stranger whose code was never given."""
        return await self._m3(self._stranger(os.urandom(16)).begin())

    async def no_code(self) -> Request:
        """M3 of a stranger who has none."""
        return await self._m3(self._stranger(None).begin())

    async def wrong_proof(self) -> Request:
        """M3 that names an open code and does not prove it; four such, then another code."""
        if self._tries % 4 == 0:
            self._code = await self._bench.make_code()
        self._tries += 1

        def change(proof: IdentityProof) -> IdentityProof:
            pairing = PairingProof(derive_code_id(self._code), os.urandom(32))
            return replace(proof, pairing=pairing)

        return await self._m3(lying_handshake(self._stranger(self._code), change))

    async def bad_signature(self, claimed: PrivateKey | None = None) -> Request:
        """M3 that opens, with another key's signature under a key: its own, or one that is named."""
        other = PrivateKey.from_secret(os.urandom(32))

        def change(proof: IdentityProof) -> IdentityProof:
            key = proof.public_key if claimed is None else claimed.public_key
            return replace(proof, public_key=key, signature=Signature(other.sign_digest(os.urandom(32))))

        return await self._m3(lying_handshake(self._stranger(os.urandom(16)), change))

    async def bad_seal(self) -> Request:
        """M3 with one bit of its tag turned."""
        path, body = await self.unknown_code()
        return path, _spoil(SealedRequest.from_body(body)).to_body()

    async def data_of_a_session(self) -> Request:
        """A member's frame with one bit of its tag turned."""
        return "/data", _spoil(self._member.seal_items(self._member.record())).to_body()

    async def data_of_nobody(self) -> Request:
        """The same under a name that no session has."""
        sealed = self._member.seal_items(self._member.record())
        return "/data", replace(_spoil(sealed), sid=type(sealed.sid)(os.urandom(16))).to_body()

    def _stranger(self, code: bytes | None) -> Device:
        device = self._bench.device(1, code=code)
        device.key = PrivateKey.from_secret(os.urandom(32))
        return device

    async def _m3(self, handshake: SlaveHandshake) -> Request:
        answer = parse_keys_session_answer(await self._bench.exchange("/keysSession", handshake.start().to_body()))
        return "/getTicket", handshake.receive_keys_session(answer).to_body()


def _spoil(request: SealedRequest) -> SealedRequest:
    return replace(request, sealed=request.sealed[:-1] + bytes([request.sealed[-1] ^ 1]))


async def _ask(bench: Bench, question: Question, prepare: tuple[Prepare, Prepare], samples: int) -> Finding:
    turns = [0, 1] * samples
    random.Random(len(question.first)).shuffle(turns)  # noqa: S311 - the order of a measurement
    took_us: tuple[list[float], list[float]] = ([], [])
    for turn in turns:
        path, body = await prepare[turn]()
        began_s = time.perf_counter()
        status, answer = await bench.post(path, body)
        took_us[turn].append((time.perf_counter() - began_s) * 1e6)
        if (status, answer) != (400, REFUSAL_BODY):
            raise UnexpectedMessageError(f"status {status}: the request was not refused as it should be")
    return judge(question, *took_us)


async def measure_leaks(samples: int, report: Callable[[str], None]) -> list[Finding]:
    """Put every question to one master; ``samples`` requests of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_master(Path(folder), **_ROOMY) as bench:
            attacker = Attacker(bench, await bench.joined_device(2))
            findings = []
            for question, prepare in attacker.questions().items():
                report(f"{question.first} / {question.second}")
                findings.append(await _ask(bench, question, prepare, samples))
            return findings


def run_leaks(report: Callable[[str], None], *, divisor: int = 1) -> list[Finding]:
    """A minute or two. The master's log, a line for each refusal, is not shown."""
    logging.disable(logging.WARNING)
    return asyncio.run(measure_leaks(SAMPLES // divisor, report))


def write_leaks(path: Path, findings: Sequence[Finding], machine: Description) -> None:
    """As JSON, for the page."""
    rows = [
        asdict(finding) | {"told_apart": finding.is_told_apart, "samples_needed": finding.samples_needed}
        for finding in findings
    ]
    path.write_text(json.dumps({"machine": machine, "findings": rows}, indent=1, ensure_ascii=False) + "\n", "utf-8")
