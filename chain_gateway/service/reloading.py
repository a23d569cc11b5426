"""What a running gateway takes from changed settings, and what has to wait for its next start."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from chain_gateway.service.config import ServiceConfig
from chain_gateway.service.handlers import Handlers
from group_protocol.errors import ConfigurationError
from system_ports.logs import configure_logs
from system_ports.reloading import take_reloadable
from system_ports.service_notify import ServiceNotifier

PROGRAM: Final = "vgroup-gateway"
AT_ONCE: Final = frozenset(
    {"log_format", "log_level", "requests_per_s", "requests_burst", "requests_per_address_per_s"}
    | {"requests_per_address_burst", "requests_per_caller_per_s", "requests_per_caller_burst"}
)
"""The list of callers and the token need no reload: the list is looked at whenever it has changed."""
_log = logging.getLogger("vgroup.gateway")


class Reloader:
    """Takes settings anew at each SIGHUP.

    Args:
        config: What the gateway started with.
        handlers: Whose rates are changed.
        read_config: Reads the settings anew. Raises ConfigurationError.
    """

    def __init__(
        self,
        config: ServiceConfig,
        handlers: Handlers,
        notifier: ServiceNotifier,
        read_config: Callable[[], ServiceConfig],
    ) -> None:
        self._config = config
        self._handlers = handlers
        self._notifier = notifier
        self._read_config = read_config

    async def reload(self) -> None:
        """Settings that are wrong change nothing, and are named in the log."""
        self._notifier.reloading()
        try:
            wanted = await asyncio.to_thread(self._read_config)
        except ConfigurationError as exc:
            _log.error("settings are wrong, the old ones stay", extra={"fields": exc.as_fields()})
        else:
            self._take(wanted)
        self._notifier.ready("running")

    def _take(self, wanted: ServiceConfig) -> None:
        reloaded = take_reloadable(self._config, wanted, AT_ONCE)
        self._config = config = reloaded.config
        configure_logs(config.log_format, config.log_level, PROGRAM)
        if any(name.startswith("requests_") for name in reloaded.changed):
            self._handlers.limit_rates(config)
        _log.info("reloaded", extra={"fields": reloaded.as_fields()})
