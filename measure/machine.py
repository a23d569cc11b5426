"""What machine this is, and how it is doing: what every result has to say beside its figures."""

import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

PACKAGES: Final = (
    "coincurve",
    "cryptography",
    "pycryptodome",
    "safe-pysha3",
    "aiohttp",
    "py-evm",
    "numpy",
    "matplotlib",
    "psutil",
)
_GIT_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Machine:
    """Identity of the machine and of the software.

    Attributes:
        model: The board's or processor's name.
        governor: How the frequency is chosen; empty where the kernel does not say.
        commit: Of the source tree, with ``+changes`` if it was changed; empty outside one.
    """

    name: str
    model: str
    architecture: str
    cores: int
    memory_mb: int
    kernel: str
    system: str
    governor: str
    is_virtual: bool
    python: str
    version: str
    packages: dict[str, str]
    commit: str

    @property
    def title(self) -> str:
        """For a column's head."""
        return f"{self.model} × {self.cores}" + (" (virtual)" if self.is_virtual else "")


def describe_machine(root: Path = Path("/"), source: Path | None = None) -> Machine:
    """Look at this machine.

    Args:
        root: Where ``proc`` and ``sys`` are.
        source: The source tree, for its commit; None for this package's.
    """
    cpuinfo = _read(root / "proc" / "cpuinfo")
    return Machine(
        name=platform.node(),
        model=_model(root, cpuinfo),
        architecture=platform.machine(),
        cores=os.cpu_count() or 1,
        memory_mb=psutil.virtual_memory().total // 1_000_000,
        kernel=platform.release(),
        system=platform.freedesktop_os_release().get("PRETTY_NAME", "")
        if platform.system() == "Linux"
        else platform.platform(),
        governor=_read(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip(),
        is_virtual=" hypervisor" in cpuinfo,
        python=platform.python_version(),
        version=_version("vgroup"),
        packages={name: _version(name) for name in PACKAGES},
        commit=_commit(source or Path(__file__).parent),
    )


def _model(root: Path, cpuinfo: str) -> str:
    """A board's own name (Raspberry Pi), else the processor's."""
    if board := _read(root / "proc/device-tree/model").strip("\0\n "):
        return board
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.processor() or platform.machine()


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _commit(folder: Path) -> str:
    commit = _git(folder, "rev-parse", "--short=12", "HEAD")
    return commit and commit + ("+changes" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            ("git", "-C", str(folder), *words),  # noqa: S607 - whichever git the user has
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
