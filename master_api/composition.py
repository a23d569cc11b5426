"""The master's composition root: the only module of this package that knows which gateway there is."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from chain_gateway.config import GATEWAY_FOLDER, BatchTerms, GatewayConfig
from chain_gateway.remote.client import Credentials
from chain_gateway.remote.composition import RemoteConfig, open_remote_registry, read_token
from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import ConfigurationError
from group_protocol.identifiers import Address
from group_protocol.ports import Clock, GroupRegistry
from group_protocol.record_proofs import RecordProof
from master_api.admin_protocol import run_operation
from master_api.admin_socket import admin_socket, ask_master, is_served
from master_api.audit import AuditHead, AuditLog
from master_api.config import MasterConfig
from master_api.context import build_context
from master_api.descriptions import JsonObject, describe_audit
from master_api.folder_lock import locked_folder
from master_api.key_file import AskPassphrase, find_passphrase, read_key
from master_api.operations import Operations
from master_api.public_endpoint import public_endpoint
from master_api.reloading import PROGRAM
from master_api.service import MasterService
from master_api.store.store import Store
from system_ports.clock import SystemClock
from system_ports.logs import configure_logs
from system_ports.randomness import SystemRandom
from system_ports.service_notify import ServiceNotifier
from system_ports.service_signals import ServiceSignals

if TYPE_CHECKING:
    from chain_gateway.proof_check import CheckedProof

EMBEDDED = "embedded"
_STATUS_S = 10.0
"""How often the service manager hears how many devices are connected."""

_log = logging.getLogger("vgroup.master")


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


def open_key(config: MasterConfig, ask_passphrase: AskPassphrase) -> PrivateKey:
    """The master's key. Raises ConfigurationError."""
    return read_key(config.data_dir, lambda: find_passphrase(os.environ, config.passphrase_file, ask_passphrase))


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


async def run_master(
    config: MasterConfig,
    key: PrivateKey,
    *,
    ready_file: Path | None = None,
    read_config: Callable[[], MasterConfig] | None = None,
) -> None:
    """Run until SIGTERM or SIGINT, then stop in good order. SIGHUP takes the settings anew from ``read_config``.

    Once the master listens, ``ready_file``, if one is named, has one line of JSON, and then stdout has the same:
    ``{"ready": true, "host", "port", "pid", "master", "gid", "admin_socket"}``.
    """
    configure_logs(config.log_format, config.log_level, PROGRAM)
    signals, notifier = ServiceSignals(), ServiceNotifier.from_environment()
    notifier.status("opening the store and the chain")
    async with open_service(config, key) as service:
        port = await service.listen()
        operations = Operations(service, public_endpoint(config, port))
        async with admin_socket(config.admin_socket, operations), _metrics(config, service):
            await asyncio.to_thread(_say_ready, service, port, ready_file)
            notifier.ready(_describe(service, port))
            background = [
                asyncio.create_task(notifier.feed_watchdog(service.prove_progress), name="watchdog"),
                asyncio.create_task(_report_status(service, notifier, port), name="service status"),
                asyncio.create_task(_reload_at_each(signals, service, notifier, port, read_config or (lambda: config))),
            ]
            await signals.stopping.wait()
            notifier.stopping()
            _log.info("stopping")
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)


@asynccontextmanager
async def _metrics(config: MasterConfig, service: MasterService) -> AsyncIterator[None]:
    if not config.metrics:
        yield
        return
    from master_api.metrics import MasterMetrics  # noqa: PLC0415 - only who wants it pays for it
    from system_ports.metrics import metrics_endpoint  # noqa: PLC0415 - as above

    metrics = MasterMetrics(service.context, service.health, service.taken)
    async with metrics_endpoint(config.metrics, metrics.collect):
        yield


async def _report_status(service: MasterService, notifier: ServiceNotifier, port: int) -> None:
    while True:
        await asyncio.sleep(_STATUS_S)
        notifier.status(_describe(service, port))


def _describe(service: MasterService, port: int) -> str:
    return f"listening on port {port}, {len(service.context.live)} devices connected"


async def _reload_at_each(
    signals: ServiceSignals,
    service: MasterService,
    notifier: ServiceNotifier,
    port: int,
    read_config: Callable[[], MasterConfig],
) -> None:
    async def reload() -> None:
        notifier.reloading()
        try:
            wanted = await asyncio.to_thread(read_config)
        except ConfigurationError as exc:
            _log.error("settings are wrong, the old ones stay", extra={"fields": {"error": str(exc)}})
        else:
            reloaded = service.reloader.reload(wanted) if service.reloader else None
            changed, waiting = (reloaded.changed, reloaded.waiting) if reloaded else ((), ())
            _log.info("reloaded", extra={"fields": {"changed": ",".join(changed), "need_restart": ",".join(waiting)}})
        notifier.ready(_describe(service, port))

    await signals.reload_at_each(reload)


async def operate(
    config: MasterConfig, name: str, arguments: Mapping[str, object], ask_passphrase: AskPassphrase
) -> JsonObject:
    """Do an operation: by the running master if there is one, else here.

    Raises:
        VirtualGroupError: What the operation raises.
    """
    if is_served(config.admin_socket):
        answer = await ask_master(config.admin_socket, name, arguments)
        if answer is not None:
            return answer
    key = await asyncio.to_thread(open_key, config, ask_passphrase)
    async with open_service(config, key) as service:
        operations = Operations(service, public_endpoint(config, config.port))
        return await run_operation(operations, name, arguments)


async def verify_audit(config: MasterConfig, head: str | None, ask_passphrase: AskPassphrase) -> JsonObject:
    """Verify the audit log: by the running master if there is one, else here, where it takes no chain.

    Raises:
        AuditBroken: It does not hold.
    """
    if is_served(config.admin_socket):
        answer = await ask_master(config.admin_socket, "audit.verify", {"head": head})
        if answer is not None:
            return answer
    return await asyncio.to_thread(_verify_audit_here, config, head, ask_passphrase)


async def check_proof(proof: RecordProof, chain: str, *, contract: Address | None, from_block: int) -> "CheckedProof":
    """Check a proof of a record with the chain alone; see :mod:`chain_gateway.proof_check`."""
    from chain_gateway.proof_check import check_proof as check_against_chain  # noqa: PLC0415 - web3: a second, and 60 MB

    return await check_against_chain(proof, chain, contract=contract, from_block=from_block)


def _verify_audit_here(config: MasterConfig, head: str | None, ask_passphrase: AskPassphrase) -> JsonObject:
    audit = AuditLog(open_key(config, ask_passphrase), SystemClock())
    store = Store(config.resolved_store_url, may_create=False)
    try:
        return describe_audit(
            store.read_now(lambda connection: audit.verify(connection, AuditHead.parse_optional(head)))
        )
    finally:
        store.close()


def _say_ready(service: MasterService, port: int, ready_file: Path | None) -> None:
    config, group = service.context.config, service.context.group.formed
    line = json.dumps(
        {
            "ready": True,
            "host": config.host,
            "port": port,
            "pid": os.getpid(),
            "master": "0x" + service.context.key.address.hex(),
            "gid": group.gid.hex() if group is not None else None,
            "admin_socket": str(config.admin_socket),
        }
    )
    if ready_file is not None:
        draft = ready_file.with_name(ready_file.name + ".new")
        draft.write_text(line + "\n", "utf-8")
        draft.rename(ready_file)
    print(line, flush=True)  # noqa: T201 - the ready line is this program's output
