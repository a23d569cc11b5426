"""What a look at a machine found, each with what to do about it: what the tiers share of ``vgroup doctor``."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from group_protocol.error_codes import ErrorCode
from system_ports.private_files import mode_open_to_others

DISK_LOW_BYTES: Final = 500_000_000
BUILT_AFTER_UNIX_S: Final = 1_767_225_600
"""1 January 2026: no clock that is right says less."""
CLOCK_DIFFERENCE_S: Final = 300
CLOCK_SYNCHRONISED: Final = Path("/run/systemd/timesync/synchronized")


class Level(StrEnum):
    """How bad it is."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's.

    Attributes:
        question: What was looked at.
        answer: What it is.
        remedy: What to do; empty where all is well.
        code: The name of the page about it; ``None`` where all is well.
    """

    level: Level
    question: str
    answer: str
    remedy: str = ""
    code: ErrorCode | None = None


def good(question: str, answer: str) -> Finding:
    """It is as it should be."""
    return Finding(Level.GOOD, question, answer)


def note(question: str, answer: str, remedy: str, code: ErrorCode) -> Finding:
    """It works, and should be looked after."""
    return Finding(Level.NOTE, question, answer, remedy, code)


def bad(question: str, answer: str, remedy: str, code: ErrorCode) -> Finding:
    """It does not work."""
    return Finding(Level.BAD, question, answer, remedy, code)


def look_at_clock(now_unix_s: Callable[[], float] = time.time, synchronised: Path = CLOCK_SYNCHRONISED) -> Finding:
    """The wall clock: records carry its time, and signatures for the contract have deadlines. Security needs none."""
    now = now_unix_s()
    text = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < BUILT_AFTER_UNIX_S:
        remedy = "Set it: sudo timedatectl set-ntp true, or date --set."
        return bad("clock", f"{text}: that is long ago", remedy, ErrorCode.CLOCK_WRONG)
    if not synchronised.exists():
        remedy = "See: timedatectl. Readings carry this time."
        return note("clock", f"{text}, not known to be synchronised", remedy, ErrorCode.CLOCK_WRONG)
    return good("clock", text)


def compare_clocks(other_unix_s: float | None, now_unix_s: float, other: str) -> Finding:
    """This clock beside another's."""
    if other_unix_s is None:
        return note(f"clock beside {other}", "it tells no time", "", ErrorCode.CLOCK_WRONG)
    difference_s = now_unix_s - other_unix_s
    if abs(difference_s) > CLOCK_DIFFERENCE_S:
        remedy = "Set both by NTP: times of readings cannot be compared."
        return note(f"clock beside {other}", f"{difference_s:+,.0f} s", remedy, ErrorCode.CLOCK_WRONG)
    return good(f"clock beside {other}", f"{difference_s:+.0f} s")


def look_at_disk(folder: Path) -> Finding:
    """Room where a folder lies."""
    usage = shutil.disk_usage(folder)
    text = f"{usage.free / 1e9:,.1f} GB free of {usage.total / 1e9:,.1f} GB at {folder}"
    if usage.free < DISK_LOW_BYTES:
        return bad("disk", text, "Make room: what cannot be written is not acknowledged.", ErrorCode.DISK_LOW)
    return good("disk", text)


def look_at_permissions(folder: Path) -> Finding:
    """Whether others than its owner can reach into the folder."""
    mode = mode_open_to_others(folder)
    if mode is not None:
        return bad("permissions", f"{folder} has mode {mode:o}", f"chmod 700 {folder}", ErrorCode.FILE_OPEN_TO_OTHERS)
    return good("permissions", f"{folder} is open to its owner alone")
