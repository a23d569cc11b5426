"""The running service: from settings to an open port, and closed in good order."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from chain_gateway.remote.composition import read_token
from chain_gateway.service.backend import Backend, open_backend
from chain_gateway.service.config import ServiceConfig
from chain_gateway.service.handlers import Handlers
from chain_gateway.service.metrics import GatewayMetrics
from chain_gateway.service.reloading import PROGRAM, Reloader
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from system_ports.clock import SystemClock
from system_ports.credentials import find_credential
from system_ports.edge_server import EdgeServer
from system_ports.logs import configure_logs
from system_ports.metrics import metrics_endpoint
from system_ports.randomness import SystemRandom
from system_ports.service_notify import ServiceNotifier
from system_ports.service_signals import ServiceSignals

TOKEN_CREDENTIAL: Final = "gateway_token"  # noqa: S105 - the name of a credential
_log = logging.getLogger("vgroup.gateway")


@asynccontextmanager
async def serve(backend: Backend, config: ServiceConfig, token: str | None = None) -> AsyncIterator[int]:
    """Listen for as long as the context lasts; the port. Raises ConfigurationError if it cannot."""
    handlers = Handlers(backend, config, SystemClock(), SystemRandom(), token)
    async with listening(handlers, config) as port:
        yield port


@asynccontextmanager
async def listening(handlers: Handlers, config: ServiceConfig) -> AsyncIterator[int]:
    """Have these handlers answer for as long as the context lasts; the port. Raises ConfigurationError."""
    edge = EdgeServer(handlers.handle, config)
    try:
        try:
            port = await edge.listen(config.host, config.port)
        except OSError as exc:
            raise ConfigurationError(
                f"cannot listen on {config.host}:{config.port}: {exc.strerror}",
                remedy="Choose another --port, or stop what listens there.",
                code=ErrorCode.PORT_IN_USE,
            ) from exc
        yield port
    finally:
        handlers.stop()
        await edge.close(config.shutdown_s)


async def run_service(
    config: ServiceConfig,
    *,
    ready_file: Path | None = None,
    read_config: Callable[[], ServiceConfig] | None = None,
) -> None:
    """Run until SIGTERM or SIGINT, then stop in good order; ``read_config`` reads the settings anew at a SIGHUP.

    Once it listens, ``ready_file``, if one is named, has one line of JSON, and then stdout has the same:
    ``{"ready": true, "host", "port", "pid", "chain_id", "contract", "relayers"}``.
    """
    configure_logs(config.log_format, config.log_level, PROGRAM)
    signals, notifier = ServiceSignals(), ServiceNotifier.from_environment()
    notifier.status("opening the chain")
    token_file = Path(config.token_file) if config.token_file else find_credential(TOKEN_CREDENTIAL)
    token = await asyncio.to_thread(read_token, token_file) if token_file else None
    async with AsyncExitStack() as exits:
        backend = await exits.enter_async_context(open_backend(config))
        handlers = Handlers(backend, config, SystemClock(), SystemRandom(), token)
        port = await exits.enter_async_context(listening(handlers, config))
        await exits.enter_async_context(metrics_endpoint(config.metrics, GatewayMetrics(backend).collect))
        identity = await backend.registry.fetch_identity()
        line = {
            "ready": True,
            "host": config.host,
            "port": port,
            "pid": os.getpid(),
            "chain_id": identity.chain_id,
            "contract": f"0x{identity.contract.hex()}",
            "relayers": [f"0x{relayer.hex()}" for relayer in backend.web3_registry.relayers],
        }
        await asyncio.to_thread(_say_ready, json.dumps(line), ready_file)
        notifier.ready(f"listening on port {port}")

        async def prove_progress() -> None:
            """The loop and the chain behind it have made a step; a chain that says it is away is no hang."""
            await backend.registry.fetch_block_time()

        reloader = Reloader(config, handlers, notifier, read_config or (lambda: config))
        reloading = asyncio.create_task(signals.reload_at_each(reloader.reload), name="reload")
        watchdog = asyncio.create_task(notifier.feed_watchdog(prove_progress), name="watchdog")
        await signals.stopping.wait()
        notifier.stopping()
        _log.info("stopping")
        watchdog.cancel()
        reloading.cancel()


def _say_ready(line: str, ready_file: Path | None) -> None:
    if ready_file is not None:
        draft = ready_file.with_name(ready_file.name + ".new")
        draft.write_text(line + "\n", "utf-8")
        draft.rename(ready_file)
    print(line, flush=True)  # noqa: T201 - the ready line is this program's output
