"""Putting a registry together: from a :class:`GatewayConfig` to something that is open, and closed again in the end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from eth_account.signers.local import LocalAccount
from web3 import AsyncWeb3

from chain_gateway.acts import BATCH_GAS_LIMIT, BATCH_ITEM_GAS_LIMIT
from chain_gateway.config import EMBEDDED_CHAIN_ID, BatchTerms, GatewayConfig
from chain_gateway.contract_abi import ContractAbi
from chain_gateway.contract_check import check_contract
from chain_gateway.deploying import deploy_contract
from chain_gateway.deployment import Deployment, read_deployment, write_deployment
from chain_gateway.embedded import open_embedded_chain
from chain_gateway.embedded.lock import DirectoryLock
from chain_gateway.events import EventDecoder
from chain_gateway.journal import TransactionJournal
from chain_gateway.node import ChainNode
from chain_gateway.node_connections import open_node_choice, require_urls
from chain_gateway.private_files import read_relayer
from chain_gateway.registry import Web3Registry
from chain_gateway.relayer_pool import RelayerPool
from chain_gateway.replica import EventReplica
from chain_gateway.sender import TransactionSender
from contracts import load_artifact
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, RegistryUnavailable
from group_protocol.limits import ASSOCIATION_BATCH_MAX
from group_protocol.ports import RegistryIdentity

EMBEDDED_DIRECTORY = "chain"
DEPLOYMENT_FILE = "deployment.json"
REPLICA_FILE = "events.sqlite3"
JOURNAL_FILE = "transactions.sqlite3"
RELAYER_KEY_FILE = "relayer.key"
LOCK_FILE = "gateway.lock"

Now = Callable[[], float]
"""Wall-clock seconds since 1970. The embedded chain dates its blocks by it."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A chain that answers, and the accounts to send from."""

    node: ChainNode
    sender: RelayerPool
    chain_id: int


@asynccontextmanager
async def open_registry(
    config: GatewayConfig, now_unix_s: Now, *, deploy_if_missing: bool = False, may_be_away: bool = False
) -> AsyncIterator[Web3Registry]:
    """A registry for as long as the context lasts; its replica has caught up with the chain.

    Args:
        config: Which chain, contract and account.
        now_unix_s: The clock.
        deploy_if_missing: Deploy the contract if the configuration and the directory name none.
        may_be_away: If no node of a known chain answers, begin with what the directory holds, and catch up later.

    Raises:
        ConfigurationError: A setting or file is missing or wrong, or another process has the directory.
        RegistryUnavailable: The chain cannot be reached.
        RegistryInconsistent: Another contract or chain than the one remembered.
    """
    async with open_connection(config, now_unix_s, may_be_away=may_be_away) as connection:
        deployment = await _find_deployment(config, connection, deploy_if_missing=deploy_if_missing)
        async with follow_contract(config, connection, deployment, may_be_away=may_be_away) as registry:
            yield registry


@asynccontextmanager
async def follow_contract(
    config: GatewayConfig, connection: Connection, deployment: Deployment, *, may_be_away: bool = False
) -> AsyncIterator[Web3Registry]:
    """The registry of one deployment over a chain that is open already. Raises what :func:`open_registry` does."""
    artifact = load_artifact()

    async def verify() -> None:
        await check_contract(connection.node, artifact, deployment.identity)

    is_verified = True
    try:
        await verify()
    except RegistryUnavailable:
        if not may_be_away:
            raise
        is_verified = False
    abi = ContractAbi.from_json(artifact.abi)
    replica = EventReplica(
        connection.node,
        EventDecoder(abi, deployment.identity.contract),
        deployment.identity,
        path=config.directory / REPLICA_FILE,
        first_block=deployment.block_number,
        times=config.replica,
        confirmations=config.confirmations,
        verify=None if is_verified else verify,
    )
    try:
        await replica.start(may_be_away=may_be_away)
        registry = Web3Registry(
            node=connection.node,
            artifact=artifact,
            abi=abi,
            identity=deployment.identity,
            sender=connection.sender,
            replica=replica,
            batches=await _fitting_blocks(config.batches, connection.node) if is_verified else config.batches,
            first_block=deployment.block_number,
        )
        try:
            yield registry
        finally:
            await registry.close()
    finally:
        await replica.close()


