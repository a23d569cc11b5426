"""Run the slave's package as 64-bit ARM code: `python -m tools.try_arm DEB`, as root.

An arm64 Debian 12 (debootstrap, kept in .cache) runs under qemu's user emulation. The package is unpacked in a copy,
joins a master that runs on this machine over loopback, and streams; the master then verifies what it stored. Debian's
packages and ours are unpacked by this machine's dpkg: under emulation that alone would take ten minutes. What the
package's scripts do is tried on x86-64 (tools/try_deb.py); they are the same.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tools.try_deb import CACHE, SUITE, fresh_copy

ROOT = Path(__file__).resolve().parent.parent
INCLUDED = "adduser,python3,python3.11,libstdc++6,libgcc-s1"
TOOLS = {"debootstrap": "debootstrap", "qemu-aarch64-static": "qemu-user-static"}
BINFMT = Path("/proc/sys/fs/binfmt_misc")
RULE = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
VGROUP = str(ROOT / ".venv" / "bin" / "vgroup")
RECORDING = "/root/pulse.csv"
"""Numbers to stream: what the processor's own sensor says under emulation is of no interest."""
READINGS_MIN = 20
PATIENCE_S = 600


def let_arm_programs_run() -> None:
    """Tell the kernel what to start ARM programs with, if it does not know."""
    if not (BINFMT / "register").exists():
        _run("mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT)
    if not (BINFMT / "qemu-aarch64").exists():
        (BINFMT / "register").write_bytes(RULE.read_bytes())


def arm_root() -> Path:
    """A minimal arm64 Debian, made once."""
    base = CACHE / "base-arm64"
    if not (base / "made").exists():
        shutil.rmtree(base, ignore_errors=True)
        base.mkdir(parents=True)
        first = ["debootstrap", "--foreign", "--arch=arm64", "--variant=minbase", f"--include={INCLUDED}"]
        _run(*first, SUITE, base)
        for deb in sorted((base / "var/cache/apt/archives").glob("*.deb")):
            _run("dpkg-deb", "--extract", deb, base)
        (base / "made").touch()
    return base


class Master:
    """A master on this machine, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("VGROUP_")}
        self.environment["VGROUP_MASTER_DIR"] = str(folder / "master")
        self._ready = folder / "ready.json"

    def command(self, *words: str) -> str:
        """Run one of its operator's commands; answers what it says."""
        return _answer([VGROUP, *words], self.environment)

    def start(self) -> "subprocess.Popen[bytes]":
        """Run it on a free port of the loopback interface; answers once it listens."""
        self.command("master", "init", "--plain-key")
        words = [VGROUP, "master", "run", "--port", "0", "--ready-file", str(self._ready), "--log-level", "WARNING"]
        process = subprocess.Popen(words, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for(self._ready.exists, 60, "the master listens")
        return process

    def invite(self) -> str:
        """A pairing string."""
        port = json.loads(self._ready.read_text("utf-8"))["port"]
        words = ("device", "invite", "arm", "--host", "127.0.0.1", "--port", str(port), "--json")
        return str(json.loads(self.command(*words))["pairing_string"])

    def readings(self) -> int:
        """How many are stored."""
        return len(self.command("records", "export").splitlines()) - 1


def wait_for(condition: Callable[[], bool], patience_s: float, what: str, pause_s: float = 0.5) -> None:
    """Ask again and again; end the program if it never holds."""
    gives_up_s = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > gives_up_s:
            sys.exit(f"not within {patience_s:g} s: {what}")
        time.sleep(pause_s)


PROBE = """
import json, platform, sys, time
began_s = time.monotonic()
import slave_client.composition
from slave_client.processor import preferred_aeads
print(json.dumps({
    "machine": platform.machine(),
    "python": platform.python_version(),
    "import_s": round(time.monotonic() - began_s, 1),
    "ciphers": [aead.name for aead in preferred_aeads()],
}))
"""


class ArmDevice:
    """A device in a root folder full of ARM programs."""

    def __init__(self, root: Path) -> None:
        environment = ["/usr/bin/env", "VGROUP_SLAVE_DIR=/var/lib/vgroup-slave", "HOME=/root"]
        self._inside = ["chroot", str(root), *environment]
        self._program = [*self._inside, "/opt/vgroup-slave/bin/vgroup"]

    def probe(self) -> dict[str, object]:
        """What this machine looks like to the package."""
        return dict(json.loads(_answer([*self._inside, "/opt/vgroup-slave/bin/python3", "-I", "-c", PROBE])))

    def run(self, *words: str) -> str:
        """One of the device's commands; answers what it says."""
        return _answer([*self._program, *words])

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        """One that goes on."""
        return subprocess.Popen([*self._program, *words], stdin=subprocess.DEVNULL)


def try_package(deb: Path) -> dict[str, object]:
    """Unpack, join, stream; answers what was seen."""
    root = fresh_copy(arm_root(), "trial-arm64")
    _run("dpkg-deb", "--extract", deb, root)
    (root / RECORDING.lstrip("/")).write_text("".join(f"{value}\n" for value in range(20_000)), "utf-8")
    _run("mount", "-t", "proc", "proc", root / "proc")
    try:
        return _join_and_stream(ArmDevice(root))
    finally:
        _run("umount", root / "proc")


def _join_and_stream(device: ArmDevice) -> dict[str, object]:
    seen = device.probe() | {"version": device.run("--version").strip()}
    if seen["machine"] != "aarch64":
        sys.exit(f"that ran on {seen['machine']}")
    with tempfile.TemporaryDirectory() as folder:
        master = Master(Path(folder))
        running = [master.start()]
        try:
            master.command("group", "create", "Arm")
            pairing, began_s = master.invite(), time.monotonic()
            device.run("slave", "join", pairing)
            seen["join_s"] = round(time.monotonic() - began_s, 1)
            slave = device.start("slave", "run", "--sensor", f"replay:{RECORDING},rate_hz=20")
            running.insert(0, slave)
            wait_for(
                lambda: master.readings() >= READINGS_MIN, PATIENCE_S, f"{READINGS_MIN} readings are stored", pause_s=5
            )
            slave.terminate()
            if slave.wait(60) != 0:
                sys.exit(f"the slave ended with status {slave.returncode}")
            seen["stored_readings"] = master.readings()
            seen["verified"] = json.loads(master.command("records", "verify", "--json"))
            status = json.loads(device.run("slave", "status", "--json"))
            seen |= {name: status[name] for name in ("state", "readings", "readings_acknowledged")}
        finally:
            for each in running:
                if each.poll() is None:
                    each.terminate()
                    each.wait(30)
    if seen["readings_acknowledged"] != seen["stored_readings"]:
        sys.exit(f"the device and the master count differently: {seen}")
    return seen


def _answer(command: list[str], environment: dict[str, str] | None = None) -> str:
    ended = subprocess.run(
        command, env=environment, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    return ended.stdout


def _run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL)


def main(arguments: list[str]) -> int:
    """Try the package named on the command line; 0 if it works, 1 else."""
    missing = [f"{tool} (apt-get install {package})" for tool, package in TOOLS.items() if not shutil.which(tool)]
    if missing or os.geteuid() != 0 or len(arguments) != 1:
        print("needs root, the arm64 package, and: " + ", ".join(TOOLS) + (f"; missing: {missing}" if missing else ""))
        return 1
    let_arm_programs_run()
    print(json.dumps(try_package(Path(arguments[0]).resolve()), indent=1))
    print("the package runs as 64-bit ARM code, joins and streams")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
