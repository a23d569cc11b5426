"""Try the Debian packages in a Debian 12 of their own: `python tools/try_deb.py DEB...`, as root.

debootstrap makes the root folder (kept in .cache), dpkg installs the packages into a copy, and systemd boots in it, as
a container without a network: the services run as on a real machine, sandbox, watchdog and all. What is tried is in
tools/deb_trial.sh.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "debian"
SUITE = "bookworm"
INCLUDED = "systemd,systemd-sysv,dbus,adduser,python3,python3-minimal,python3.11,libstdc++6,libgcc-s1,iproute2,procps"
TOOLS = {"debootstrap": "debootstrap", "systemd-nspawn": "systemd-container", "lintian": "lintian"}
BOOT_TIMEOUT_S = 900
SUCCESS = "THE PACKAGES WORK"
_UNIT = """[Unit]
Description=The trial of the packages
[Service]
Type=oneshot
ExecStart=/bin/sh -c '/bin/bash /root/deb_trial.sh >/root/trial.log 2>&1; /bin/systemctl --no-block poweroff'
[Install]
WantedBy=multi-user.target
"""


def debian_root(arch: str = "amd64") -> Path:
    """A minimal Debian 12, made once."""
    base = CACHE / f"base-{arch}"
    if not (base / "made").exists():
        shutil.rmtree(base, ignore_errors=True)
        base.mkdir(parents=True)
        _run("debootstrap", "--variant=minbase", f"--arch={arch}", f"--include={INCLUDED}", SUITE, base)
        (base / "made").touch()
    return base


def fresh_copy(base: Path, name: str) -> Path:
    """A copy to change."""
    copy = CACHE / name
    _run("rm", "-rf", "--one-file-system", copy)
    _run("cp", "-a", "--one-file-system", "--reflink=auto", base, copy)  # debootstrap may leave /proc mounted
    return copy


def contained(root: Path, *command: str) -> list[str | Path]:
    """A command inside the root folder, without a network and without a running systemd outside."""
    options = ["--quiet", "--register=no", "--keep-unit", "--private-network", "--resolv-conf=off", "--timezone=off"]
    return ["systemd-nspawn", *options, f"--directory={root}", *command]


def try_packages(debs: list[Path]) -> bool:
    """Install, boot, try; answers whether all went well."""
    root = fresh_copy(debian_root(), "trial")
    for deb in debs:
        shutil.copy(deb, root / "root")
    _run(*contained(root, "--pipe", "dpkg", "--install", *(f"/root/{deb.name}" for deb in debs)))
    shutil.copy(ROOT / "tools" / "deb_trial.sh", root / "root")
    (root / "etc/systemd/system/trial.service").write_text(_UNIT, "utf-8")
    wanted = root / "etc/systemd/system/multi-user.target.wants"
    wanted.mkdir(parents=True, exist_ok=True)
    (wanted / "trial.service").symlink_to("/etc/systemd/system/trial.service")
    log = root / "root" / "trial.log"
    boot_log = CACHE / "boot.log"
    with boot_log.open("wb") as output:
        command = [str(word) for word in contained(root, "--boot")]
        environment = os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        try:
            subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, check=False,
                timeout=BOOT_TIMEOUT_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            print(f"the container did not end within {BOOT_TIMEOUT_S} s")
    text = log.read_text("utf-8", "replace") if log.exists() else ""
    if text.rstrip().endswith(SUCCESS):
        return True
    print(text[-6_000:] or boot_log.read_text("utf-8", "replace")[-3_000:])
    return False


def _run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL)


def main(arguments: list[str]) -> int:
    """Lint the packages and try them; 0 if all is well, 1 else."""
    debs = [Path(word).resolve() for word in arguments]
    missing = [f"{tool} (apt-get install {package})" for tool, package in TOOLS.items() if not shutil.which(tool)]
    if missing or os.geteuid() != 0 or not debs:
        print("needs root, the packages, and: " + ", ".join(TOOLS) + (f"; missing: {missing}" if missing else ""))
        return 1
    _run("lintian", "--fail-on", "error", "--tag-display-limit", "3", *debs)
    is_good = try_packages(debs)
    print("the packages install, work, and leave nothing behind" if is_good else "the packages do not work")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
