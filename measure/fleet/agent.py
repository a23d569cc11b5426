"""A device sends its results to its master, as any other readings: buffered, signed, acknowledged."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.senml import Reading
from group_protocol.suites import DEFAULT_SUITES
from measure.fleet.parcels import pack
from measure.results import Results
from slave_client.batching import BatchRules
from slave_client.buffer import Buffer
from slave_client.buffered_record import BufferLimits
from slave_client.daemon import Daemon, DaemonOptions
from slave_client.finding.finder import MasterFinder
from slave_client.joining import Joining, Offer
from slave_client.keystore import KeyStore
from slave_client.processor import preferred_aeads
from slave_client.state_directory import StateDirectory
from slave_client.status import STATUS_FILE
from system_ports.clock import SystemClock
from system_ports.randomness import SystemRandom

_BACKOFF_LONGEST_S: Final = 5.0
_STATUS_S: Final = 10.0


class ParcelSensor:
    """A sensor that says what it was given, once, and ends."""

    label = "vgroup measure"
    is_recording = True

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = readings

    async def check(self) -> None:
        """Always there."""

    async def readings(self) -> AsyncIterator[Reading]:
        """All at once."""
        for reading in self._readings:
            yield reading


async def send_results(
    state_dir: Path, all_results: Sequence[Results], *, patience_s: float, report: Callable[[str], None]
) -> bool:
    """Send results as the device whose state directory that is. Answers whether the master has acknowledged all.

    What is not acknowledged in time stays in the device's buffer: its next ``vgroup slave run`` delivers it.

    Raises:
        ConfigurationError: The device has not been paired.
        VirtualGroupError: It is revoked, or its slave is running.
    """
    clock, random = SystemClock(), SystemRandom()
    with StateDirectory(state_dir) as directory:
        store = KeyStore(directory)
        state, keys = store.load_state(), store.load_keys()
        if state is None or keys is None:
            raise ConfigurationError(
                "this device has not been paired",
                remedy="Run vgroup slave join with the string of vgroup device invite.",
                code=ErrorCode.NOT_PAIRED,
            )
        readings = [reading for results in all_results for reading in pack(results, clock.now_unix_s())]
        daemon = Daemon(
            joining=Joining(
                store, keys, state, offer=Offer(DEFAULT_SUITES, preferred_aeads()), random=random, report=report
            ),
            reach=MasterFinder(DEFAULT_SUITES, random, report).session,
            buffer=await Buffer.open(directory, keys.storage_secret, limits=BufferLimits(), clock=clock, random=random),
            sensors=[ParcelSensor(readings)],
            options=DaemonOptions(
                via="data",
                batch=BatchRules(readings_max=1),
                backoff_longest_s=_BACKOFF_LONGEST_S,
                status_file=state_dir / STATUS_FILE,
                status_s=_STATUS_S,
            ),
            clock=clock,
            random=random,
            report=report,
        )
        stop = asyncio.Event()
        timer = asyncio.get_running_loop().call_later(patience_s, stop.set)
        try:
            await daemon.run(stop)
        finally:
            timer.cancel()
    return not stop.is_set()
