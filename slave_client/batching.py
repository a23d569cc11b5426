"""From readings to records: what the sensors say is packed together, and the buffer commits it."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from group_protocol.errors import LocalProtocolError, StoreError
from group_protocol.limits import PAYLOAD_MAX_BYTES, READINGS_MAX
from group_protocol.ports import Clock
from group_protocol.senml import Reading, encode_readings
from slave_client.buffer import Buffer
from slave_client.outbox import TO_MASTER

_COMMIT_RETRY_S = 1.0
_FORGET_S = 5.0
"""An idle device deletes what was acknowledged this long after; a busy one with its next record."""


@dataclass(frozen=True, slots=True)
class BatchRules:
    """How readings are gathered. A batch becomes one record; records within ``commit_s`` share a disk write.

    Attributes:
        readings_max: A batch ends with so many readings (at most 1,024).
        batch_s: Or so many seconds after its first one.
        commit_s: A finished batch may wait so long in memory for its disk write: the most that a power cut can take.
    """

    readings_max: int = 128
    batch_s: float = 1.0
    commit_s: float = 0.0


class Batcher:
    """Gathers readings and feeds the buffer.

    Args:
        buffer: Where records go.
        rules: How to gather.
        clock: For the age of a batch.
        committed: Called after each commit: there is something to send.
        report: Called with each error of the store, and with None when it works again.
    """

    def __init__(
        self,
        buffer: Buffer,
        rules: BatchRules,
        clock: Clock,
        *,
        committed: Callable[[], None],
        report: Callable[[StoreError | None], None],
    ) -> None:
        self._buffer = buffer
        self._rules = rules
        self._clock = clock
        self._committed = committed
        self._report = report
        self._batch: list[Reading] = []
        self._batch_since_s = 0.0
        self._stirred = asyncio.Event()
        self._dirty = asyncio.Event()
        self._acknowledged = asyncio.Event()
        self.payload_max_bytes = PAYLOAD_MAX_BYTES
        self.readings = 0
        self.refused_readings = 0

    async def add(self, reading: Reading) -> None:
        """Take a reading. Waits while the disk is far behind, up to a second: then the buffer drops its oldest."""
        if not self._batch:
            self._batch_since_s = self._clock.monotonic_s()
            self._stirred.set()
        self._batch.append(reading)
        self.readings += 1
        if len(self._batch) >= min(self._rules.readings_max, READINGS_MAX):
            self.end_batch()
            if self._buffer.is_far_behind:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_COMMIT_RETRY_S):
                        await self._buffer.wait_for_commit()

    def end_batch(self) -> None:
        """Make a record of what is gathered."""
        batch, self._batch = self._batch, []
        if batch:
            self._append(batch)
            self._dirty.set()

    async def run(self) -> None:
        """End batches by age and commit them, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._end_old_batches())
            tasks.create_task(self._commit_batches())
            tasks.create_task(self._forget_acknowledged())

    def acknowledged(self) -> None:
        """The buffer can forget something: by its next commit, or after a while by one of its own."""
        self._acknowledged.set()

    async def _end_old_batches(self) -> None:
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            while self._batch:
                left_s = self._batch_since_s + self._rules.batch_s - self._clock.monotonic_s()
                if left_s <= 0:
                    self.end_batch()
                else:
                    await asyncio.sleep(left_s)

    async def _forget_acknowledged(self) -> None:
        while True:
            await self._acknowledged.wait()
            await asyncio.sleep(_FORGET_S)
            self._acknowledged.clear()
            self._dirty.set()

    async def _commit_batches(self) -> None:
        while True:
            await self._dirty.wait()
            await asyncio.sleep(self._rules.commit_s)
            self._dirty.clear()
            try:
                await self._buffer.commit()
            except StoreError as exc:
                self._report(exc)
                self._dirty.set()
                await asyncio.sleep(_COMMIT_RETRY_S)
            else:
                self._report(None)
                self._committed()

    def _append(self, batch: list[Reading]) -> None:
        """One record, or more where a payload would be too large; what SenML cannot say is counted and left out."""
        try:
            payload = encode_readings(batch)
        except LocalProtocolError:
            payload = None
        if payload is not None and len(payload) <= self.payload_max_bytes:
            self._buffer.append(payload, TO_MASTER, readings=len(batch))
        elif len(batch) == 1:
            self.refused_readings += 1
        else:
            half = len(batch) // 2
            self._append(batch[:half])
            self._append(batch[half:])
