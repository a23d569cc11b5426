"""The master's composition root: the only module of this package that knows which gateway there is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from chain_gateway.config import GATEWAY_FOLDER, BatchTerms, GatewayConfig
from chain_gateway.remote.client import Credentials
from chain_gateway.remote.composition import RemoteConfig, open_remote_registry, read_token
from group_protocol.crypto.keys import PrivateKey
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, RefusedError, VerificationError
from group_protocol.identifiers import Address
from group_protocol.ports import Clock, GroupRegistry
from group_protocol.record_proofs import RecordProof
from master_api.config import MasterConfig
from master_api.context import build_context
from master_api.folder_lock import locked_folder
from master_api.service import MasterService
from master_api.store.store import Store
from system_ports.clock import SystemClock
from system_ports.randomness import SystemRandom

if TYPE_CHECKING:
    from chain_gateway.proof_check import CheckedProof

EMBEDDED = "embedded"


def gateway_config(config: MasterConfig) -> GatewayConfig:
    """The gateway's settings inside the master's."""
    contract = config.contract.removeprefix("0x")
    return GatewayConfig(
        directory=config.data_dir / GATEWAY_FOLDER,
        url=None if config.chain == EMBEDDED else config.chain,
        relayer_key_file=Path(config.relayer_key_file) if config.relayer_key_file else None,
        more_relayer_key_files=tuple(Path(name) for name in config.more_relayer_key_files),
        batches=BatchTerms(window_s=config.association_window_ms / 1_000, size=config.association_batch),
        contract=Address(bytes.fromhex(contract)) if contract else None,
        contract_block=config.contract_block,
        further_urls=() if config.chain == EMBEDDED else config.chain_fallback_urls,
        confirmations=0 if config.chain == EMBEDDED else config.confirmations,
    )


@asynccontextmanager
async def open_service(config: MasterConfig, key: PrivateKey) -> AsyncIterator[MasterService]:
    """A master without its edge, for as long as the context lasts.

    Raises:
        ConfigurationError: A setting or file is wrong, or another process works in the data folder.
        StoreError: The store cannot be opened.
        RegistryUnavailable: The chain cannot be reached.
        RegistryInconsistent: It is another chain or contract than the one remembered.
    """
    clock = SystemClock()
    with locked_folder(config.data_dir):
        store = await asyncio.to_thread(partial(Store, config.resolved_store_url, commit_delay_s=config.commit_delay_s))
        try:
            async with _open_registry(config, key, clock) as registry:
                service = MasterService(build_context(config, key, registry, store, clock, SystemRandom()))
                try:
                    await service.open()
                    yield service
                finally:
                    await service.close()
        finally:
            await asyncio.to_thread(store.close)


def _open_registry(config: MasterConfig, key: PrivateKey, clock: Clock) -> AbstractAsyncContextManager[GroupRegistry]:
    """The register in this process, or through a gateway on another machine, which needs neither web3 nor an EVM."""
    if config.gateway:
        return open_remote_registry(remote_config(config, key))
    from chain_gateway.composition import open_registry  # noqa: PLC0415 - a second, and 60 MB

    # On a chain of one's own, deploying costs nothing; on any other it is a step that the operator takes.
    return open_registry(
        gateway_config(config), clock.now_unix_s, deploy_if_missing=config.chain == EMBEDDED, may_be_away=True
    )


def remote_config(config: MasterConfig, key: PrivateKey) -> RemoteConfig:
    """The remote gateway's settings inside the master's. Raises ConfigurationError."""
    contract = config.contract.removeprefix("0x")
    token_file = config.gateway_token_file
    return RemoteConfig(
        directory=config.data_dir / GATEWAY_FOLDER,
        url=config.gateway,
        credentials=Credentials(token=read_token(Path(token_file))) if token_file else Credentials(key=key),
        contract=Address(bytes.fromhex(contract)) if contract else None,
        contract_block=config.contract_block,
        verify_rpc=config.verify_rpc or None,
        confirmations=config.confirmations,
    )


async def require_known_to_gateway(config: MasterConfig, next_key: PrivateKey) -> None:
    """A master whose new key its gateway does not know would be cut off from the chain afterwards."""
    if not config.gateway or config.gateway_token_file:
        return
    try:
        async with open_remote_registry(remote_config(config, next_key)) as registry:
            await registry.fetch_identity()
    except (RefusedError, VerificationError, ConfigurationError) as exc:
        address = f"0x{next_key.address.hex()}"
        raise ConfigurationError(
            f"the gateway does not know the new key {address} yet; nothing was changed",
            remedy=f"On the gateway: vgroup gateway authorize {address}. Then run this again.",
            code=ErrorCode.GATEWAY_REFUSES,
        ) from exc


async def check_proof(proof: RecordProof, chain: str, *, contract: Address | None, from_block: int) -> "CheckedProof":
    """Check a proof of a record with the chain alone; see :mod:`chain_gateway.proof_check`."""
    from chain_gateway.proof_check import check_proof as check_against_chain  # noqa: PLC0415 - web3: a second, and 60 MB

    return await check_against_chain(proof, chain, contract=contract, from_block=from_block)
