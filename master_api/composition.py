"""The master's composition root: the only module of this package that knows which gateway there is."""

import asyncio
import functools
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
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, RefusedError, VerificationError
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
from master_api.key_file import (
    AskPassphrase,
    create_key,
    discard_next_key,
    find_passphrase,
    promote_next_key,
    read_key,
    read_next_key,
    write_next_key,
)
from master_api.key_rotation import MasterKeyRotation, Outcome, describe_outcome
from master_api.operations import Operations
from master_api.public_endpoint import public_endpoint
from master_api.reloading import PROGRAM
from master_api.service import MasterService
from master_api.store.groups import fetch_group
from master_api.store.store import Store
from system_ports.clock import SystemClock
from system_ports.garbage import settle_collector
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


async def key_in_force(config: MasterConfig, ask_passphrase: AskPassphrase) -> PrivateKey:
    """The master's key; the rest of a change of key that was interrupted is done here, if the contract has it.

    Raises:
        VirtualGroupError: What :func:`open_service` raises.
    """
    passphrase = _ask_once(ask_passphrase)
    key = open_key(config, passphrase)
    next_key = _open_next_key(config, passphrase)
    if next_key is None:
        return key
    async with _open_for_change(config, key, next_key) as rotation:
        if rotation is not None and not rotation.is_in_contract():
            _log.warning("a change of the master's key is not finished: vgroup master rotate-key")
            return key
        if rotation is not None:
            await rotation.settle()
    await asyncio.to_thread(promote_next_key, config.data_dir)
    return next_key


async def rotate_master_key(config: MasterConfig, ask_passphrase: AskPassphrase, *, abandons: bool) -> JsonObject:
    """Change the master's key, or go on with a change that was interrupted, or give it up.

    Raises:
        ConfigurationError: The master runs, its key is no file, or its gateway does not know the new key.
        VirtualGroupError: What :class:`MasterKeyRotation` and :func:`open_service` raise.
    """
    if is_served(config.admin_socket):
        raise ConfigurationError(
            "the master is running",
            remedy="Stop it first: systemctl stop vgroup-master, or Ctrl-C.",
            code=ErrorCode.FOLDER_IN_USE,
        )
    passphrase = _ask_once(ask_passphrase)
    key, next_key = open_key(config, passphrase), _open_next_key(config, passphrase)
    if next_key is None:
        if abandons:
            raise ConfigurationError("no change of the master's key is under way", code=ErrorCode.ARGUMENT_WRONG)
        next_key = create_key(SystemRandom())
        await asyncio.to_thread(write_next_key, config.data_dir, next_key, lambda: _passphrase_of(config, passphrase))
    if not abandons:
        await _require_known_to_gateway(config, next_key)
    outcome = Outcome.PROMOTED
    async with _open_for_change(config, key, next_key) as rotation:
        if rotation is not None:
            outcome = await (rotation.abandon() if abandons else rotation.run())
    if outcome is Outcome.PROMOTED:
        await asyncio.to_thread(promote_next_key, config.data_dir)
    elif outcome is Outcome.ROLLED_BACK:
        await asyncio.to_thread(discard_next_key, config.data_dir)
    return {
        "outcome": outcome.value,
        "old_master": "0x" + key.address.hex(),
        "new_master": "0x" + next_key.address.hex(),
        "meaning": describe_outcome(outcome, key.address, next_key.address),
    }


@asynccontextmanager
async def _open_for_change(
    config: MasterConfig, key: PrivateKey, next_key: PrivateKey
) -> AsyncIterator[MasterKeyRotation | None]:
    """A change of key to work on; None where the store has it already and only the key file is left to be replaced."""
    if await asyncio.to_thread(_is_master_in_store, config, next_key.address):
        yield None
        return
    async with open_service(config, key) as service:
        yield MasterKeyRotation(service.context, next_key)


def _is_master_in_store(config: MasterConfig, address: Address) -> bool:
    store = Store(config.resolved_store_url, may_create=False)
    try:
        return store.read_now(lambda connection: fetch_group(connection, address)) is not None
    finally:
        store.close()


async def _require_known_to_gateway(config: MasterConfig, next_key: PrivateKey) -> None:
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


def _ask_once(ask_passphrase: AskPassphrase) -> AskPassphrase:
    """Two key files are sealed under one passphrase, which nobody wants to type twice."""
    return functools.cache(ask_passphrase)


def _passphrase_of(config: MasterConfig, ask_passphrase: AskPassphrase) -> str:
    return find_passphrase(os.environ, config.passphrase_file, ask_passphrase)


def _open_next_key(config: MasterConfig, ask_passphrase: AskPassphrase) -> PrivateKey | None:
    return read_next_key(config.data_dir, lambda: _passphrase_of(config, ask_passphrase))


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
            settle_collector()
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
            _log.error("settings are wrong, the old ones stay", extra={"fields": exc.as_fields()})
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
    key = await key_in_force(config, ask_passphrase)
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
    passphrase = _ask_once(ask_passphrase)
    key, next_key = open_key(config, passphrase), _open_next_key(config, passphrase)
    if next_key is not None and _is_master_in_store(config, next_key.address):
        key = next_key
    audit = AuditLog(key, SystemClock())
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
