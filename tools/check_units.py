"""Check the service units with systemd's own tool: `python tools/check_units.py`.

They have to be free of mistakes (``systemd-analyze verify``), and their sandbox tight (``systemd-analyze security``):
an exposure level under the bound below, 10 being a service without any.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

UNITS = sorted((Path(__file__).resolve().parent.parent / "deploy").glob("*/*.service"))
EXPOSURE_BOUND = 2.0
_LEVEL = re.compile(r"Overall exposure level for \S+: ([0-9.]+)")


def exposure_level(unit: Path) -> float:
    """What systemd-analyze makes of the unit's sandbox, from 0 to 10."""
    ended = _analyze("security", "--offline=true", "--no-pager", str(unit))
    found = _LEVEL.search(ended.stdout)
    if found is None:
        sys.exit(f"systemd-analyze security says nothing of {unit.name}: {ended.stderr}")
    return float(found[1])


def mistakes(unit: Path) -> str:
    """What systemd-analyze verify says. The programs that the package brings need not be there."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / unit.name
        copy.write_text(unit.read_text("utf-8").replace("ExecStart=/", "ExecStart=/bin/true /"), "utf-8")
        ended = _analyze("verify", "--man=no", "--generators=no", str(copy))
    return "\n".join(line for line in ended.stderr.splitlines() if unit.name in line)


def _analyze(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


def main() -> int:
    """Say the level of each unit; 0 if all is well, 1 else."""
    if shutil.which("systemd-analyze") is None:
        print("systemd-analyze is not installed: apt-get install systemd")
        return 1
    is_good = bool(UNITS)
    for unit in UNITS:
        level, wrong = exposure_level(unit), mistakes(unit)
        print(f"{unit.name}: exposure level {level} (bound {EXPOSURE_BOUND})")
        if wrong:
            print(wrong)
        is_good &= level < EXPOSURE_BOUND and not wrong
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
