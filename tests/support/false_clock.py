"""Another time of day for a real process: libfaketime, from Debian's package of that name."""

from pathlib import Path
from typing import Final

from tests.support.ward import Surroundings

TEN_YEARS_S: Final = 10 * 365 * 86_400
_LIBRARIES: Final = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")


class FalseClock:
    """The wall clock of the processes in its surroundings; their monotonic clock is the machine's.

    Args:
        file: Where it keeps its setting.
        offset_s: By how much it is wrong.
    """

    def __init__(self, file: Path, offset_s: float = 0.0) -> None:
        self._file = file
        self.set(offset_s)

    def set(self, offset_s: float) -> None:
        """Let it jump."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{offset_s:+.0f}\n")
        draft.replace(self._file)

    @property
    def surroundings(self) -> Surroundings:
        """For processes that go by it."""
        return Surroundings(
            environment={
                "LD_PRELOAD": str(_library()),
                "FAKETIME_TIMESTAMP_FILE": str(self._file),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        )


def _library() -> Path:
    for pattern in _LIBRARIES:
        for path in Path("/").glob(pattern.removeprefix("/")):
            return path
    raise AssertionError("libfaketime is missing: make system-packages installs it (Debian)")
