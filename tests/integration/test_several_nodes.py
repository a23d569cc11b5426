"""A registry over several nodes by URL: one that lies, one that stalls, one of another chain; and over none at all."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain_gateway import GatewayConfig, ReplicaTimes, SenderTimes, Web3Registry, open_registry
from group_protocol.errors import ConfigurationError, RegistryUnavailable
from tests.attacks.lying_node import LyingNode, lying_node
from tests.registry_suite.backends import set_stage
from tests.registry_suite.signers import oid_of
from tests.support.anvil import run_anvil, write_key
from tests.support.waiting import until

pytestmark = [pytest.mark.anvil, pytest.mark.network, pytest.mark.processes]

SENDER = SenderTimes(rebroadcast_s=0.1, longest_poll_s=0.05)
REPLICA = ReplicaTimes(poll_interval_s=0.05, longest_backoff_s=0.2)


@pytest.fixture(scope="module")
def truth() -> Iterator[str]:
    with run_anvil() as url:
        yield url


@pytest.fixture
async def nodes(truth: str) -> AsyncIterator[tuple[LyingNode, LyingNode]]:
    """Two nodes of one chain, which tell the truth until they are told to lie."""
    async with lying_node(truth) as first, lying_node(truth) as second:
        yield first, second


@pytest.fixture
def config(nodes: tuple[LyingNode, LyingNode], tmp_path: Path) -> GatewayConfig:
    first, second = nodes
    return GatewayConfig(
        tmp_path / "gateway",
        url=first.url,
        further_urls=(second.url,),
        relayer_key_file=write_key(tmp_path / "relayer.key"),
        request_timeout_s=0.5,
        sender=SENDER,
        replica=REPLICA,
    )


def in_use(registry: Web3Registry) -> str:
    return next(report.name for report in registry.node_reports() if report.is_in_use)


async def test_registry_goes_on_when_its_first_node_stalls(
    config: GatewayConfig, nodes: tuple[LyingNode, LyingNode]
) -> None:
    first, second = nodes
    async with open_registry(config, time.time, deploy_if_missing=True) as registry:
        stage = await set_stage(registry)
        gid = stage.sign.gid_of("master")
        await registry.create_group(stage.sign.create_group("master"))
        assert in_use(registry) == first.url
        first.is_stalling = True
        await registry.associate(stage.sign.associate("slave", gid, master="master"))
        assert registry.membership().is_active_member(gid, oid_of("slave"))
        assert in_use(registry) == second.url
        assert [report.is_good for report in registry.node_reports()] == [False, True]


async def test_node_that_invents_a_revocation_of_nobody_is_left(
    config: GatewayConfig, nodes: tuple[LyingNode, LyingNode]
) -> None:
    first, second = nodes
    async with open_registry(config, time.time, deploy_if_missing=True) as registry:
        stage = await set_stage(registry)
        gid = stage.sign.gid_of("master")
        await registry.create_group(stage.sign.create_group("master"))
        await registry.associate(stage.sign.associate("slave", gid, master="master"))
        await registry.revoke(stage.sign.revoke(gid, oid_of("slave"), signer="master"))
        newest = await first.ask_truth("eth_getBlockByNumber", "latest", False)
        (log,) = await first.ask_truth("eth_getLogs", {"fromBlock": newest["number"], "toBlock": newest["number"]})
        # Once more: it contradicts what came before.
        first.lies["eth_getLogs"] = lambda params, told: [
            *told,
            log | {"blockNumber": params[0]["toBlock"], "logIndex": "0x63"},
        ]
        await registry.associate(stage.sign.associate("another", gid, master="master"))
        assert registry.membership().is_active_member(gid, oid_of("another"))
        assert in_use(registry) == second.url


async def test_node_of_another_chain_among_the_urls_is_never_used(config: GatewayConfig) -> None:
    with run_anvil("--chain-id", "31337", "--timestamp", "1700000000") as other:
        mixed = replace(config, further_urls=(other,))
        async with open_registry(mixed, time.time, deploy_if_missing=True) as registry:
            await until(lambda: "another chain" in registry.node_reports()[1].state)
        with pytest.raises(ConfigurationError, match="genesis"):
            async with open_registry(replace(config, url=other, further_urls=()), time.time):
                pass


async def test_registry_begins_with_what_it_knows_when_no_node_answers(
    config: GatewayConfig, nodes: tuple[LyingNode, LyingNode]
) -> None:
    async with open_registry(config, time.time, deploy_if_missing=True) as registry:
        stage = await set_stage(registry)
        gid = stage.sign.gid_of("master")
        await registry.create_group(stage.sign.create_group("master"))
        await registry.associate(stage.sign.associate("slave", gid, master="master"))
        late = stage.sign.associate("late", gid, master="master")
    for node in nodes:
        node.is_stalling = True
    with pytest.raises(RegistryUnavailable):
        async with open_registry(config, time.time):
            pass
    async with open_registry(config, time.time, may_be_away=True) as registry:
        assert registry.membership().is_active_member(gid, oid_of("slave"))
        with pytest.raises(RegistryUnavailable):
            await registry.check()
        for node in nodes:
            node.is_stalling = False
            node.answer_the_stalled()
        async with asyncio.timeout(30):
            while True:
                try:
                    await registry.associate(late)
                except RegistryUnavailable:
                    await asyncio.sleep(0.1)
                else:
                    break
        assert registry.membership().is_active_member(gid, oid_of("late"))
