"""The slave as a service: one daemon after the other, each with the settings of its time, until it is stopped."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from group_protocol.errors import VirtualGroupError
from slave_client.config import SlaveConfig
from slave_client.daemon import Daemon
from slave_client.sensors.ports import Sensor
from system_ports.service_notify import ServiceNotifier
from system_ports.service_signals import ServiceSignals

_log: Final = logging.getLogger("vgroup.slave")

OpenSensors = Callable[[SlaveConfig], Awaitable[list[Sensor]]]
MakeDaemon = Callable[[SlaveConfig, list[Sensor]], Awaitable[Daemon]]


class SlaveService:
    """Runs daemons. SIGHUP ends one in good order, its buffer flushed, and begins the next with the new settings.

    Args:
        read_config: The settings as they are now.
        open_sensors: Makes the sensors and looks whether they are there.
        make_daemon: Makes a daemon with its buffer open.
        open_beside: What is open as long as a daemon runs.
        notifier: The service manager.
        report: Called with a line about a reload.
    """

    def __init__(
        self,
        *,
        read_config: Callable[[], SlaveConfig],
        open_sensors: OpenSensors,
        make_daemon: MakeDaemon,
        open_beside: Callable[[Daemon], AbstractAsyncContextManager[None]],
        notifier: ServiceNotifier,
        report: Callable[[str], None],
    ) -> None:
        self._read_config = read_config
        self._open_sensors = open_sensors
        self._make_daemon = make_daemon
        self._open_beside = open_beside
        self._notifier = notifier
        self._report = report
        self._next: tuple[SlaveConfig, list[Sensor]] | None = None

    async def run(self, config: SlaveConfig, sensors: list[Sensor]) -> bool:
        """Run until a signal, the recordings' end, or revocation. Answers whether Ctrl-C was the end.

        Raises:
            VirtualGroupError: Of every kind; each says what to do.
        """
        signals = ServiceSignals()
        self._next = (config, sensors)
        while self._next is not None:
            (config, sensors), self._next = self._next, None
            daemon = await self._make_daemon(config, sensors)
            await self._run_one(daemon, signals)
        self._notifier.stopping()
        return signal.SIGINT in signals.caught

    async def _run_one(self, daemon: Daemon, signals: ServiceSignals) -> None:
        stop = asyncio.Event()
        self._notifier.ready(daemon.board.state.value)
        beside = [
            asyncio.create_task(self._notifier.feed_watchdog(daemon.prove_progress), name="watchdog"),
            asyncio.create_task(self._stop_at_signal(stop, signals), name="stop"),
            asyncio.create_task(self._reload_at_signal(stop, signals), name="reload"),
        ]
        try:
            async with self._open_beside(daemon):
                await daemon.run(stop)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _stop_at_signal(self, stop: asyncio.Event, signals: ServiceSignals) -> None:
        await signals.stopping.wait()
        self._next = None
        self._notifier.stopping()
        stop.set()

    async def _reload_at_signal(self, stop: asyncio.Event, signals: ServiceSignals) -> None:
        while True:
            await signals.wait_for_reload()
            self._notifier.reloading()
            with contextlib.suppress(VirtualGroupError):
                self._next = await self._read_anew()
                stop.set()
                return
            self._notifier.ready("running with the settings of before")

    async def _read_anew(self) -> tuple[SlaveConfig, list[Sensor]]:
        try:
            config = await asyncio.to_thread(self._read_config)
            sensors = await self._open_sensors(config)
        except VirtualGroupError as exc:
            _log.error("settings are wrong, the old ones stay", extra={"fields": exc.as_fields()})
            self._report(f"settings are wrong, the old ones stay: {exc}")
            raise
        _log.info("reloading")
        self._report("reloading")
        return config, sensors
