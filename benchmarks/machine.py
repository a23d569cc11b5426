"""What the numbers were measured on. No paths and no host name: results are published."""

import os
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pyperf

_KEPT: Final = (
    "cpu_model_name",
    "cpu_count",
    "cpu_freq",
    "cpu_config",
    "platform",
    "python_implementation",
    "python_version",
    "python_compiler",
    "perf_version",
    "timer",
)
_LIBRARIES: Final = (
    "aiohttp",
    "cbor2",
    "coincurve",
    "cryptography",
    "eth-hash",
    "pycryptodome",
    "safe-pysha3",
    "sqlalchemy",
)

Description = dict[str, str | int | float | list[float]]


def describe_machine() -> Description:
    """Processor, kernel, Python, library versions, and the load right now: who else worked on the machine."""
    collected = pyperf.Run([1.0]).get_metadata()
    described: Description = {name: collected[name] for name in _KEPT if name in collected}
    described |= {f"version of {name}": version(name) for name in _LIBRARIES}
    described["load average (1, 5, 15 min)"] = [round(load, 2) for load in os.getloadavg()]
    described["memory MiB"] = memory_mib()
    return described


def memory_mib() -> int:
    """What the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20


def source_root() -> Path:
    """The project's folder."""
    return Path(__file__).resolve().parent.parent
