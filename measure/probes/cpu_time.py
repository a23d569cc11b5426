"""The last resort: CPU time of this process times a coefficient. It measures nothing and says so everywhere."""

import time
from collections.abc import Callable, Mapping

from measure.probes.coefficients import Coefficient
from measure.probes.port import Domain, Mark, ProbeCard
from measure.quantities import Energy, ModelledEnergy


class CpuTimeModel:
    """Energy above idle = CPU seconds of this process × watts of a busy core.

    It knows nothing of memory, frequency, voltage, other processes or the kernel's work for them. Two operations of
    equal CPU time have equal energies here by construction: the model tells no more than the time does.
    """

    def __init__(self, coefficient: Coefficient, cpu_s: Callable[[], float] = time.process_time) -> None:
        self._coefficient = coefficient
        self._cpu_s = cpu_s
        self.card = ProbeCard("CPU-time model", is_modelled=True, detail=coefficient.text, domains=(Domain.PROCESS,),
                              shortest_window_s=0.01)  # fmt: skip

    def mark(self) -> Mark:
        """CPU seconds so far."""
        return Mark(time.monotonic(), time.time(), {"cpu_s": self._cpu_s()})

    def energy(self, begin: Mark, end: Mark) -> Mapping[Domain, Energy]:
        """Never measured."""
        spent_s = end.counters["cpu_s"] - begin.counters["cpu_s"]
        return {Domain.PROCESS: ModelledEnergy(spent_s * self._coefficient.busy_core_w)}

    def close(self) -> None:
        """Nothing runs."""
