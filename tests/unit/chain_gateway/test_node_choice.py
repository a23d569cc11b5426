"""Several nodes of one chain: who is asked, who is left, and who is never asked."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from web3 import AsyncWeb3

from chain_gateway import node_choice
from chain_gateway.endpoint import Endpoint, Standing, public_name
from chain_gateway.events import EventDecoder
from chain_gateway.node import ChainNode
from chain_gateway.node_choice import NodeChoice
from chain_gateway.replica import EventReplica
from group_protocol.errors import ConfigurationError, RegistryUnavailable
from group_protocol.ports import RegistryIdentity
from tests.support.contract_logs import CONTRACT
from tests.support.followed_chain import (
    ABI,
    QUICK,
    associated,
    created,
    oid,
    revoked,
    slaves,
)
from tests.support.model_node import CHAIN_ID, ModelNode, RpcFault
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_choice, "CHECK_S", 0.01)
    monkeypatch.setattr(node_choice, "BEHIND_S", 0.05)
    monkeypatch.setattr("chain_gateway.endpoint.FIRST_PENALTY_S", 0.05)


class Stage:
    """Model nodes under names, and the choice between them."""

    def __init__(self, **models: ModelNode) -> None:
        self.models = models
        endpoints = [
            Endpoint(AsyncWeb3(model), name, request_timeout_s=1.0, requests_at_once=8)
            for name, model in models.items()
        ]
        self.choice = NodeChoice(endpoints)
        self.node = ChainNode(self.choice)

    def states(self) -> dict[str, str]:
        return {report.name: report.state for report in self.choice.reports()}

    @property
    def in_use(self) -> str:
        return next(report.name for report in self.choice.reports() if report.is_in_use)


def twin_of(model: ModelNode) -> ModelNode:
    """Another node of the same chain, at the same head."""
    twin = ModelNode()
    twin.blocks = list(model.blocks)
    return twin


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Two nodes of one chain."""
    first = ModelNode()
    stage = Stage(first=first, second=twin_of(first))
    await stage.choice.open()
    yield stage
    await stage.choice.close()


async def test_first_is_asked_while_it_is_good(stage: Stage) -> None:
    for _ in range(5):
        await stage.node.fetch_head()
    assert stage.in_use == "first"
    assert "eth_gasPrice" not in stage.models["second"].asked


@pytest.mark.parametrize(
    "failure", [ConnectionRefusedError("down"), TimeoutError(), RpcFault(-32603, "internal error")], ids=type
)
async def test_question_that_a_node_fails_is_answered_by_the_next(stage: Stage, failure: Exception) -> None:
    stage.models["first"].fail_next("eth_getTransactionCount", failure)
    stage.models["second"].answers["eth_getTransactionCount"] = "0x7"
    assert await stage.node.fetch_tx_nonce(CONTRACT, pending=False) == 7
    assert stage.in_use == "second"


async def test_nonsense_is_a_failure_too(stage: Stage) -> None:
    stage.models["first"].answers["eth_chainId"] = "many"
    assert await stage.node.fetch_chain_id() == CHAIN_ID
    assert stage.in_use == "second"
    assert "many" in stage.states()["first"]


async def test_refusal_of_a_transaction_is_an_answer_and_no_failure(stage: Stage) -> None:
    stage.models["first"].fail_next("eth_sendRawTransaction", RpcFault(-32000, "nonce too low"))
    with pytest.raises(Exception, match="nonce too low"):
        await stage.node.send(b"\x02")
    assert stage.in_use == "first"
    assert "eth_sendRawTransaction" not in stage.models["second"].asked


async def test_node_that_failed_is_tried_again_and_serves_when_the_other_fails(stage: Stage) -> None:
    stage.models["first"].is_down = True
    await stage.node.fetch_head()
    assert stage.states()["first"].startswith("failing: ")
    stage.models["first"].is_down = False
    await until(lambda: stage.states()["first"] == "ok")
    stage.models["second"].is_down = True
    await stage.node.fetch_head()
    assert stage.in_use == "first"


async def test_when_no_node_answers_each_is_named(stage: Stage) -> None:
    for model in stage.models.values():
        model.is_down = True
    with pytest.raises(RegistryUnavailable, match=r"first: .*second: "):
        await stage.node.fetch_head()


async def test_node_that_stands_still_behind_the_others_is_left_and_good_again_when_it_caught_up(
    stage: Stage,
) -> None:
    for _ in range(node_choice.BEHIND_BLOCKS + 2):
        stage.models["second"].mine()
    await until(lambda: stage.states()["first"].startswith(Standing.BEHIND))
    assert (await stage.node.fetch_head()).number == len(stage.models["second"].blocks) - 1
    stage.models["first"].blocks = list(stage.models["second"].blocks)
    await until(lambda: stage.states()["first"] == "ok")


