"""A device that joins as slaves do, from a loopback address of its own, and looks at the clock."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from benchmarks.core_join import STEPS, CoreSlave
from benchmarks.joins import new_key
from benchmarks.load.wire import Wire, loopback_address
from group_protocol.identifiers import derive_object_id
from group_protocol.messages import SealedAnswer
from group_protocol.ports import RegistryIdentity
from group_protocol.suites import Suite
from group_protocol.tickets import AssociationCall, MembershipState, RegistryResult
from group_protocol.typed_data import TypedDataDomain

_Result = TypeVar("_Result")

GIVE_UP_S: Final = 300.0
ATTEMPTS_MAX: Final = 10
_BUSY_PAUSE_S: Final = 0.5
_BUSY: Final = (0, 429, 503)
"""No answer in time, and the two statuses that say: later."""


@dataclass(frozen=True, slots=True)
class Join:
    """One device's way into the group. Seconds of the wall clock; ``began_s`` and ``ended_s`` are monotonic.

    Attributes:
        slave_crypto_s: The device's own computation.
        answers_s: Waiting for M2 and M4.
        association_s: Waiting for the last M6, from the first M5 on.
        repeats: How often it was told to come again, or that its association is pending.
    """

    oid: str
    sid: str
    began_s: float
    ended_s: float
    slave_crypto_s: float
    answers_s: float
    association_s: float
    repeats: int

    @property
    def seconds(self) -> float:
        """From before M1 to after M6."""
        return self.ended_s - self.began_s


class RefusedJoin(Exception):
    """The master said no."""


class ChainSlave(CoreSlave):
    """The core's slave for a contract that M4 names, which asks again while its association is pending."""

    def __init__(self, code: bytes, identity: RegistryIdentity) -> None:
        self.key = new_key()
        super().__init__(Suite.H1, self.key, code)
        self.domain = TypedDataDomain(identity)
        self._call = b""

    @property
    def oid(self) -> str:
        """In hex."""
        return derive_object_id(self.key.address).hex()

    @property
    def sid(self) -> str:
        """In hex, once M2 was taken."""
        return self._handshake.session.sid.hex()

    def _associate(self, answer: bytes) -> bytes:
        self._ticket = ticket = self._handshake.receive_ticket(SealedAnswer.from_body(answer))
        digest = self.domain.association_digest(ticket.gid, ticket.token, ticket.deadline_unix_s)
        self._call = AssociationCall(ticket.token, self.key.sign_digest(digest), ticket.deadline_unix_s).encode()
        self.path = STEPS[2]
        return self.ask_to_associate()

    def ask_to_associate(self) -> bytes:
        """M5, under the next seq."""
        request = self._handshake.session.control.seal_request(self._call)
        self._seq = request.seq
        return request.to_body()

    def hear(self, answer: bytes) -> RegistryResult:
        """M6."""
        opened = self._handshake.session.control.open_answer(self._seq, SealedAnswer.from_body(answer))
        return RegistryResult.decode(opened)


async def join(port: int, number: int, code: bytes, identity: RegistryIdentity) -> tuple[Join, ChainSlave]:
    """M1 to M6 of a new device; asks again when told to, and begins again where it was refused, as slaves do.

    Raises:
        TimeoutError: It is no member after five minutes.
        RefusedJoin: It was refused time and again.
    """
    slave, clock, began_s = ChainSlave(code, identity), _Clock(), time.monotonic()
    async with asyncio.timeout(GIVE_UP_S), Wire(port, loopback_address(number), answer_timeout_s=60.0) as wire:
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                await _associate(wire, slave, await _shake_hands(wire, slave, clock), clock)
                break
            except RefusedJoin:
                # Its half-open session has expired, for instance: on a master that is that busy, M3 may come too late.
                if attempt == ATTEMPTS_MAX:
                    raise
                clock.repeats += 1
                await asyncio.sleep(_BUSY_PAUSE_S)
    joined = Join(
        oid=slave.oid,
        sid=slave.sid,
        began_s=began_s,
        ended_s=time.monotonic(),
        slave_crypto_s=clock.crypto_s,
        answers_s=clock.answers_s,
        association_s=clock.association_s,
        repeats=clock.repeats,
    )
    return joined, slave


async def _shake_hands(wire: Wire, slave: ChainSlave, clock: "_Clock") -> bytes:
    """M1 to M4, and M1R if it comes; the M5 to send."""
    body = clock.time_crypto(slave.first)
    while slave.path != STEPS[2]:
        answer, waited_s = await _post(wire, slave.path, body, clock)
        clock.answers_s += waited_s
        body = clock.time_crypto(partial(slave.take, answer))
    return body


async def _associate(wire: Wire, slave: ChainSlave, body: bytes, clock: "_Clock") -> None:
    """M5 and M6, until the device is a member."""
    while True:
        answer, waited_s = await _post(wire, slave.path, body, clock)
        clock.association_s += waited_s
        result = clock.time_crypto(partial(slave.hear, answer))
        if result.state is MembershipState.ACTIVE:
            return
        if result.state is not MembershipState.PENDING:
            raise RefusedJoin(result.reason.name)
        clock.repeats += 1
        body = clock.time_crypto(slave.ask_to_associate)


class _Clock:
    """What one device's join is made of."""

    def __init__(self) -> None:
        self.crypto_s = self.answers_s = self.association_s = 0.0
        self.repeats = 0

    def time_crypto(self, compute: Callable[[], _Result]) -> _Result:
        """Run it, and add the time."""
        began_s = time.perf_counter()
        try:
            return compute()
        finally:
            self.crypto_s += time.perf_counter() - began_s


async def _post(wire: Wire, path: str, body: bytes, clock: _Clock) -> tuple[bytes, float]:
    """The answer, and how long it took, with all times that the master said: later."""
    began_s = time.monotonic()
    while True:
        status, answer = await wire.post(path, body)
        if status not in _BUSY:
            break
        clock.repeats += 1
        await asyncio.sleep(_BUSY_PAUSE_S)
    if status != 200:
        raise RefusedJoin(f"{path} was answered {status}: {answer!r}")
    return answer, time.monotonic() - began_s
