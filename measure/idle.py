"""Is the machine quiet enough to measure on? Asked first, and written beside the results."""

from dataclasses import dataclass
from typing import Final

import psutil

from measure.machine import Machine

BUSY_LIMIT_PERCENT: Final = 10.0
"""CPU time of everything else; above it scheduling shows in the times."""
TEMPERATURE_LIMIT_C: Final = 75.0
"""A Raspberry Pi lowers its clock at 80 °C; most processors somewhat above."""
_FREQUENCY_SHARE: Final = 0.8


@dataclass(frozen=True, slots=True)
class IdleCheck:
    """One question and its answer."""

    question: str
    holds: bool
    answer: str


@dataclass(frozen=True, slots=True)
class Condition:
    """How the machine was doing for a while. None where the machine does not tell."""

    busy_percent: float
    load_per_core: float
    free_memory_mb: int
    frequency_mhz: float | None
    frequency_max_mhz: float | None
    temperature_c: float | None


def observe_condition(seconds: float) -> Condition:
    """Watch the machine for some seconds, doing nothing."""
    busy_percent = psutil.cpu_percent(interval=seconds)
    frequency = _frequency()
    sensors = psutil.sensors_temperatures() if hasattr(psutil, "sensors_temperatures") else {}
    temperatures = [entry.current for entries in sensors.values() for entry in entries]
    return Condition(
        busy_percent=busy_percent,
        load_per_core=psutil.getloadavg()[0] / (psutil.cpu_count() or 1),
        free_memory_mb=psutil.virtual_memory().available // 1_000_000,
        frequency_mhz=frequency[0] if frequency else None,
        frequency_max_mhz=(frequency[1] or None) if frequency else None,
        temperature_c=max(temperatures) if temperatures else None,
    )


def describe_condition(condition: Condition) -> str:
    """In a line."""
    frequency, temperature = condition.frequency_mhz, condition.temperature_c
    return (
        f"CPU {condition.busy_percent:.0f} % busy, load {condition.load_per_core:.2f} per core,"
        f" {condition.free_memory_mb:,} MB free,"
        f" {'frequency unknown' if frequency is None else f'{frequency:.0f} MHz'},"
        f" {'temperature unknown' if temperature is None else f'{temperature:.0f} °C'}"
    )


def _frequency() -> tuple[float, float] | None:
    """MHz now and at most. None where the kernel tells none, as in many virtual machines."""
    frequency: object = psutil.cpu_freq()
    current, highest = getattr(frequency, "current", None), getattr(frequency, "max", None)
    return None if current is None else (float(current), float(highest or 0.0))


def check_idle(condition: Condition, machine: Machine) -> tuple[IdleCheck, ...]:
    """What would spoil the figures."""
    frequency, frequency_max, temperature = (
        condition.frequency_mhz, condition.frequency_max_mhz, condition.temperature_c
    )  # fmt: skip
    is_slowed = frequency is not None and frequency_max is not None and frequency < _FREQUENCY_SHARE * frequency_max
    return (
        IdleCheck(
            "Is nothing else running?",
            condition.busy_percent <= BUSY_LIMIT_PERCENT,
            f"CPU {condition.busy_percent:.0f} % busy, load {condition.load_per_core:.2f} per core",
        ),
        IdleCheck(
            "Is the frequency fixed?",
            machine.governor in ("performance", "") and not is_slowed,
            f"governor {machine.governor or 'unknown'}, {f'{frequency:.0f} MHz' if frequency else 'frequency unknown'}",
        ),
        IdleCheck(
            "Is it cool enough not to slow down?",
            temperature is None or temperature < TEMPERATURE_LIMIT_C,
            "temperature unknown" if temperature is None else f"{temperature:.0f} °C",
        ),
        IdleCheck("Is it a real machine?", not machine.is_virtual, "virtual" if machine.is_virtual else "real"),
    )
