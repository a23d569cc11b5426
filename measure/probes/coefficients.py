"""Coefficients of the CPU-time model: watts that one busy core adds to an idle machine, and who says so."""

import re
from dataclasses import dataclass
from typing import Final

_PI_SOURCE: Final = "Pi Dramble's power benchmarks (pidramble.com), board idle and with all four cores busy"
_SERVER_SOURCE: Final = "Cloud Carbon Footprint's coefficients (SPECpower_ssj2008), max − min watts per hardware thread"


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One entry.

    Attributes:
        processor: What it is for.
        pattern: Found in the machine's model name.
        busy_core_w: Watts above idle per busy core.
        working: How the number comes about.
        source: Who measured.
        fits: False where it was measured on another processor than this machine's.
    """

    processor: str
    pattern: str
    busy_core_w: float
    working: str
    source: str
    fits: bool = True

    @property
    def text(self) -> str:
        """The whole statement, as it stands below every modelled figure."""
        warning = "" if self.fits else "; THIS MACHINE HAS ANOTHER PROCESSOR: order of magnitude only"
        return f"{self.busy_core_w:g} W per busy core ({self.processor}: {self.working}; {self.source}{warning})"


COEFFICIENTS: Final = (
    Coefficient(
        "Raspberry Pi 3 B", r"Raspberry Pi 3 Model B\b(?! Plus)", (3.7 - 1.4) / 4, "(3.7 − 1.4 W) / 4", _PI_SOURCE
    ),
    Coefficient("Raspberry Pi 3 B+", r"Raspberry Pi 3 Model B Plus", (5.1 - 1.9) / 4, "(5.1 − 1.9 W) / 4", _PI_SOURCE),
    Coefficient("Raspberry Pi 4 B", r"Raspberry Pi 4 Model B", (6.4 - 2.7) / 4, "(6.4 − 2.7 W) / 4", _PI_SOURCE),
    Coefficient("Intel Haswell server", r"Xeon.* E[357]-\d{4} v3", 5.99 - 1.90, "5.99 − 1.90 W", _SERVER_SOURCE),
    Coefficient("Intel Broadwell server", r"Xeon.* E[357]-\d{4} v4", 3.54 - 0.71, "3.54 − 0.71 W", _SERVER_SOURCE),
    Coefficient(
        "Intel Cascade Lake server",
        r"Xeon.* (?:Gold|Silver|Platinum|Bronze) \d2\d\d",
        3.80 - 0.64,
        "3.80 − 0.64 W",
        _SERVER_SOURCE,
    ),
    Coefficient(
        "Intel Skylake server",
        r"Xeon.* (?:Gold|Silver|Platinum|Bronze) \d1\d\d",
        4.05 - 0.64,
        "4.05 − 0.64 W",
        _SERVER_SOURCE,
    ),
    Coefficient("AMD EPYC, 1st generation", r"EPYC 7\d\d1\b", 2.55 - 0.82, "2.55 − 0.82 W", _SERVER_SOURCE),
    Coefficient("AMD EPYC, 2nd generation", r"EPYC 7\w\w2\b", 1.64 - 0.47, "1.64 − 0.47 W", _SERVER_SOURCE),
    Coefficient("AMD EPYC, 3rd generation", r"EPYC 7\w\w3\b", 1.87 - 0.45, "1.87 − 0.45 W", _SERVER_SOURCE),
)
_STANDS_IN: Final = Coefficient(
    "Intel Cascade Lake server", "", 3.80 - 0.64, "3.80 − 0.64 W", _SERVER_SOURCE, fits=False
)


def find_coefficient(model_name: str, architecture: str) -> Coefficient | None:
    """The entry for a processor or board; on another x86 server one that stands in and says so; else None."""
    for coefficient in COEFFICIENTS:
        if re.search(coefficient.pattern, model_name):
            return coefficient
    is_server = re.search(r"Xeon|EPYC", model_name) is not None
    return _STANDS_IN if is_server and architecture in ("x86_64", "AMD64") else None
