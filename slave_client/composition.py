"""Builds the slave's parts and runs them: what each command does once its arguments are read."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from group_protocol.errors import BusyError, RegistryUnavailable
from group_protocol.pairing import parse_pairing_string
from group_protocol.ports import Clock, Random
from slave_client.backoff import Backoff
from slave_client.batching import BatchRules
from slave_client.buffer import Buffer
from slave_client.config import SlaveConfig
from slave_client.control_socket import Sent, Wish, ask_running_slave, control_socket
from slave_client.daemon import Daemon, DaemonOptions
from slave_client.device_state import JoinStep
from slave_client.errors import DeviceRevokedError, MasterRefusalError, MasterUnreachableError
from slave_client.finding.finder import MasterFinder
from slave_client.finding.places import join_authority
from slave_client.finding.search import listen_for_masters
from slave_client.inbox import Inbox
from slave_client.key_sealing import find_sealer
from slave_client.keystore import KeyStore
from slave_client.loaded_device import LoadedDevice, load_device
from slave_client.logs import configure_logs, log_step
from slave_client.mailbox import Mailbox
from slave_client.pairing import require_master, take_pairing
from slave_client.plugins import make_handlers, make_sensors
from slave_client.rotation import Rotation
from slave_client.sending import refuse_oneself
from slave_client.sensors.ports import Sensor
from slave_client.service import SlaveService
from slave_client.standings import STANDING_REMEDIES, DeviceStanding
from slave_client.state_directory import StateDirectory
from slave_client.status import STATUS_FILE, describe_device
from system_ports.clock import SystemClock
from system_ports.randomness import SystemRandom
from system_ports.service_notify import ServiceNotifier

Report = Callable[[str], None]
_NEW_CODE = "The code may be used up, expired or locked: ask for a new one (vgroup device invite)."


@dataclass(frozen=True, slots=True)
class RunFiles:
    """Files that others may follow. None: not wanted, or in the state directory."""

    ready: Path | None = None
    status: Path | None = None


async def join(config: SlaveConfig, pairing_text: str, *, patience_s: float, report: Report) -> dict[str, object]:
    """Pair, enrol and associate, or go on where an earlier join stopped. Answers the device as JSON fields.

    Args:
        config: The settings.
        pairing_text: What ``vgroup device invite`` printed.
        patience_s: How long to go on trying while the master cannot be reached.
        report: Called with one line after each step.

    Raises:
        VirtualGroupError: Of every kind; each says what to do.
    """
    pairing = parse_pairing_string(pairing_text)
    clock, random = SystemClock(), SystemRandom()
    with StateDirectory(config.state_dir) as directory:
        device = await asyncio.to_thread(take_pairing, KeyStore(directory, find_sealer(random)), pairing, random)
        joining, finder = device.joining(config, random, report), _finder(config, random, report)
        place = join_authority(device.state.host, device.state.port)
        report(f"paired with master 0x{device.state.master.hex()} at {place}")
        backoff = Backoff(random, longest_s=10.0)
        gives_up_s = clock.monotonic_s() + patience_s
        while True:
            try:
                await require_master(joining.state, pairing)
                async with finder.session(joining) as (transport, opened):
                    await joining.associate(transport, opened, waits_for_chain=False)
                return describe_device(joining.state)
            except (MasterUnreachableError, BusyError, RegistryUnavailable) as exc:
                wait_s = backoff.next_wait_s()
                if clock.monotonic_s() + wait_s > gives_up_s:
                    raise
                report(f"{exc}; trying again")
                await asyncio.sleep(wait_s)
            except MasterRefusalError as exc:
                if joining.state.step is JoinStep.PAIRED:
                    raise MasterRefusalError(str(exc), remedy=_NEW_CODE) from exc
                raise


async def run(
    config: SlaveConfig,
    files: RunFiles,
    *,
    ends_with_sensors: bool,
    report: Report,
    read_config: Callable[[], SlaveConfig] | None = None,
) -> bool:
    """Measure and deliver until stopped. Answers whether Ctrl-C was the end. SIGHUP takes ``read_config`` anew.

    Raises:
        VirtualGroupError: Of every kind; each says what to do.
    """
    clock, random = SystemClock(), SystemRandom()
    notifier = ServiceNotifier.from_environment()
    if configure_logs(config.log_level):
        report = log_step

    async def open_sensors(config: SlaveConfig) -> list[Sensor]:
        make_handlers(config, clock)  # so that a wrong one is named before anything begins
        return await make_sensors(config, clock, may_be_none=not ends_with_sensors)

    sensors = await open_sensors(config)
    with StateDirectory(config.state_dir) as directory:
        device = await asyncio.to_thread(load_device, KeyStore(directory, find_sealer(random)))
        if device.state.step is JoinStep.REVOKED:
            raise DeviceRevokedError("this device is evicted", remedy=STANDING_REMEDIES[DeviceStanding.EVICTED] or "")

        def say_state(line: str) -> None:
            notifier.status(line)
            if report is not log_step:  # there the board's own entries are, with fields
                report(line)

        async def make_daemon(config: SlaveConfig, sensors: list[Sensor]) -> Daemon:
            configure_logs(config.log_level)
            device = await asyncio.to_thread(load_device, KeyStore(directory, find_sealer(random)))
            handlers = make_handlers(config, clock)
            buffer = await _open_buffer(config, directory, device, clock, random)
            try:
                inbox = await _open_inbox(config, device, clock, random)
            except BaseException:
                await buffer.close()
                raise
            for damage in (buffer.damage, inbox.damage):
                if damage:
                    report(damage)
            return Daemon(
                joining=device.joining(config, random, report),
                reach=_finder(config, random, report).session,
                buffer=buffer,
                mailbox=Mailbox(inbox, handlers),
                sensors=sensors,
                options=_daemon_options(config, files, ends_with_sensors=ends_with_sensors and bool(sensors)),
                clock=clock,
                random=random,
                report=say_state,
            )

        service = SlaveService(
            read_config=read_config or (lambda: config),
            open_sensors=open_sensors,
            make_daemon=make_daemon,
            open_beside=lambda daemon: _beside(config, daemon),
            notifier=notifier,
            report=report,
        )
        return await service.run(config, sensors)


@asynccontextmanager
async def _beside(config: SlaveConfig, daemon: Daemon) -> AsyncIterator[None]:
    """What others may reach while a daemon runs: its control socket and, where it is wanted, its metrics."""
    async with AsyncExitStack() as exits:
        await exits.enter_async_context(control_socket(config.state_dir, daemon.send))
        if config.metrics:
            from slave_client.metrics import SlaveMetrics  # noqa: PLC0415 - 3 MB that few devices want
            from system_ports.metrics import metrics_endpoint  # noqa: PLC0415 - as above

            await exits.enter_async_context(metrics_endpoint(config.metrics, SlaveMetrics(daemon).collect))
        yield


def _daemon_options(config: SlaveConfig, files: RunFiles, *, ends_with_sensors: bool) -> DaemonOptions:
    return DaemonOptions(
        via=config.via,
        batch=BatchRules(config.batch_readings, config.batch_s, config.commit_s),
        backoff_longest_s=config.backoff_longest_s,
        status_file=files.status or config.state_dir / STATUS_FILE,
        status_s=config.status_s,
        ready_file=files.ready,
        ends_with_sensors=ends_with_sensors,
    )


async def send(config: SlaveConfig, wish: Wish) -> Sent:
    """Send a message to another member: through the running slave if there is one, else into the buffer for later.

    Raises:
        RefusedError: The master refused it.
        VirtualGroupError: Of every other kind; each says what to do.
    """
    if await asyncio.to_thread(config.state_dir.exists):
        sent = await ask_running_slave(config.state_dir, wish)
        if sent is not None:
            return sent
    clock, random = SystemClock(), SystemRandom()
    with StateDirectory(config.state_dir) as directory:
        device = await asyncio.to_thread(load_device, KeyStore(directory, find_sealer(random)))
        refuse_oneself(wish.to, device.state.enrolment.oid if device.state.enrolment else None)
        buffer = await _open_buffer(config, directory, device, clock, random)
        try:
            seq = buffer.append(wish.payload, wish.to, readings=wish.readings)
            await buffer.commit()
        finally:
            await buffer.close()
    return Sent(seq, is_acknowledged=False)


async def rotate(config: SlaveConfig, *, report: Report) -> dict[str, object]:
    """Change the device's key. Answers the device as JSON fields. Raises VirtualGroupError of every kind."""
    clock, random = SystemClock(), SystemRandom()
    with StateDirectory(config.state_dir) as directory:
        device = await asyncio.to_thread(load_device, KeyStore(directory, find_sealer(random)))
        joining = device.joining(config, random, report)
        buffer = await _open_buffer(config, directory, device, clock, random)
        try:
            rotation = Rotation(joining, device.store, buffer, clock=clock, random=random, report=report)
            async with _finder(config, random, report).session(joining) as (transport, _):
                await rotation.run(transport, device.keys.signing.address)
        finally:
            await buffer.close()
        return describe_device(joining.state)


def _finder(config: SlaveConfig, random: Random, report: Report) -> MasterFinder:
    search = listen_for_masters if config.mdns else None
    return MasterFinder(config.suites, random, report, search, heartbeat_s=config.heartbeat_s)


async def _open_buffer(
    config: SlaveConfig, directory: StateDirectory, device: LoadedDevice, clock: Clock, random: Random
) -> Buffer:
    secret = device.keys.storage_secret
    return await Buffer.open(directory, secret, limits=config.buffer_limits, clock=clock, random=random)


async def _open_inbox(config: SlaveConfig, device: LoadedDevice, clock: Clock, random: Random) -> Inbox:
    return await Inbox.open(
        config.state_dir,
        device.keys.storage_secret,
        most=config.inbox_max,
        keeps_unhandled=bool(config.handlers),
        clock=clock,
        random=random,
    )
