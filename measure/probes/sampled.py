"""Energy out of an instrument that shows power: a thread reads it again and again and adds up."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from measure.errors import MeasurementError
from measure.probes.port import Domain, Mark, ProbeCard
from measure.quantities import Energy, MeasuredEnergy


class PowerSensor(Protocol):
    """An instrument that shows the power of now.

    ``card.shortest_window_s`` has to span some ten of its readings; ``uncertainty`` is a share of the reading.
    """

    @property
    def card(self) -> ProbeCard:
        """What it is."""
        ...

    @property
    def interval_s(self) -> float:
        """How often a new reading makes sense."""
        ...

    @property
    def uncertainty(self) -> float:
        """Standard uncertainty as a share of the reading, from its data sheet; 0 where none is stated."""
        ...

    def read_w(self) -> Mapping[Domain, float]:
        """Watts. Raises MeasurementError if it cannot be read now."""
        ...


class Integral:
    """Power added up over time by the trapezoidal rule."""

    def __init__(self) -> None:
        self._last: tuple[float, Mapping[Domain, float]] | None = None
        self.joules: dict[Domain, float] = {}

    def add(self, now_s: float, watts: Mapping[Domain, float]) -> None:
        """Take one reading."""
        if self._last is not None:
            last_s, last_w = self._last
            for domain, power_w in watts.items():
                area = (power_w + last_w.get(domain, power_w)) / 2 * (now_s - last_s)
                self.joules[domain] = self.joules.get(domain, 0.0) + area
        self._last = (now_s, watts)


class SampledProbe:
    """An energy probe out of a power sensor. Its thread costs CPU time of its own, in every phase the same."""

    def __init__(self, sensor: PowerSensor, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._sensor = sensor
        self._monotonic_s = monotonic_s
        self._integral = Integral()
        self._failure: MeasurementError | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.card = sensor.card
        self._sample()
        self._thread = threading.Thread(target=self._run, name=self.card.name, daemon=True)
        self._thread.start()

    def mark(self) -> Mark:
        """Take a reading of its own, so that the moment is an end of the area."""
        self._sample()
        with self._lock:
            counters = {domain.value: joules for domain, joules in self._integral.joules.items()}
            return Mark(self._monotonic_s(), time.time(), counters)

    def energy(self, begin: Mark, end: Mark) -> Mapping[Domain, Energy]:
        """The area between two marks."""
        if self._failure is not None:
            raise self._failure
        return {
            domain: MeasuredEnergy(joules, abs(joules) * self._sensor.uncertainty)
            for domain in self.card.domains
            for joules in [end.counters.get(domain.value, 0.0) - begin.counters.get(domain.value, 0.0)]
        }

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while not self._stop.wait(self._sensor.interval_s):
            self._sample()

    def _sample(self) -> None:
        try:
            with self._lock:
                watts = self._sensor.read_w()
                self._integral.add(self._monotonic_s(), watts)
        except MeasurementError as exc:
            self._failure = exc
