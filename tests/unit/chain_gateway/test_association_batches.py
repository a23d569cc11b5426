"""When a batch leaves, and that each caller gets its own answer."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from chain_gateway.association_batches import AssociationBatcher
from chain_gateway.config import BatchTerms
from group_protocol.errors import ContractRefusal, Reason, RegistryInconsistent, RegistryUnavailable
from group_protocol.identifiers import GroupId
from group_protocol.membership import Associated, Membership
from group_protocol.ports import AssociationRequest, Receipt
from group_protocol.typed_data import TypedDataDomain
from tests.registry_suite.signers import Signers, oid_of
from tests.support.fake_registry import FAKE_IDENTITY, FakeRegistry

NOW_UNIX_S = 1_800_000_000
LONG_S = 30.0
SIGN = Signers(TypedDataDomain(FAKE_IDENTITY), NOW_UNIX_S + 60)
GID = SIGN.gid_of("master")


@dataclass
class Chain:
    """A registry in memory whose transactions stand in a block when the test says so."""

    registry: FakeRegistry = field(default_factory=lambda: FakeRegistry(lambda: NOW_UNIX_S))
    sent: list[int] = field(default_factory=list)
    called: int = 0
    gates: list[asyncio.Event] = field(default_factory=list)
    failure: Exception | None = None
    is_gated: bool = True

    async def _mine(self, size: int) -> None:
        self.sent.append(size)
        gate = asyncio.Event()
        self.gates.append(gate)
        if self.is_gated:
            await gate.wait()
        if self.failure is not None:
            raise self.failure

    async def associate_alone(self, request: AssociationRequest) -> Receipt:
        self.called += 1
        receipt = await self.registry.associate(request)  # what is refused makes no transaction
        await self._mine(1)
        return receipt

    async def associate_batch(self, requests: Sequence[AssociationRequest]) -> list[Receipt]:
        await self._mine(len(requests))
        return await self.registry.associate_batch(requests)

    def membership(self) -> Membership:
        if isinstance(self.failure, RegistryInconsistent):
            raise self.failure
        return self.registry.membership()


async def make(terms: BatchTerms, *, is_gated: bool = True) -> tuple[Chain, AssociationBatcher]:
    chain = Chain(is_gated=is_gated)
    await chain.registry.create_group(SIGN.create_group("master"))
    return chain, AssociationBatcher(chain, SIGN.domain, terms)


def wish(name: str, gid: GroupId = GID, master: str = "master") -> AssociationRequest:
    return SIGN.associate(name, gid, master=master)


def start(batcher: AssociationBatcher, *names: str) -> list[asyncio.Task[Receipt]]:
    return [asyncio.create_task(batcher.associate(wish(name))) for name in names]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)
    await asyncio.sleep(0.005)


async def test_lone_association_leaves_at_once_in_a_transaction_of_its_own() -> None:
    chain, batcher = await make(BatchTerms(window_s=LONG_S))
    (task,) = start(batcher, "a")
    await settle()
    assert (chain.sent, chain.called) == ([1], 1)
    chain.gates[0].set()
    assert isinstance((await task).event, Associated)
    await batcher.close()


async def test_those_who_come_in_one_turn_leave_together() -> None:
    chain, batcher = await make(BatchTerms(window_s=LONG_S))
    tasks = start(batcher, "a", "b", "c")
    await settle()
    assert (chain.sent, chain.called) == ([3], 0), "and no call came before it"
    chain.gates[0].set()
    assert [receipt.event.oid for receipt in await asyncio.gather(*tasks)] == [oid_of(name) for name in "abc"]  # type: ignore[union-attr]
    await batcher.close()


async def test_those_who_come_while_one_is_under_way_form_the_next_batch() -> None:
    chain, batcher = await make(BatchTerms(window_s=LONG_S))
    tasks = start(batcher, "a")
    await settle()
    tasks += start(batcher, "b")
    await settle()
    tasks += start(batcher, "c")
    await settle()
    assert chain.sent == [1]
    chain.gates[0].set()
    await settle()
    assert chain.sent == [1, 2]
    chain.gates[1].set()
    await asyncio.gather(*tasks)
    await batcher.close()


async def test_full_batch_does_not_wait_for_the_one_under_way() -> None:
    chain, batcher = await make(BatchTerms(window_s=LONG_S, size=2))
    start(batcher, "a", "b", "c", "d", "e")
    await settle()
    assert chain.sent == [2, 2]
    await batcher.close()


async def test_window_bounds_the_wait() -> None:
    chain, batcher = await make(BatchTerms(window_s=0.02))
    start(batcher, "a")
    await settle()
    start(batcher, "b", "c")
    await settle()
    assert chain.sent == [1]
    async with asyncio.timeout(5):
        while chain.sent != [1, 2]:  # noqa: ASYNC110 - the batcher tells nobody
            await asyncio.sleep(0.005)
    await batcher.close()


async def test_no_more_batches_than_allowed_are_under_way() -> None:
    chain, batcher = await make(BatchTerms(window_s=0.0, size=2, at_once=2))
    tasks = start(batcher, *"abcdefg")
    await settle()
    assert chain.sent == [2, 2]
    for number in range(4):
        chain.gates[number].set()
        await settle()
    assert chain.sent == [2, 2, 2, 1]
    await asyncio.gather(*tasks)
    await batcher.close()


async def test_each_gets_its_own_answer_and_what_the_fold_refuses_costs_no_transaction() -> None:
    chain, batcher = await make(BatchTerms(window_s=LONG_S), is_gated=False)
    late = SIGN.associate("late", GID, master="master", deadline_unix_s=1)
    wishes = [wish("a"), wish("x", GroupId(b"\x01" * 16)), late, wish("y", master="other"), wish("b")]
    outcomes = await asyncio.gather(*(batcher.associate(each) for each in wishes), return_exceptions=True)
    assert chain.sent[0] == 3, "the fold knows no deadlines; the contract does"
    reasons = [each.reason if isinstance(each, ContractRefusal) else Reason.NONE for each in outcomes]
    assert reasons == [
        Reason.NONE,
        Reason.UNKNOWN_GROUP,
        Reason.DEADLINE_PASSED,
        Reason.TOKEN_REFUSED,
        Reason.NONE,
    ]
    assert "deadline 1 (unix" in str(outcomes[2])
    await batcher.close()


async def test_one_device_is_under_way_once_at_a_time() -> None:
    chain, batcher = await make(BatchTerms(window_s=LONG_S), is_gated=False)
    receipts = await asyncio.gather(*(batcher.associate(wish("a")) for _ in range(4)))
    assert len({receipt.event for receipt in receipts}) == 1, "who asks again is told of the first time"
    assert (batcher.waiting, chain.called) == (0, 4), "one after the other, none in a batch with another"
    await batcher.close()


async def test_failure_of_a_batch_reaches_everybody_in_it_and_nobody_else() -> None:
    chain, batcher = await make(BatchTerms(window_s=LONG_S))
    tasks = start(batcher, "a", "b")
    await settle()
    chain.failure = RegistryUnavailable("the node is away")
    chain.gates[0].set()
    assert [type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)] == [RegistryUnavailable] * 2
    chain.failure, chain.is_gated = None, False
    assert isinstance((await batcher.associate(wish("a"))).event, Associated)
    await batcher.close()


async def test_caller_that_gives_up_before_its_batch_left_takes_its_request_back() -> None:
    chain, batcher = await make(BatchTerms(window_s=LONG_S))
    (first,) = start(batcher, "a")
    await settle()
    second, third = start(batcher, "b", "c")
    await settle()
    second.cancel()
    chain.gates[0].set()
    await settle()
    assert chain.sent == [1, 1]
    chain.gates[1].set()
    await asyncio.gather(first, third)
    assert oid_of("b") not in chain.registry.membership().objects
    await batcher.close()


async def test_caller_that_gives_up_afterwards_harms_nobody() -> None:
    chain, batcher = await make(BatchTerms(window_s=LONG_S))
    first, second = start(batcher, "a", "b")
    await settle()
    first.cancel()
    chain.gates[0].set()
    assert isinstance((await second).event, Associated)
    assert oid_of("a") in chain.registry.membership().objects
    await batcher.close()


async def test_contradicting_events_refuse_everybody() -> None:
    chain, batcher = await make(BatchTerms(window_s=LONG_S))
    chain.failure = RegistryInconsistent("the node lies")
    with pytest.raises(RegistryInconsistent):
        await batcher.associate(wish("a"))
    await batcher.close()


async def test_closing_tells_those_who_wait() -> None:
    _, batcher = await make(BatchTerms(window_s=LONG_S))
    tasks = start(batcher, "a")
    await settle()
    tasks += start(batcher, "b")
    await settle()
    await batcher.close()
    assert [type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)] == [RegistryUnavailable] * 2
    with pytest.raises(RegistryUnavailable):
        await batcher.associate(wish("c"))
