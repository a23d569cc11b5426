"""Builds the slave's parts and runs them: what each command does once its arguments are read."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import BusyError, ConfigurationError, RegistryUnavailable
from group_protocol.pairing import PairingString, parse_pairing_string
from group_protocol.ports import Clock, Random
from slave_client.backoff import Backoff
from slave_client.batching import BatchRules
from slave_client.buffer import Buffer
from slave_client.config import SlaveConfig
from slave_client.control_socket import Sent, Wish, ask_running_slave, control_socket
from slave_client.daemon import Daemon, DaemonOptions
from slave_client.device_state import DeviceState, JoinStep
from slave_client.errors import (
    DeviceRevokedError,
    KeyStoreError,
    MasterRefusalError,
    MasterUnreachableError,
    SensorError,
)
from slave_client.finding.finder import MasterFinder
from slave_client.finding.places import join_authority
from slave_client.finding.search import listen_for_masters
from slave_client.handlers.catalogue import make_handler
from slave_client.handlers.ports import Handler
from slave_client.inbox import Inbox
from slave_client.joining import Joining, Offer
from slave_client.key_sealing import find_sealer
from slave_client.keystore import DeviceKeys, KeyStore
from slave_client.logs import configure_logs, log_step
from slave_client.mailbox import Mailbox
from slave_client.processor import preferred_aeads
from slave_client.rotation import Rotation
from slave_client.sending import refuse_oneself
from slave_client.sensors.catalogue import make_sensor
from slave_client.sensors.ports import Sensor
from slave_client.service import SlaveService
from slave_client.standings import STANDING_REMEDIES, DeviceStanding
from slave_client.state_directory import StateDirectory
from slave_client.status import STATUS_FILE, describe_device
from slave_client.succession import find_successor
from slave_client.transport import Transport
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


@dataclass(frozen=True, slots=True)
class _Device:
    """An existing device, loaded."""

    store: KeyStore
    keys: DeviceKeys
    state: DeviceState

    def joining(self, config: SlaveConfig, random: Random, report: Report) -> Joining:
        offer = Offer(config.suites, preferred_aeads())
        return Joining(self.store, self.keys, self.state, offer=offer, random=random, report=report)


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
        device = await asyncio.to_thread(_take_pairing, KeyStore(directory, find_sealer(random)), pairing, random)
        joining, finder = device.joining(config, random, report), _finder(config, random, report)
        place = join_authority(device.state.host, device.state.port)
        report(f"paired with master 0x{device.state.master.hex()} at {place}")
        backoff = Backoff(random, longest_s=10.0)
        gives_up_s = clock.monotonic_s() + patience_s
        while True:
            try:
                await _require_master(joining.state, pairing)
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
        _make_handlers(config, clock)  # so that a wrong one is named before anything begins
        return await _make_sensors(config, clock, may_be_none=not ends_with_sensors)

    sensors = await open_sensors(config)
    with StateDirectory(config.state_dir) as directory:
        device = await asyncio.to_thread(_load_device, KeyStore(directory, find_sealer(random)))
        if device.state.step is JoinStep.REVOKED:
            raise DeviceRevokedError("this device is evicted", remedy=STANDING_REMEDIES[DeviceStanding.EVICTED] or "")

        def say_state(line: str) -> None:
            notifier.status(line)
            if report is not log_step:  # there the board's own entries are, with fields
                report(line)

        async def make_daemon(config: SlaveConfig, sensors: list[Sensor]) -> Daemon:
            configure_logs(config.log_level)
            device = await asyncio.to_thread(_load_device, KeyStore(directory, find_sealer(random)))
            buffer = await _open_buffer(config, directory, device, clock, random)
            inbox = await _open_inbox(config, device, clock, random)
            for damage in (buffer.damage, inbox.damage):
                if damage:
                    report(damage)
            return Daemon(
                joining=device.joining(config, random, report),
                reach=_finder(config, random, report).session,
                buffer=buffer,
                mailbox=Mailbox(inbox, _make_handlers(config, clock)),
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
        device = await asyncio.to_thread(_load_device, KeyStore(directory, find_sealer(random)))
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
        device = await asyncio.to_thread(_load_device, KeyStore(directory, find_sealer(random)))
        joining = device.joining(config, random, report)
        buffer = await _open_buffer(config, directory, device, clock, random)
        try:
            rotation = Rotation(joining, device.store, buffer, clock=clock, random=random, report=report)
            async with _finder(config, random, report).session(joining) as (transport, _):
                await rotation.run(transport, device.keys.signing.address)
        finally:
            await buffer.close()
        return describe_device(joining.state)


async def _require_master(device: DeviceState, pairing: PairingString) -> None:
    """The string is of our master, or of the one that came after it. Raises ConfigurationError: of another."""
    if pairing.master == device.master:
        return
    async with Transport(pairing.host, pairing.port) as transport:
        if pairing.master == await find_successor(transport, device):
            return
    raise ConfigurationError(
        f"this device belongs to another master (0x{device.master.hex()})",
        remedy="Use another --state-dir for another group.",
        code=ErrorCode.PAIRED_ELSEWHERE,
    )


def _take_pairing(store: KeyStore, pairing: PairingString, random: Random) -> _Device:
    """Put the pairing on the disk beside what is there: a finished join keeps its place and learns the new host.

    A string of another master may be that of our master's next key: where it leads is kept once that has proved itself.
    """
    state = store.load_state()
    if state is not None and state.step is JoinStep.REVOKED:
        store.set_aside()
        state = None
    keys = store.load_keys()
    if keys is None:
        if state is not None:
            raise KeyStoreError("the device's key is missing", remedy="Restore device.json, or pair anew.")
        keys = store.make_keys(random)
    if state is None:
        state = DeviceState(JoinStep.PAIRED, pairing.master, pairing.host, pairing.port, pairing.code)
    else:
        # A master that knows the device passes over the code. One that was put back from a backup pairs it anew.
        has_moved = (state.host, state.port) != (pairing.host, pairing.port)
        last_place = None if has_moved else state.last_place
        state = replace(state, host=pairing.host, port=pairing.port, code=pairing.code, last_place=last_place)
    if state.master == pairing.master:
        store.store_state(state)
    return _Device(store, keys, state)


def _finder(config: SlaveConfig, random: Random, report: Report) -> MasterFinder:
    search = listen_for_masters if config.mdns else None
    return MasterFinder(config.suites, random, report, search, heartbeat_s=config.heartbeat_s)


def _load_device(store: KeyStore) -> _Device:
    """The device as it lies on the disk; its keys are sealed from then on if there is a secret for it."""
    store.seal_keys()
    state, keys = store.load_state(), store.load_keys()
    if state is None or keys is None:
        raise ConfigurationError(
            "this device has not been paired",
            remedy="Run vgroup slave join with the string from vgroup device invite.",
            code=ErrorCode.NOT_PAIRED,
        )
    return _Device(store, keys, state)


async def _open_buffer(
    config: SlaveConfig, directory: StateDirectory, device: _Device, clock: Clock, random: Random
) -> Buffer:
    secret = device.keys.storage_secret
    return await Buffer.open(directory, secret, limits=config.buffer_limits, clock=clock, random=random)


async def _open_inbox(config: SlaveConfig, device: _Device, clock: Clock, random: Random) -> Inbox:
    return await Inbox.open(
        config.state_dir,
        device.keys.storage_secret,
        most=config.inbox_max,
        keeps_unhandled=bool(config.handlers),
        clock=clock,
        random=random,
    )


def _make_handlers(config: SlaveConfig, clock: Clock) -> list[Handler]:
    if config.handlers and config.via != "stream":
        raise ConfigurationError(
            "messages from other slaves come over the stream alone",
            remedy="Use via = stream, or take the handlers out.",
            code=ErrorCode.SETTING_WRONG,
        )
    return [make_handler(handler.kind, handler.options, clock) for handler in config.handlers]


async def _make_sensors(config: SlaveConfig, clock: Clock, *, may_be_none: bool) -> list[Sensor]:
    """The sensors; none is enough for a device that stays to receive messages, or that has handlers for them."""
    if not config.sensors and not config.handlers and not may_be_none:
        raise ConfigurationError(
            "no sensor is configured",
            remedy="Name one, for example --sensor psutil; see vgroup slave sensors.",
            code=ErrorCode.SENSOR_NOT_NAMED,
        )
    sensors = [make_sensor(sensor.kind, sensor.options, clock) for sensor in config.sensors]
    for sensor in sensors:
        await _check(sensor)
    return sensors


async def _check(sensor: Sensor) -> None:
    """A plug-in is foreign code: whatever it raises, the user learns which one it was. Raises SensorError."""
    try:
        await sensor.check()
    except SensorError:
        raise
    except Exception as exc:
        remedy = "Look whether its source is there; a plug-in's author would like to know."
        raise SensorError(f"{sensor.label} failed: {exc!r}", remedy=remedy) from exc