async def test_boaster_does_not_draw_us_from_a_node_that_goes_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_choice, "BEHIND_S", 3_600.0)
    for _ in range(100):
        stage.models["second"].mine()
    await until(lambda: stage.choice.reports()[1].head == 100)
    await stage.node.fetch_head()
    assert stage.in_use == "first"


async def test_node_of_another_chain_is_never_used() -> None:
    stage = Stage(first=ModelNode(), other=ModelNode(_branch=9))
    await stage.choice.open()
    stage.models["first"].is_down = True
    with pytest.raises(RegistryUnavailable):
        await stage.node.fetch_tx_nonce(CONTRACT, pending=False)
    assert set(stage.models["other"].asked) == {"eth_chainId", "eth_getBlockByNumber"}
    assert stage.states()["other"].startswith("of another chain: ")
    await stage.choice.close()


async def test_node_that_comes_back_with_another_chain_is_left() -> None:
    first, second = ModelNode(), ModelNode()
    stage = Stage(first=first, second=second)
    await stage.choice.open()
    first.is_down = True
    await stage.node.fetch_head()
    first.blocks, first._branch, first.is_down = [], 9, False
    first.mine()
    await until(lambda: stage.states()["first"].startswith("of another chain"))
    second.is_down = True
    with pytest.raises(RegistryUnavailable):
        await stage.node.fetch_head()
    await stage.choice.close()


async def test_only_nodes_of_another_chain_is_a_mistake_in_the_settings() -> None:
    known = NodeChoice([Endpoint(AsyncWeb3(ModelNode()), "a", request_timeout_s=1, requests_at_once=1)])
    await known.open()
    endpoint = Endpoint(AsyncWeb3(ModelNode(_branch=9)), "b", request_timeout_s=1, requests_at_once=1)
    with pytest.raises(ConfigurationError, match="genesis"):
        await NodeChoice([endpoint], known.mark).open()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://user:secret@node.example:8545/key?token=1", "http://node.example:8545"),
        ("https://[2001:db8::1]:8545", "https://[2001:db8::1]:8545"),
        ("https://node.example/v3/0123456789", "https://node.example"),
    ],
)
def test_name_of_a_node_holds_nothing_secret(url: str, name: str) -> None:
    assert public_name(url) == name


class TestReplica:
    """The event replica over several nodes."""

    @pytest.fixture
    async def over_two(self, tmp_path: Path) -> AsyncIterator[tuple[Stage, EventReplica]]:
        first = ModelNode()
        first.mine(created())
        first.mine(associated(1))
        stage = Stage(first=first, second=twin_of(first))
        await stage.choice.open()
        replica = EventReplica(
            stage.node,
            EventDecoder(ABI, CONTRACT),
            RegistryIdentity(CHAIN_ID, CONTRACT),
            path=tmp_path / "events.sqlite3",
            first_block=1,
            times=QUICK,
        )
        await replica.start()
        yield stage, replica
        await replica.close()
        await stage.choice.close()

    async def test_node_that_is_a_block_behind_takes_nothing_back(self, over_two: tuple[Stage, EventReplica]) -> None:
        stage, replica = over_two
        first, second = stage.models.values()
        await replica.wait_for_block(first.mine(associated(2)).number)
        first.is_down = True
        asked = second.asked.count("eth_getBlockByNumber")
        await until(lambda: second.asked.count("eth_getBlockByNumber") > asked + 5)
        assert slaves(replica) == {oid(1), oid(2)}
        second.blocks = list(first.blocks)
        await replica.wait_for_block(second.mine(associated(3)).number)
        assert slaves(replica) == {oid(1), oid(2), oid(3)}

    async def test_logs_and_head_come_from_one_node(self, over_two: tuple[Stage, EventReplica]) -> None:
        """The first tells of a block and falls before its logs; the second, a block behind, would have none of them."""
        stage, replica = over_two
        first, second = stage.models.values()
        first.fail_next("eth_getLogs", ConnectionResetError("fell"))
        block = first.mine(associated(2))
        await until(lambda: not first._faults["eth_getLogs"])
        await asyncio.sleep(0.02)
        assert slaves(replica) == {oid(1)}
        second.blocks = list(first.blocks)
        await replica.wait_for_block(block.number)
        assert slaves(replica) == {oid(1), oid(2)}

    async def test_node_whose_events_contradict_each_other_is_left_for_the_next(
        self, over_two: tuple[Stage, EventReplica]
    ) -> None:
        stage, replica = over_two
        first, second = stage.models.values()
        first.mine(revoked(99, epoch=7))  # of a device that never was
        await until(lambda: stage.states()["first"].startswith(Standing.LYING))
        second.mine()
        await replica.wait_for_block(second.mine(associated(2)).number)
        assert slaves(replica) == {oid(1), oid(2)}
