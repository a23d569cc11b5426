"""Opening a register through a remote gateway: from :class:`RemoteConfig` to a RemoteRegistry, and closed again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from chain_gateway.config import ReplicaTimes
from chain_gateway.contract_abi import ContractAbi
from chain_gateway.contract_check import check_contract
from chain_gateway.deployment import Deployment, read_deployment, write_deployment
from chain_gateway.events import EventDecoder
from chain_gateway.remote.client import Credentials, GatewayClient
from chain_gateway.remote.reader import RemoteChain, understood
from chain_gateway.remote.registry import RemoteRegistry
from chain_gateway.remote.second_node import SecondNode, VerifiedChain
from chain_gateway.remote.wire import decode
from chain_gateway.replica import EventReplica
from contracts import load_artifact
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, RegistryInconsistent, RegistryUnavailable
from group_protocol.identifiers import Address
from group_protocol.ports import RegistryIdentity
from system_ports.private_files import mode_open_to_others

REPLICA_FILE = "remote_events.sqlite3"
PIN_FILE = "remote_contract.json"
"""Which contract the first gateway stood for; no later one may stand for another."""
TOKEN_MIN_CHARACTERS = 32
_REMEDY = "Put the token there that `vgroup gateway token` printed on the gateway's machine, and chmod 600 it."


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """Which gateway, as whom, and what it is held against."""

    directory: Path
    """For this machine's replica of the events, and the contract's address. Made with mode 0700 where it is missing."""

    url: str
    """http(s) URL of ``vgroup gateway run``."""

    credentials: Credentials = field(default_factory=Credentials, repr=False)
    """Key or token."""

    contract: Address | None = None
    """20 bytes: the contract that the gateway has to stand for. None: the one that it stood for the first time."""

    contract_block: int = 0
    """A block at or before ``contract``'s deployment. 0 with no ``contract``: as the gateway says."""

    verify_rpc: str | None = None
    """URL of a second node's JSON-RPC, with which all that the gateway tells is compared. None: its word is held
    against itself alone."""

    confirmations: int = 0
    """Blocks above its own from which an association counts here; at most what the gateway waits for."""

    request_timeout_s: float = 10.0
    """For one request that waits for no block."""

    act_timeout_s: float = 90.0
    """For an act: it stands in a block before the gateway answers."""

    replica: ReplicaTimes = field(default_factory=ReplicaTimes)


@asynccontextmanager
async def open_remote_registry(config: RemoteConfig) -> AsyncIterator[RemoteRegistry]:
    """A registry for as long as the context lasts; its replica has caught up with what the gateway tells.

    Raises:
        ConfigurationError: A setting or file is missing or wrong.
        RegistryUnavailable: The gateway cannot be reached or refuses this caller.
        RegistryInconsistent: It stands for another contract, or contradicts itself or the second node.
    """
    for url, name in ((config.url, "gateway"), (config.verify_rpc, "verify_rpc")):
        if url is not None and urlsplit(url).scheme not in ("http", "https"):
            raise ConfigurationError(
                f"{name} is no http or https URL",
                remedy="For instance http://10.0.0.5:3080",
                code=ErrorCode.SETTING_WRONG,
            )
    config.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    abi = ContractAbi.from_json(load_artifact().abi)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            GatewayClient(
                config.url,
                config.credentials,
                request_timeout_s=config.request_timeout_s,
                act_timeout_s=config.act_timeout_s,
            )
        )
        second = None
        if config.verify_rpc is not None:
            node = SecondNode(config.verify_rpc, request_timeout_s=config.request_timeout_s)
            second = await stack.enter_async_context(node)
        known = await asyncio.to_thread(read_deployment, config.directory / PIN_FILE)

        async def verify() -> Deployment:
            deployment = await _ask_deployment(config, client, known)
            if second is not None:
                await _check_second(second, deployment)
            return deployment

        async def verify_later() -> None:
            await verify()

        is_verified, deployment = True, known
        try:
            deployment = await verify()
        except RegistryUnavailable:
            if known is None:
                raise
            is_verified, deployment = False, known
        if known is None:
            await asyncio.to_thread(write_deployment, config.directory / PIN_FILE, deployment)
        identity = deployment.identity
        chain = RemoteChain(client, identity)
        replica = EventReplica(
            chain if second is None else VerifiedChain(chain, second),
            EventDecoder(abi, identity.contract),
            identity,
            path=config.directory / REPLICA_FILE,
            first_block=deployment.block_number,
            times=config.replica,
            confirmations=config.confirmations,
            verify=None if is_verified else verify_later,
        )
        stack.push_async_callback(replica.close)
        await replica.start(may_be_away=known is not None)
        watching = asyncio.create_task(chain.watch(replica.look_now), name="gateway's head")
        stack.push_async_callback(_end, watching)
        yield RemoteRegistry(client, identity, abi, replica, second)


def read_token(path: Path) -> str:
    """The token in a file. Raises ConfigurationError: missing, open to others, or too short to be one."""
    try:
        mode, text = mode_open_to_others(path), path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(
            f"the token file {path} cannot be read: {exc}", remedy=_REMEDY, code=ErrorCode.GATEWAY_TOKEN_MISSING
        ) from exc
    if mode is not None:
        raise ConfigurationError(
            f"{path} has mode {mode:04o}: others can read the token",
            remedy=f"chmod 600 {path}",
            code=ErrorCode.FILE_OPEN_TO_OTHERS,
        )
    if len(text) < TOKEN_MIN_CHARACTERS or not text.isprintable() or " " in text:
        raise ConfigurationError(f"{path} does not hold a token", remedy=_REMEDY, code=ErrorCode.GATEWAY_TOKEN_MISSING)
    return text


async def _ask_deployment(config: RemoteConfig, client: GatewayClient, known: Deployment | None) -> Deployment:
    """The gateway's contract, if it is the one that this machine knows and is configured for."""
    told = await client.get("/v1/identity")
    identity = understood(lambda told: decode(RegistryIdentity, told["identity"]), told)
    block = understood(lambda told: int(told["contract_block"]), told)
    if (known is not None and known.identity != identity) or config.contract not in (None, identity.contract):
        raise RegistryInconsistent(
            f"the gateway stands for contract 0x{identity.contract.hex()} on chain {identity.chain_id},"
            " which is not the one of this master",
            remedy="Check the gateway's URL. If the contract was changed on purpose, move"
            f" {config.directory / PIN_FILE} away.",
            code=ErrorCode.WRONG_CONTRACT,
        )
    return known or Deployment(identity, config.contract_block if config.contract else block)


async def _check_second(second: SecondNode, deployment: Deployment) -> None:
    """The second node has our contract, and no event of it that is older than the gateway says."""
    identity, first_block = deployment.identity, deployment.block_number
    await check_contract(second, load_artifact(), identity)
    if first_block and await second.fetch_logs(identity.contract, 0, first_block - 1):
        raise RegistryInconsistent("the gateway says that the contract is younger than its first event")


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
