"""Try the pipx way of docs/install.md: `python tools/try_pipx.py dist/vgroup-*.whl`.

pipx itself comes from requirements/pipx.lock into an environment of its own; what it installs comes from the package
index, unpinned, as for any user. A master and a device are installed beside each other, the device joins, and one
reading arrives. All of it lies in a temporary folder; nothing is left behind.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "pipx.lock"
START_TIMEOUT_S = 90


class Site:
    """A home of its own, with pipx in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "bin"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("VGROUP_")}
        self.environment |= {
            "HOME": str(folder),
            "PIPX_HOME": str(folder / "pipx"),
            "PIPX_BIN_DIR": str(self.programs),
            "PIPX_DEFAULT_PYTHON": sys.executable,
            "VGROUP_MASTER_DIR": str(folder / "master"),
            "VGROUP_SLAVE_DIR": str(folder / "slave"),
        }

    def run(self, *command: str | Path) -> str:
        """What a command prints. Raises CalledProcessError."""
        words = [str(word) for word in command]
        ended = subprocess.run(
            words, env=self.environment, capture_output=True, text=True, check=False, cwd=self.folder
        )
        if ended.returncode:
            print(ended.stdout[-2_000:], ended.stderr[-4_000:])
            ended.check_returncode()
        return ended.stdout


def install(site: Site, wheel: Path) -> None:
    """pipx, then by it a device's program and a master's, as docs/install.md says; the second has a suffix."""
    venv.create(site.folder / "venv", with_pip=True)
    python = site.folder / "venv" / "bin" / "python"
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input")
    site.run(*pip, "--require-hashes", "--only-binary=:all:", "-r", LOCK)
    pipx = (python, "-m", "pipx", "install", "--quiet")
    site.run(*pipx, f"{wheel}[slave]")
    site.run(*pipx, "--suffix=-master", f"{wheel}[master]")


@contextmanager
def running_master(site: Site) -> Iterator[Path]:
    """A master with a group, on any port of loopback; its program."""
    program, ready_file = site.programs / "vgroup-master", site.folder / "ready.json"
    site.run(program, "master", "init", "--plain-key")
    words = [str(program), "master", "run", "--port", "0", "--ready-file", str(ready_file), "--log-level", "WARNING"]
    with subprocess.Popen(words, env=site.environment, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(ready_file.exists, "the master is ready")
            site.run(program, "group", "create", "Ward 3")
            yield program
        finally:
            process.terminate()


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    """Look a few times a second. Raises TimeoutError."""
    ends_s = time.monotonic() + START_TIMEOUT_S
    while not is_so():
        if time.monotonic() > ends_s:
            raise TimeoutError(f"never: {what}")
        time.sleep(0.2)


def join_and_send(site: Site, master: Path) -> int:
    """A device joins and replays three readings; how many lines the master's export has."""
    program = site.programs / "vgroup"
    invited = json.loads(site.run(master, "device", "invite", "Bed 1", "--host", "127.0.0.1", "--json"))
    site.run(program, "slave", "join", invited["pairing_string"])
    recording = site.folder / "pulse.csv"
    recording.write_text("71\n72\n73\n", "utf-8")
    site.run(program, "slave", "run", "--sensor", f"replay:{recording},rate_hz=50")
    return len(site.run(master, "records", "export").splitlines())


def main(arguments: list[str]) -> int:
    """0 if all is well, 1 else."""
    wheels = [Path(word).resolve() for word in arguments]
    if len(wheels) != 1:
        print("name the wheel: make wheel")
        return 1
    with tempfile.TemporaryDirectory(prefix="vgroup-pipx-") as folder:
        site = Site(Path(folder))
        install(site, wheels[0])
        version = site.run(site.programs / "vgroup", "--version").strip()
        if version != f"vgroup {wheels[0].name.split('-')[1]}":
            print(f"vgroup --version says {version}")
            return 1
        if "ss -ltnp" not in site.run(site.programs / "vgroup", "explain", "port-in-use"):
            print("the pages of the error codes are not in the wheel")
            return 1
        with running_master(site) as master:
            lines = join_and_send(site, master)
    if lines < 1 + 3:
        print(f"three readings were sent, and the export has {lines} lines")
        return 1
    print(f"{version} by pipx: a device joined a master, and its readings are in the master's store")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
