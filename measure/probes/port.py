"""The port that every source of energy figures stands behind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from measure.quantities import Energy


class Domain(StrEnum):
    """What a figure covers."""

    PACKAGE = "CPU package"
    CORES = "CPU cores"
    UNCORE = "uncore"
    DRAM = "DRAM"
    PLATFORM = "platform"
    BOARD = "whole board"
    PROCESS = "this process"


CPU_DOMAINS = (Domain.PACKAGE, Domain.CORES, Domain.PROCESS, Domain.BOARD, Domain.PLATFORM)
"""What can stand for the paper's "CPU power", the best first."""


@dataclass(frozen=True, slots=True)
class ProbeCard:
    """What a probe says of itself in every table it feeds.

    Attributes:
        name: Short.
        is_modelled: Whether it calculates instead of measuring.
        detail: Instrument or model with its coefficients and their source, in one line.
        shortest_window_s: Below this its figures say nothing: it is not asked for shorter ones.
    """

    name: str
    is_modelled: bool
    detail: str
    domains: tuple[Domain, ...]
    shortest_window_s: float

    @property
    def main_domain(self) -> Domain:
        """The domain that stands for the CPU."""
        return next(domain for domain in CPU_DOMAINS if domain in self.domains)


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment, as one probe saw it.

    Attributes:
        monotonic_s: For lengths of time.
        unix_s: For instruments with a clock of their own.
        counters: The probe's own counters then.
    """

    monotonic_s: float
    unix_s: float
    counters: Mapping[str, float] = field(default_factory=dict)


class EnergyProbe(Protocol):
    """A source of energy figures. ``close`` ends whatever it started."""

    @property
    def card(self) -> ProbeCard:
        """What it is."""
        ...

    def mark(self) -> Mark:
        """Note a moment. Cheap, and close to the moment it is called."""
        ...

    def energy(self, begin: Mark, end: Mark) -> Mapping[Domain, Energy]:
        """Energy between two moments, by domain; all measured or all modelled.

        Raises:
            MeasurementError: This window cannot be told (a gap, too long); others may be.
        """
        ...

    def close(self) -> None:
        """End it. The marks that were made stay good."""
        ...
