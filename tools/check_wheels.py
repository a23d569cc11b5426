"""Whether every dependency has a wheel wherever vgroup is installed, so that no compiler is ever needed there.

``python tools/check_wheels.py UV`` asks, with the uv at that path, for each lock that is shipped, each Python and each
machine; nothing is downloaded but descriptions. First it asks for something that is known to have none, so that a check
which cannot fail does not pass.
"""

import itertools
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("slave", "master")
PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = ("x86_64-unknown-linux-gnu", "aarch64-manylinux_2_36")
"""The second is Debian 12 on a Raspberry Pi 3, 4 or 5."""
WITHOUT_WHEEL = ("atheris==3.0.0", "3.11", "aarch64-manylinux_2_36")


def missing(uv: str, requirements: Path, python: str, platform: str) -> str:
    """Empty if all requirements have wheels, else what uv says of the first that has none."""
    command = [uv, "pip", "compile", "--quiet", "--no-deps", "--only-binary=:all:", "--no-header"]
    command += [f"--python-platform={platform}", f"--python-version={python}", str(requirements)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stderr.strip() if ended.returncode else ""


def main(arguments: list[str]) -> int:
    """Name what has no wheel; 0 if nothing, 1 else."""
    uv = arguments[0]
    name, python, platform = WITHOUT_WHEEL
    with tempfile.TemporaryDirectory() as folder:
        control = Path(folder) / "control.in"
        control.write_text(name + "\n", "utf-8")
        if not missing(uv, control, python, platform):
            print(f"{name} has a wheel for {platform} now: this check needs another control")
            return 1
    questions = list(itertools.product(LOCKS, PLATFORMS, PYTHONS))
    with ThreadPoolExecutor(6) as pool:
        answers = pool.map(lambda it: missing(uv, ROOT / "requirements" / f"{it[0]}.lock", it[2], it[1]), questions)
        found = list(zip(questions, answers, strict=True))
    for (lock, platform, python), wrong in found:
        print(f"{lock}, {platform}, Python {python}: {wrong or 'every wheel is there'}")
    return 1 if any(wrong for _, wrong in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
