"""A registry is put together from settings, or says which setting is wrong."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from chain_gateway import Deployment, GatewayConfig, deploy, known_deployment, open_registry
from chain_gateway.composition import DEPLOYMENT_FILE
from chain_gateway.deployment import write_deployment
from chain_gateway.embedded import ChainLocked
from group_protocol.errors import ConfigurationError, RegistryInconsistent
from group_protocol.identifiers import Address
from group_protocol.ports import RegistryIdentity


@pytest.fixture
def config(tmp_path: Path) -> GatewayConfig:
    return GatewayConfig(tmp_path / "gateway")


async def open_and_close(config: GatewayConfig) -> None:
    async with open_registry(config, time.time):
        pass


async def test_without_a_contract_the_remedy_is_to_deploy(config: GatewayConfig) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await open_and_close(config)
    assert "vgroup chain deploy" in caught.value.remedy


async def test_deployed_contract_is_found_again(config: GatewayConfig) -> None:
    deployment, gas = await deploy(config, time.time)
    assert gas > 0
    assert known_deployment(config) == deployment
    async with open_registry(config, time.time) as registry:
        assert await registry.fetch_identity() == deployment.identity


async def test_second_deployment_is_refused(config: GatewayConfig) -> None:
    await deploy(config, time.time)
    with pytest.raises(ConfigurationError) as caught:
        await deploy(config, time.time)
    assert DEPLOYMENT_FILE in caught.value.remedy


async def test_contract_named_in_the_configuration_is_used(config: GatewayConfig) -> None:
    deployment, _ = await deploy(config, time.time)
    (config.directory / DEPLOYMENT_FILE).unlink()
    named = replace(config, contract=deployment.identity.contract)
    async with open_registry(named, time.time) as registry:
        assert await registry.fetch_identity() == deployment.identity


async def test_address_without_our_contract_is_inconsistent(config: GatewayConfig) -> None:
    with pytest.raises(RegistryInconsistent):
        await open_and_close(replace(config, contract=Address(b"\x01" * 20)))


async def test_record_of_another_chain_is_a_configuration_error(config: GatewayConfig) -> None:
    deployment, _ = await deploy(config, time.time)
    elsewhere = RegistryIdentity(deployment.identity.chain_id + 1, deployment.identity.contract)
    write_deployment(config.directory / DEPLOYMENT_FILE, Deployment(elsewhere, 1))
    with pytest.raises(ConfigurationError, match="stands on chain"):
        await open_and_close(config)


async def test_other_chain_id_than_the_chains_is_a_configuration_error(config: GatewayConfig) -> None:
    await deploy(config, time.time)
    with pytest.raises(ConfigurationError):
        await open_and_close(replace(config, chain_id=5))


async def test_directory_in_use_is_a_configuration_error(config: GatewayConfig) -> None:
    await deploy(config, time.time)
    async with open_registry(config, time.time):
        with pytest.raises(ChainLocked):
            await open_and_close(config)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:8545", "ws://127.0.0.1:8546", ""])
async def test_url_of_other_kind_is_a_configuration_error(config: GatewayConfig, url: str) -> None:
    with pytest.raises(ConfigurationError, match="http"):
        await open_and_close(replace(config, url=url))


async def test_url_without_a_key_is_a_configuration_error(config: GatewayConfig) -> None:
    with pytest.raises(ConfigurationError, match=r"relayer\.key"):
        await open_and_close(replace(config, url="http://127.0.0.1:9"))


async def test_directory_is_the_owners_alone(config: GatewayConfig) -> None:
    await deploy(config, time.time)
    assert config.directory.stat().st_mode & 0o777 == 0o700
