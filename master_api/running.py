"""The master as a service: from its first line to its good end."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import ConfigurationError
from master_api.admin_socket import admin_socket
from master_api.composition import open_service
from master_api.config import MasterConfig
from master_api.operations import Operations
from master_api.public_endpoint import public_endpoint
from master_api.reloading import PROGRAM
from master_api.service import MasterService
from system_ports.garbage import settle_collector
from system_ports.logs import configure_logs
from system_ports.service_notify import ServiceNotifier
from system_ports.service_signals import ServiceSignals

_STATUS_S = 10.0
"""How often the service manager hears how many devices are connected."""

_log = logging.getLogger("vgroup.master")


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
            if service.reloader is not None:  # it is there since the master listens
                _log.info("reloaded", extra={"fields": service.reloader.reload(wanted).as_fields()})
        notifier.ready(_describe(service, port))

    await signals.reload_at_each(reload)


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
