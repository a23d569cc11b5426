"""The checkpoint period that a session is filling, and when it has to be closed (``docs/protocol.md`` §6).

A thousand slaves that set out together, after a power cut or a restart of their master, would send their checkpoints
together for ever after: a thousand signatures for the master to check at one moment of every ten seconds. So the first
period is closed at a share of what the terms allow, which each slave draws for itself, and the phases stay apart. The
same goes for an epoch that rises: it ends everybody's period at once.
"""

import math
from collections.abc import Callable

from group_protocol.identifiers import ObjectId
from group_protocol.ports import Clock
from group_protocol.records import CheckpointPeriod, RunningPeriod
from group_protocol.tickets import SessionTerms


def whole_period() -> float:
    """The share of who has nobody to avoid."""
    return 1.0


class OpenPeriod:
    """Checkpointed records that were sent and have no checkpoint yet.

    Args:
        terms: The most records and seconds of a period.
        clock: For its age.
        draw_share: Answers 0 … 1: which part of them :meth:`spread` leaves.
    """

    def __init__(self, terms: SessionTerms, clock: Clock, draw_share: Callable[[], float] = whole_period) -> None:
        self._terms = terms
        self._clock = clock
        self._draw_share = draw_share
        self._running = RunningPeriod()
        self._since_s = 0.0
        self._records_max = terms.checkpoint_records
        self._longest_s: float = terms.checkpoint_s

    @property
    def records(self) -> int:
        """How many wait for the checkpoint."""
        return self._running.records

    @property
    def is_full(self) -> bool:
        """Whether it holds as many records as it may."""
        return self._running.records >= self._records_max

    @property
    def due_s(self) -> float | None:
        """When it is too old, in the clock's steady seconds; None if it is empty."""
        return self._since_s + self._longest_s if self._running.records else None

    @property
    def is_overdue(self) -> bool:
        """Whether it is too old."""
        return self._running.records > 0 and self._clock.monotonic_s() >= self._since_s + self._longest_s

    def spread(self) -> None:
        """Close this period, or the next if it is empty, early: other slaves set out at the same instant."""
        share = self._draw_share()
        left = self._terms.checkpoint_records - self._running.records
        self._records_max = self._running.records + math.ceil(share * left)
        self._longest_s = share * self._terms.checkpoint_s

    def begin_anew(self) -> None:
        """Forget its records; the next one is closed when this one would have been."""
        self._running = RunningPeriod()

    def add(self, receiver: ObjectId, seq: int, epoch: int, record_payload_hash: bytes) -> None:
        """Take a record that was sent."""
        if not self._running.records:
            self._since_s = self._clock.monotonic_s()
        self._running.add(receiver, seq, epoch, record_payload_hash)

    def close(self) -> CheckpointPeriod | None:
        """What the checkpoint has to cover; None if there is nothing. The next period is as long as the terms allow."""
        period = self._running.to_period()
        if period is not None:
            self._running = RunningPeriod()
            self._records_max = self._terms.checkpoint_records
            self._longest_s = self._terms.checkpoint_s
        return period
