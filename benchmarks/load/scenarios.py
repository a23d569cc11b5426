"""An honest device's joins, first in quiet, then beside an attack; the master's memory and tables all the while."""

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any, Final

from benchmarks.core_join import CoreSlave
from benchmarks.http_joins import join_over
from benchmarks.joins import new_key
from benchmarks.load import attacks
from benchmarks.load.attacks import Answers, Plan
from benchmarks.load.master_control import RunningMaster, master_process
from benchmarks.load.wire import HOST
from group_protocol.errors import BusyError
from group_protocol.limits import HALF_OPEN_LIFETIME_S
from group_protocol.suites import Suite
from slave_client.transport import Transport

QUIET_JOINS: Final = 25
PAUSE_S: Final = 0.05
"""Between two honest joins: 20 a second, fewer than one address may make."""
SAMPLE_S: Final = 0.1
SETTLE_S: Final = 1.0
CODES: Final = 300
FACTOR_MAX: Final = 2.0
"""The target: a join takes at most so many times as long as in quiet."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One attack.

    Attributes:
        waits_for_expiry: Half-open sessions are left: wait until they have expired before memory is read, then fill
            the table once more, to see that memory is used again and does not grow.
        processes: So many processes attack, each from its share of the addresses.
    """

    name: str
    attack: str
    addresses: int
    count: int
    per_s: float
    for_s: float = 12.0
    waits_for_expiry: bool = False
    processes: int = 1


SCENARIOS: Final = (
    Scenario("10,000 half-open handshakes from one address", "half_open", 1, 10_000, 0),
    Scenario("10,000 half-open handshakes from 200 addresses", "half_open", 200, 10_000, 1_000),
    Scenario("the same, returning their cookies", "half_open_with_cookies", 200, 10_000, 1_000, waits_for_expiry=True),
    Scenario("1,000 wrong pairing proofs a second, one address", "wrong_proofs", 1, 6_000, 1_000, 6.0),
    Scenario("1,000 wrong pairing proofs a second, 50 addresses", "wrong_proofs", 50, 6_000, 1_000, 6.0, processes=2),
    Scenario("the same, 400 addresses", "wrong_proofs", 400, 6_000, 1_000, 6.0, processes=2),
    Scenario("8 KiB of nested JSON, 500 a second", "nested_json", 20, 3_000, 500, 6.0),
    Scenario("a member's CBOR with huge lengths, 300 a second", "hostile_cbor", 1, 1_800, 300, 6.0),
)


@dataclass(slots=True)
class Honest:
    """Joins of honest devices: wall-clock seconds of each that came through, and how often one was told to wait."""

    seconds: list[float] = field(default_factory=list)
    told_to_wait: int = 0


