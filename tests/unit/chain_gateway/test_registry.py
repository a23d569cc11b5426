"""A node that lies is found out: what it says is checked against what was asked for."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from web3 import AsyncWeb3
from web3.providers.async_base import AsyncBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from chain_gateway import Connection, GatewayConfig, SenderTimes, follow_contract
from chain_gateway.deploying import deploy_contract
from chain_gateway.embedded import open_embedded_chain
from chain_gateway.node import ChainNode
from chain_gateway.relayer_pool import RelayerPool
from chain_gateway.sender import TransactionSender
from contracts import load_artifact
from group_protocol.errors import ContractRefusal, RegistryInconsistent, RegistryUnavailable
from group_protocol.identifiers import GroupId
from tests.registry_suite.backends import Stage, set_stage
from tests.registry_suite.signers import oid_of

CHAIN_ID = 7
Lie = Callable[[Any], Any]


@dataclass
class LyingProvider(AsyncBaseProvider):
    """Passes questions on to an honest chain, and changes some answers."""

    honest: AsyncBaseProvider
    lies: dict[str, Lie] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        answer = await self.honest.make_request(method, params)
        lie = self.lies.get(method)
        if lie is not None and answer.get("result") is not None:
            answer["result"] = lie(answer["result"])
        return answer


@dataclass(frozen=True)
class Scene:
    stage: Stage
    gid: GroupId
    lies: dict[str, Lie]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """A group with one slave on an embedded chain, seen through a provider that may lie from here on."""
    chain = open_embedded_chain(tmp_path / "chain", chain_id=CHAIN_ID, now_unix_s=lambda: int(time.time()))
    provider = LyingProvider(chain.provider)
    node = ChainNode(AsyncWeb3(provider), request_timeout_s=10)
    sender = TransactionSender(node, chain.relayer, CHAIN_ID, SenderTimes())
    deployment, _ = await deploy_contract(node, sender, load_artifact())
    config, connection = GatewayConfig(tmp_path), Connection(node, RelayerPool([sender]), CHAIN_ID)
    async with follow_contract(config, connection, deployment) as registry:
        stage = await set_stage(registry)
        gid = stage.sign.gid_of("master")
        await registry.create_group(stage.sign.create_group("master"))
        await registry.associate(stage.sign.associate("slave", gid, master="master"))
        yield Scene(stage, gid, provider.lies)
    await sender.close()
    chain.close()


def change_logs(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Lie:
    return lambda receipt: receipt | {"logs": change(receipt["logs"])}


RECEIPT_LIES: dict[str, Lie] = {
    "no logs": change_logs(lambda logs: []),  # noqa: ARG005 - whatever they are
    "another contract's log": change_logs(lambda logs: [log | {"address": f"0x{'01' * 20}"} for log in logs]),
    "the log twice": change_logs(lambda logs: logs * 2),
    "another group": change_logs(
        lambda logs: [
            log | {"topics": [log["topics"][0], f"0x{'01' * 16}{'00' * 16}", *log["topics"][2:]]} for log in logs
        ]
    ),
    "another event": change_logs(lambda logs: [log | {"topics": [f"0x{'01' * 32}"]} for log in logs]),
}


@pytest.mark.parametrize("lie", RECEIPT_LIES.values(), ids=RECEIPT_LIES)
async def test_receipt_without_exactly_our_event_is_inconsistent(scene: Scene, lie: Lie) -> None:
    scene.lies["eth_getTransactionReceipt"] = lie
    with pytest.raises(RegistryInconsistent):
        await scene.stage.registry.revoke(scene.stage.sign.revoke(scene.gid, oid_of("slave"), signer="master"))


BATCH_LIES: dict[str, Lie] = {
    "one log less": change_logs(lambda logs: logs[1:]),
    "one log more": change_logs(lambda logs: [*logs, logs[0]]),
    "another order": change_logs(lambda logs: logs[::-1]),
}


@pytest.mark.parametrize("lie", BATCH_LIES.values(), ids=BATCH_LIES)
async def test_batch_receipt_without_one_event_for_each_item_is_inconsistent(scene: Scene, lie: Lie) -> None:
    sign = scene.stage.sign
    items = [
        sign.associate("new", scene.gid, master="master"),
        sign.associate("stranger", scene.gid, master="stranger"),
        sign.associate("newer", scene.gid, master="master"),
        sign.associate("strange", scene.gid, master="stranger"),
    ]
    scene.lies["eth_getTransactionReceipt"] = lie
    with pytest.raises(RegistryInconsistent):
        await scene.stage.registry.associate_batch(items)


async def test_receipt_of_another_transaction_is_unavailable(scene: Scene) -> None:
    scene.stage.registry._sender._senders[0]._times = SenderTimes(receipt_timeout_s=0.1)  # type: ignore[attr-defined]
    scene.lies["eth_getTransactionReceipt"] = lambda receipt: receipt | {"transactionHash": f"0x{'01' * 32}"}
    with pytest.raises(RegistryUnavailable):
        await scene.stage.registry.revoke(scene.stage.sign.revoke(scene.gid, oid_of("slave"), signer="master"))


async def test_transaction_said_to_be_reverted_for_no_reason_is_unavailable(scene: Scene) -> None:
    scene.lies["eth_getTransactionReceipt"] = lambda receipt: receipt | {"status": "0x0", "logs": []}
    with pytest.raises(RegistryUnavailable, match="reason that is gone"):
        await scene.stage.registry.anchor(scene.stage.sign.anchor(scene.gid, signer="master"))


async def test_transaction_said_to_be_reverted_gives_the_reason_that_a_replay_finds(scene: Scene) -> None:
    scene.lies["eth_getTransactionReceipt"] = lambda receipt: receipt | {"status": "0x0", "logs": []}
    with pytest.raises(ContractRefusal):
        await scene.stage.registry.revoke(scene.stage.sign.revoke(scene.gid, oid_of("slave"), signer="master"))


@pytest.mark.parametrize("output", ["0x", f"0x{'00' * 32}", f"0x{'00' * 31}02", f"0x{'00' * 31}"])
async def test_verification_that_answers_no_true_is_inconsistent(scene: Scene, output: str) -> None:
    proof = scene.stage.sign.exchange(scene.gid, oid_of("slave"), oid_of("master"), signer="slave")
    await scene.stage.registry.verify_exchange(proof)
    scene.lies["eth_call"] = lambda _: output
    with pytest.raises(RegistryInconsistent):
        await scene.stage.registry.verify_exchange(proof)


@pytest.mark.parametrize("output", ["0x", f"0x{'00' * 96}01", f"0x{'ff' * 128}"])
async def test_view_with_other_words_is_inconsistent(scene: Scene, output: str) -> None:
    scene.lies["eth_call"] = lambda _: output
    with pytest.raises(RegistryInconsistent):
        await scene.stage.registry.fetch_object(scene.gid, oid_of("slave"))


async def test_object_state_that_does_not_exist_is_inconsistent(scene: Scene) -> None:
    words = ["00" * 32, f"{'00' * 31}01", f"{'00' * 31}09", "00" * 32]
    # groupOf has three words and objectOf four; the same words serve both, for their group index is the same.
    scene.lies["eth_call"] = lambda honest: f"0x{''.join(words)}" if len(honest) == 2 + 4 * 64 else honest
    with pytest.raises(RegistryInconsistent, match="state 9"):
        await scene.stage.registry.fetch_object(scene.gid, oid_of("slave"))


async def test_registry_that_closes_keeps_nobody_waiting(tmp_path: Path) -> None:
    chain = open_embedded_chain(tmp_path / "chain", chain_id=CHAIN_ID, now_unix_s=lambda: int(time.time()))
    node = ChainNode(AsyncWeb3(chain.provider), request_timeout_s=10)
    sender = TransactionSender(node, chain.relayer, CHAIN_ID, SenderTimes())
    deployment, _ = await deploy_contract(node, sender, load_artifact())
    connection = Connection(node, RelayerPool([sender]), CHAIN_ID)
    async with follow_contract(GatewayConfig(tmp_path), connection, deployment) as registry:
        waiting = asyncio.create_task(registry._replica.wait_for_block(1_000))
        await asyncio.sleep(0)
    with pytest.raises(RegistryUnavailable, match="closed"):
        await waiting
    await sender.close()
    chain.close()
