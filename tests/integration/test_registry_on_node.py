"""The registry on a real node: reorganisations, lost transactions, a busy account, a node that dies."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from web3 import AsyncHTTPProvider, AsyncWeb3
from web3.types import RPCEndpoint

from chain_gateway import GatewayConfig, ReplicaTimes, SenderTimes, Web3Registry, open_registry
from group_protocol.errors import ConfigurationError, ContractRefusal, Reason, RegistryInconsistent, RegistryUnavailable
from group_protocol.identifiers import GroupId
from group_protocol.membership import Associated
from group_protocol.ports import Receipt
from tests.registry_suite.backends import Stage, set_stage
from tests.registry_suite.signers import oid_of
from tests.registry_suite.suite import later
from tests.support.anvil import RICH_KEY, run_anvil, write_key
from tests.support.waiting import until

pytestmark = [pytest.mark.anvil, pytest.mark.network, pytest.mark.processes]

RELAYER = Account.from_key(RICH_KEY)
SENDER = SenderTimes(receipt_timeout_s=60, rebroadcast_s=0.05, longest_poll_s=0.05)
REPLICA = ReplicaTimes(poll_interval_s=0.02)


@dataclass(frozen=True)
class Anvil:
    """A node that the test can command."""

    url: str

    async def ask(self, method: str, *params: object) -> Any:
        provider = AsyncHTTPProvider(self.url)
        try:
            return await AsyncWeb3(provider).manager.coro_request(RPCEndpoint(method), list(params))
        finally:
            await provider.disconnect()

    async def count_waiting(self) -> int:
        status = await self.ask("txpool_status")
        return int(status["pending"], 16) + int(status["queued"], 16)

    async def until_waiting(self, count: int) -> None:
        while await self.count_waiting() != count:  # noqa: ASYNC110 - the node tells nobody
            await asyncio.sleep(0.01)


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    with run_anvil() as url:
        yield Anvil(url)


@pytest.fixture
def config(anvil: Anvil, tmp_path: Path) -> GatewayConfig:
    key_file = write_key(tmp_path / "relayer.key")
    return GatewayConfig(tmp_path / "gateway", url=anvil.url, relayer_key_file=key_file, sender=SENDER, replica=REPLICA)


@asynccontextmanager
async def on_stage(config: GatewayConfig) -> AsyncIterator[tuple[Web3Registry, Stage]]:
    async with open_registry(config, time.time, deploy_if_missing=True) as registry:
        yield registry, await set_stage(registry)


async def create_group(stage: Stage) -> GroupId:
    return (await stage.registry.create_group(stage.sign.create_group("master"))).event.gid


async def test_reorganisation_takes_a_membership_back(anvil: Anvil, config: GatewayConfig) -> None:
    async with on_stage(config) as (registry, stage):
        gid = await create_group(stage)
        await registry.associate(stage.sign.associate("stays", gid, master="master"))
        await registry.associate(stage.sign.associate("goes", gid, master="master"))
        await anvil.ask("anvil_reorg", 1, [])
        await until(lambda: not registry.membership().is_active_member(gid, oid_of("goes")))
        assert registry.membership().is_active_member(gid, oid_of("stays"))
        await registry.associate(stage.sign.associate("goes", gid, master="master"))
        assert registry.membership().is_active_member(gid, oid_of("goes"))


async def test_reorganisation_while_closed_is_seen_at_start(anvil: Anvil, config: GatewayConfig) -> None:
    async with on_stage(config) as (registry, stage):
        gid = await create_group(stage)
        await registry.associate(stage.sign.associate("goes", gid, master="master"))
    await anvil.ask("anvil_reorg", 1, [])
    async with open_registry(config, time.time) as registry:
        assert not registry.membership().is_active_member(gid, oid_of("goes"))
        assert gid in registry.membership().groups


async def test_transaction_reverted_in_its_block_gives_the_reason(anvil: Anvil, config: GatewayConfig) -> None:
    async with on_stage(config) as (registry, stage):
        gid = await create_group(stage)
        await anvil.ask("evm_setAutomine", False)
        requests = [later(stage, seconds).associate("slave", gid, master="master") for seconds in range(2)]
        both = [asyncio.create_task(registry.associate_alone(request)) for request in requests]
        await anvil.until_waiting(2)
        await anvil.ask("evm_mine")
        outcomes = await asyncio.gather(*both, return_exceptions=True)
        # Which of the two is sent first, their simulations decide.
        (refusal,) = [outcome for outcome in outcomes if isinstance(outcome, ContractRefusal)]
        (receipt,) = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
        assert refusal.reason is Reason.OBJECT_ID_IN_USE
        assert isinstance(receipt.event, Associated)


async def test_transactions_in_flight_share_a_block(anvil: Anvil, config: GatewayConfig) -> None:
    async with on_stage(config) as (registry, stage):
        gid = await create_group(stage)
        await anvil.ask("evm_setAutomine", False)
        requests = [stage.sign.associate(f"device {number}", gid, master="master") for number in range(10)]
        sending = [asyncio.create_task(registry.associate_alone(request)) for request in requests]
        await anvil.until_waiting(10)
        await anvil.ask("evm_mine")
        receipts = await asyncio.gather(*sending)
        assert len({receipt.position.block_number for receipt in receipts}) == 1


async def test_dropped_transaction_is_sent_again(anvil: Anvil, config: GatewayConfig) -> None:
    async with on_stage(config) as (registry, stage):
        gid = await create_group(stage)
        await anvil.ask("evm_setAutomine", False)
        sending = asyncio.create_task(registry.associate(stage.sign.associate("slave", gid, master="master")))
        await anvil.until_waiting(1)
        await anvil.ask("anvil_dropAllTransactions")
        await anvil.until_waiting(1)
        await anvil.ask("evm_mine")
        await sending
        assert registry.membership().is_active_member(gid, oid_of("slave"))


async def test_account_that_somebody_else_uses_too_goes_on(anvil: Anvil, config: GatewayConfig) -> None:
    async with on_stage(config) as (registry, stage):
        gid = await create_group(stage)
        nonce = int(await anvil.ask("eth_getTransactionCount", RELAYER.address, "latest"), 16)
        fields = {
            "chainId": 31337,
            "nonce": nonce,
            "to": RELAYER.address,
            "value": 1,
            "gas": 21_000,
            "gasPrice": 10**10,
        }
        await anvil.ask("eth_sendRawTransaction", RELAYER.sign_transaction(fields).raw_transaction.to_0x_hex())
        await registry.associate(stage.sign.associate("slave", gid, master="master"))
        assert registry.membership().is_active_member(gid, oid_of("slave"))


async def test_second_gateway_in_the_same_folder_is_refused(config: GatewayConfig) -> None:
    async with on_stage(config):
        with pytest.raises(ConfigurationError, match="in use"):
            async with open_registry(config, time.time):
                pass


async def test_account_without_ether_is_named(anvil: Anvil, config: GatewayConfig) -> None:
    async with on_stage(config) as (registry, stage):
        await anvil.ask("anvil_setBalance", RELAYER.address, "0x0")
        with pytest.raises(RegistryUnavailable) as caught:
            await create_group(stage)
        assert registry.relayers[0].hex() in caught.value.remedy


async def test_node_that_dies_is_unavailable_and_the_membership_stays(tmp_path: Path) -> None:
    key_file = write_key(tmp_path / "relayer.key")
    with run_anvil() as url:
        config = GatewayConfig(tmp_path / "gateway", url=url, relayer_key_file=key_file, replica=REPLICA)
        opening = on_stage(config)
        registry, stage = await opening.__aenter__()
        gid = await create_group(stage)
    try:
        for attempt in (
            registry.fetch_identity(),
            registry.fetch_group(gid),
            registry.associate(stage.sign.associate("slave", gid, master="master")),
        ):
            with pytest.raises(RegistryUnavailable):
                await attempt
        assert gid in registry.membership().groups
    finally:
        await opening.__aexit__(None, None, None)


async def test_other_code_at_the_contracts_address_is_inconsistent(anvil: Anvil, config: GatewayConfig) -> None:
    async with on_stage(config) as (registry, _):
        identity = await registry.fetch_identity()
        await anvil.ask("anvil_setCode", f"0x{identity.contract.hex()}", "0x00")
        with pytest.raises(RegistryInconsistent):
            await registry.fetch_identity()
    with pytest.raises(RegistryInconsistent):
        async with open_registry(config, time.time):
            pass


async def test_node_without_base_fee_takes_legacy_transactions(tmp_path: Path) -> None:
    # Paris is the artifact's EVM version; before London there is no base fee, and this contract needs nothing newer.
    with run_anvil("--hardfork", "berlin", "--gas-price", "0") as url:
        key_file = write_key(tmp_path / "relayer.key")
        config = GatewayConfig(tmp_path / "gateway", url=url, relayer_key_file=key_file)
        async with on_stage(config) as (registry, stage):
            assert await create_group(stage) in registry.membership().groups
