"""Energies and series of figures that know where they come from.

A measured and a modelled figure are different types. They cannot be added, compared or put into one series, and
whatever shows one asks :func:`mark_of` first: so an estimate cannot pass for a measurement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot
from typing import Final, Self

from measure.errors import ProvenanceError

MODELLED_MARK: Final = "modelled"
"""Stands beside every modelled figure in every output."""


@dataclass(frozen=True, slots=True)
class MeasuredEnergy:
    """Energy from an instrument. ``uncertainty_j`` is one standard uncertainty of this single figure, in joules."""

    joules: float
    uncertainty_j: float = 0.0

    def less(self, other: Self) -> "MeasuredEnergy":
        """The difference; independent uncertainties add in squares."""
        return MeasuredEnergy(self.joules - other.joules, hypot(self.uncertainty_j, other.uncertainty_j))


@dataclass(frozen=True, slots=True)
class ModelledEnergy:
    """Energy calculated from CPU time by a model. It has no uncertainty to tell: nobody knows it."""

    joules: float


Energy = MeasuredEnergy | ModelledEnergy


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """What a series is of.

    Attributes:
        system: ``ours`` or ``paper's protocol``, each run on this machine.
        operation: What was done.
        quantity: ``time``, ``power`` or ``energy``, for energy with its domain.
        unit: ms, mW or µJ.
    """

    system: str
    operation: str
    quantity: str
    unit: str


@dataclass(frozen=True, slots=True)
class MeasuredSeries:
    """Figures of an instrument, in the order in which they were taken.

    Attributes:
        by: The instrument.
        shared_uncertainty: One standard uncertainty that all figures share (of the idle power that was subtracted), in
            the series' unit: no number of repetitions makes it smaller.
        lost: Why figures that ought to be here are not, one text each.
    """

    key: SeriesKey
    values: tuple[float, ...]
    by: str
    shared_uncertainty: float = 0.0
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelledSeries:
    """Figures of a model. ``by`` names the model with its coefficients and their source."""

    key: SeriesKey
    values: tuple[float, ...]
    by: str


Series = MeasuredSeries | ModelledSeries


def mark_of(series: Series) -> str:
    """What has to stand beside a figure of this series; empty for a measured one."""
    return MODELLED_MARK if isinstance(series, ModelledSeries) else ""


def require_same_provenance(first: Series, second: Series) -> None:
    """Refuse to compare a measurement with an estimate, or two units.

    Raises:
        ProvenanceError: One is measured and the other modelled, they are modelled differently, or the units differ.
    """
    if type(first) is not type(second):
        raise ProvenanceError(f"{first.key.quantity} is measured on one side and modelled on the other")
    if isinstance(first, ModelledSeries) and first.by != second.by:
        raise ProvenanceError("the two sides use different models")
    if first.key.unit != second.key.unit:
        raise ProvenanceError(f"{first.key.unit} cannot be compared with {second.key.unit}")


def series_of(key: SeriesKey, energies: Sequence[Energy], factor: float, by: str) -> Series:
    """A series out of energies, each times ``factor``; measured or modelled as they are.

    Raises:
        ProvenanceError: Some are measured and some modelled, or there is none.
    """
    values = tuple(energy.joules * factor for energy in energies)
    if energies and all(isinstance(energy, MeasuredEnergy) for energy in energies):
        return MeasuredSeries(key, values, by)
    if energies and all(isinstance(energy, ModelledEnergy) for energy in energies):
        return ModelledSeries(key, values, by)
    raise ProvenanceError("a series is either measured or modelled")