async def _fitting_blocks(terms: BatchTerms, node: ChainNode) -> BatchTerms:
    """Batches of which each fits into one block of this chain, with room left for others' transactions."""
    gas_limit = (await node.fetch_head()).gas_limit
    fitting = (gas_limit * 3 // 4 - BATCH_GAS_LIMIT) // BATCH_ITEM_GAS_LIMIT
    return replace(terms, size=max(1, min(terms.size, fitting, ASSOCIATION_BATCH_MAX)))


async def deploy(config: GatewayConfig, now_unix_s: Now) -> tuple[Deployment, int]:
    """Deploy the contract and remember where it stands; also the gas that it took.

    Raises:
        ConfigurationError: A contract is remembered already.
        RegistryUnavailable: The chain cannot be reached.
    """
    known = known_deployment(config)
    if known is not None:
        raise ConfigurationError(
            f"the contract stands at 0x{known.identity.contract.hex()} already",
            remedy=f"To begin anew, with no group, move {config.directory / DEPLOYMENT_FILE} away.",
            code=ErrorCode.CONTRACT_DEPLOYED_ALREADY,
        )
    async with open_connection(config, now_unix_s) as connection:
        return await _deploy(config, connection)


def known_deployment(config: GatewayConfig) -> Deployment | None:
    """The deployment that the directory remembers. Raises ConfigurationError for a damaged record."""
    return read_deployment(config.directory / DEPLOYMENT_FILE)


def require_same_chain(deployment: Deployment, connection: Connection) -> Deployment:
    """The deployment, if it is on this chain. Raises ConfigurationError if not."""
    if deployment.identity.chain_id != connection.chain_id:
        raise ConfigurationError(
            f"the contract stands on chain {deployment.identity.chain_id}, and this is chain {connection.chain_id}",
            remedy="Name the chain that it was deployed on, or use another data folder.",
            code=ErrorCode.WRONG_CHAIN,
        )
    return deployment


@asynccontextmanager
async def open_connection(
    config: GatewayConfig, now_unix_s: Now, *, may_be_away: bool = False
) -> AsyncIterator[Connection]:
    """The chain and the relayer's account, for as long as the context lasts.

    Raises:
        ConfigurationError: See :func:`open_registry`.
        RegistryUnavailable: The chain cannot be reached.
    """
    async with AsyncExitStack() as stack:
        lock = await asyncio.to_thread(_lock_directory, config.directory)
        stack.callback(lock.release)
        if config.url is None:
            node, accounts, chain_id = await _open_embedded(config, now_unix_s, stack)
        else:
            node, accounts, chain_id = await _open_by_url(config, stack, may_be_away=may_be_away)
        if config.chain_id not in (None, chain_id):
            raise ConfigurationError(
                f"the chain has id {chain_id}, not {config.chain_id}",
                remedy="Correct the chain id or the URL.",
                code=ErrorCode.WRONG_CHAIN,
            )
        journal = await TransactionJournal.open(config.directory / JOURNAL_FILE)
        stack.push_async_callback(journal.close)
        pool = RelayerPool(
            [
                TransactionSender(
                    node, account, chain_id, config.sender, journal=journal, confirmations=config.confirmations
                )
                for account in accounts
            ]
        )
        stack.push_async_callback(pool.close)
        await pool.start()
        yield Connection(node, pool, chain_id)


def _lock_directory(directory: Path) -> DirectoryLock:
    """One process at a time: two senders or two replicas would break each other's count."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return DirectoryLock.acquire(directory / LOCK_FILE)


async def _open_embedded(
    config: GatewayConfig, now_unix_s: Now, stack: AsyncExitStack
) -> tuple[ChainNode, list[LocalAccount], int]:
    chain = await asyncio.to_thread(
        open_embedded_chain,
        config.directory / EMBEDDED_DIRECTORY,
        chain_id=config.chain_id or EMBEDDED_CHAIN_ID,
        now_unix_s=lambda: int(now_unix_s()),
    )
    stack.push_async_callback(asyncio.to_thread, chain.close)
    node = ChainNode(
        AsyncWeb3(chain.provider),
        request_timeout_s=config.request_timeout_s,
        requests_at_once=config.requests_at_once,
    )
    # One account is enough: the chain mines whatever waits at once, in one thread.
    return node, [chain.relayer], await node.fetch_chain_id()


async def _open_by_url(
    config: GatewayConfig, stack: AsyncExitStack, *, may_be_away: bool
) -> tuple[ChainNode, list[LocalAccount], int]:
    require_urls(config)
    key_file = config.relayer_key_file or config.directory / RELAYER_KEY_FILE
    key_files = (key_file, *config.more_relayer_key_files)
    accounts = await asyncio.to_thread(lambda: [read_relayer(path) for path in key_files])
    choice = await open_node_choice(config, stack, may_be_away=may_be_away)
    if choice.mark is None:
        raise RegistryUnavailable("no node of the chain answers", code=ErrorCode.WRONG_CHAIN)
    return ChainNode(choice), accounts, choice.mark.chain_id


async def _find_deployment(config: GatewayConfig, connection: Connection, *, deploy_if_missing: bool) -> Deployment:
    if config.contract is not None:
        return Deployment(RegistryIdentity(connection.chain_id, config.contract), config.contract_block)
    known = known_deployment(config)
    if known is not None:
        return require_same_chain(known, connection)
    if not deploy_if_missing:
        raise ConfigurationError(
            "no contract is deployed yet",
            remedy="Run `vgroup chain deploy`, or name the contract's address.",
            code=ErrorCode.CONTRACT_NOT_DEPLOYED,
        )
    deployment, _ = await _deploy(config, connection)
    return deployment


async def _deploy(config: GatewayConfig, connection: Connection) -> tuple[Deployment, int]:
    deployment, gas = await deploy_contract(connection.node, connection.sender, load_artifact())
    await asyncio.to_thread(write_deployment, config.directory / DEPLOYMENT_FILE, deployment)
    return deployment, gas