@dataclass(slots=True)
class Memory:
    """The master's, in MiB, and the most half-open sessions that were seen.

    ``again`` is after a second such attack, where there is one: Python keeps pages that it got, and fills them again.
    """

    before: float
    peak: float
    after: float = 0.0
    again: float | None = None
    half_open_peak: int = 0
    half_open_after: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one scenario showed. Milliseconds are wall clock: other work on the machine is in them."""

    name: str
    quiet_ms: float
    beside_ms: float
    beside_worst_ms: float
    joins_beside: int
    told_to_wait: int
    answers: dict[str, int]
    memory: Memory
    joins_afterwards: bool

    @property
    def factor(self) -> float:
        """How many times as long a join took; infinite if none came through."""
        return self.beside_ms / self.quiet_ms if self.joins_beside else float("inf")

    def as_json(self) -> dict[str, object]:
        """For the results file."""
        factor = round(self.factor, 2) if self.joins_beside else None
        return asdict(self) | {"factor": factor, "target": FACTOR_MAX}


async def run_scenario(scenario: Scenario) -> Outcome:
    """On a master of its own."""
    async with master_process() as master:
        codes = await master.make_codes(CODES)
        hostile_code = codes.pop()
        await _join_repeatedly(master, codes, lambda joined: joined < 5)
        quiet = await _join_repeatedly(master, codes, lambda joined: joined < QUIET_JOINS)
        memory = Memory(master.rss_mib, master.rss_mib)
        plan = Plan(master.port, scenario.addresses, scenario.count, scenario.per_s, scenario.for_s)
        attackers = [
            Attacker(scenario.attack, plan.share(number, scenario.processes), hostile_code)
            for number in range(scenario.processes)
        ]
        beside, answers = await _join_beside(attackers, master, codes, memory)
        await _settle(master, memory, waits_for_expiry=scenario.waits_for_expiry)
        if scenario.waits_for_expiry:
            await attack_of(scenario.attack, replace(plan, count=scenario.count // 4, per_s=0.0), hostile_code)
            memory.again = master.rss_mib
        afterwards = await _join_repeatedly(master, codes, lambda joined: joined < 3)
    return Outcome(
        name=scenario.name,
        quiet_ms=median(quiet.seconds) * 1e3,
        beside_ms=median(beside.seconds) * 1e3 if beside.seconds else 0.0,
        beside_worst_ms=max(beside.seconds, default=0.0) * 1e3,
        joins_beside=len(beside.seconds),
        told_to_wait=beside.told_to_wait,
        answers=dict(answers),
        memory=memory,
        joins_afterwards=len(afterwards.seconds) == 3,
    )


class Attacker:
    """A process that attacks by one plan."""

    def __init__(self, attack: str, plan: Plan, hostile_code: bytes) -> None:
        context = multiprocessing.get_context("spawn")
        self._begun, self._ended, self._for_s = context.Event(), context.Queue(), plan.for_s
        arguments = (attack, plan, hostile_code, self._begun, self._ended)
        self._process = context.Process(target=run_attack, args=arguments, daemon=True)

    async def begin(self) -> None:
        """Returns once it attacks."""
        self._process.start()
        await asyncio.to_thread(self._begun.wait)

    @property
    def is_at_it(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive() and self._ended.empty()

    async def answers(self) -> Answers:
        """What it got, once it has ended."""
        return await asyncio.to_thread(self._ended.get, timeout=self._for_s * 4)

    def end(self) -> None:
        """By force if it does not end by itself."""
        if self._process.pid is not None:
            self._process.join(5)
            self._process.kill()


async def _join_beside(
    attackers: Sequence[Attacker], master: RunningMaster, codes: list[bytes], memory: Memory
) -> tuple[Honest, Answers]:
    try:
        await asyncio.gather(*(attacker.begin() for attacker in attackers))
        has_ended = asyncio.Event()
        watching = asyncio.create_task(_watch(master, memory, has_ended))
        honest = await _join_repeatedly(master, codes, lambda _joined: any(attacker.is_at_it for attacker in attackers))
        has_ended.set()
        await watching
        return honest, _together([await attacker.answers() for attacker in attackers])
    finally:
        for attacker in attackers:
            attacker.end()


def _together(answers: Sequence[Answers]) -> Answers:
    """All answers, and the time of the process that took longest."""
    longest = max(one["milliseconds"] for one in answers)
    total = sum(answers, Counter[str]())
    total["milliseconds"] = longest
    return total


def run_attack(attack: str, plan: Plan, hostile_code: bytes, begun: Any, ended: Any) -> None:  # noqa: ANN401 - mp's types
    """The attacker's process."""
    begun.set()
    ended.put(asyncio.run(attack_of(attack, plan, hostile_code)))


def attack_of(attack: str, plan: Plan, hostile_code: bytes) -> Coroutine[None, None, Answers]:
    """The attack of this name."""
    match attack:
        case "half_open":
            return attacks.half_open(plan, returns_cookie=False)
        case "half_open_with_cookies":
            return attacks.half_open(plan, returns_cookie=True)
        case "wrong_proofs":
            return attacks.wrong_proofs(plan)
        case "nested_json":
            return attacks.nested_json(plan)
        case _:
            return attacks.hostile_cbor(plan, hostile_code)


async def _join_repeatedly(master: RunningMaster, codes: list[bytes], goes_on: Callable[[int], bool]) -> Honest:
    """One new H1 device after the other, as long as ``goes_on``. One that is told to wait asks again in a while."""
    honest = Honest()
    while codes and goes_on(len(honest.seconds)):
        slave = CoreSlave(Suite.H1, new_key(), codes.pop())
        began_s = time.monotonic()
        while goes_on(len(honest.seconds)):
            try:
                async with Transport(HOST, master.port) as transport:
                    await join_over(transport, slave)
            except BusyError:
                honest.told_to_wait += 1
                await asyncio.sleep(PAUSE_S * 4)
                continue
            honest.seconds.append(time.monotonic() - began_s)
            break
        await asyncio.sleep(PAUSE_S)
    return honest


async def _watch(master: RunningMaster, memory: Memory, has_ended: asyncio.Event) -> None:
    while not has_ended.is_set():
        memory.peak = max(memory.peak, master.rss_mib)
        state = await master.fetch_state()
        memory.half_open_peak = max(memory.half_open_peak, state["half_open"])
        await asyncio.sleep(SAMPLE_S)


async def _settle(master: RunningMaster, memory: Memory, *, waits_for_expiry: bool) -> None:
    await asyncio.sleep(HALF_OPEN_LIFETIME_S + SETTLE_S if waits_for_expiry else SETTLE_S)
    memory.after = master.rss_mib
    memory.half_open_after = (await master.fetch_state())["half_open"]


def smaller(scenario: Scenario, divisor: int) -> Scenario:
    """The same with less of it."""
    return replace(scenario, count=scenario.count // divisor, for_s=scenario.for_s / 3)
