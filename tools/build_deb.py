"""Build the Debian packages out of the wheel and the locks: `python tools/build_deb.py [--arch arm64] [NAME...]`.

Each package has an environment of its own under /opt. It is filled from wheels for its machine, pinned by hash in
requirements/*.lock, so that any machine builds for any other and no compiler is ever started. The same commit makes the
same bytes.
"""

import argparse
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "deploy" / "debian"
PYTHON = "3.11"
"""Debian 12's. A package of compiled wheels fits one minor version."""
GLIBC_MINORS = range(17, 37)
"""manylinux tags up to Debian 12's glibc 2.36."""
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
SENSOR = '\n[[sensor]]\nkind = "psutil"\n'
"""What a new slave measures, until its owner says something else."""


@dataclass(frozen=True)
class Package:
    """One of the packages.

    Attributes:
        extras: Of the wheel.
        lock: What it may install.
        credential: The file that opens its keys.
        first_step: The command that has to come before its service.
        priority: Which /usr/bin/vgroup wins where both are installed.
        beside: Further tiers whose service it brings. Each service has its own user, settings and state.
    """

    tier: str
    extras: str
    summary: str
    description: str
    credential: str
    first_step: str
    priority: int
    docs: tuple[str, ...]
    beside: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """vgroup-slave or vgroup-master."""
        return f"vgroup-{self.tier}"

    @property
    def tiers(self) -> tuple[str, ...]:
        """All whose service it brings."""
        return (self.tier, *self.beside)

    @property
    def lock(self) -> Path:
        """Its requirements."""
        return ROOT / "requirements" / f"{self.tier}.lock"


PACKAGES = {
    package.name: package
    for package in (
        Package(
            "slave",
            "slave",
            "device of a virtual group of medical devices",
            "Measures, keeps every reading in an encrypted buffer, and delivers it to its\n master, provably its own."
            " Joins a group with one pairing string.",
            "slave.key",
            "slave join",
            50,
            ("slave.md", "configuration.md", "install.md", "operations.md"),
        ),
        Package(
            "master",
            "master,slave,fast",
            "master of a virtual group of medical devices",
            "Forms a group on an Ethereum contract, admits devices, verifies and stores\n what they send, and keeps an"
            " audit log. Brings the slave's\n commands too, and the gateway: the register for masters on other"
            " machines.",
            "master.passphrase",
            "master init",
            60,
            ("master.md", "slave.md", "gateway.md", "configuration.md", "install.md", "operations.md"),
            ("gateway",),
        ),
    )
}


def build(package: Package, wheel: Path, arch: str, out: Path) -> Path:
    """Stage the package's tree and pack it; answers the .deb."""
    version = wheel.name.split("-")[1].replace(".dev", "~dev")
    tree = ROOT / ".cache" / "deb" / f"{package.name}_{arch}"
    shutil.rmtree(tree, ignore_errors=True)
    values = {
        "PACKAGE": package.name,
        "TIERS": " ".join(package.tiers),
        "SUMMARY": package.summary,
        "CREDENTIAL": package.credential,
        "FIRST_STEP": package.first_step,
        "PRIORITY": str(package.priority),
        "PYTHON": PYTHON,
        "VERSION": version,
    }
    installed = _stage_environment(package, wheel, arch, tree / "opt" / package.name)
    _stage_system_files(package, tree, values)
    _stage_documents(package, tree, installed, version)
    _stage_control(package, tree, arch, version, values)
    _even_out(tree)
    out.mkdir(parents=True, exist_ok=True)
    deb = out / f"{package.name}_{version}_{arch}.deb"
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(commit_time_unix_s())}
    _run("dpkg-deb", "--root-owner-group", "-Zxz", "-z2", "--build", tree, deb, environment=environment)
    return deb


def _stage_environment(package: Package, wheel: Path, arch: str, folder: Path) -> list[Distribution]:
    """A virtual environment as python -m venv makes it, filled without running the Python it is for."""
    site = folder / "lib" / f"python{PYTHON}" / "site-packages"
    machine = MACHINES[arch]
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS]
    abi = "cp" + PYTHON.replace(".", "")
    tags = [f"--python-version={PYTHON}", "--implementation=cp", f"--abi={abi}", "--abi=abi3", "--abi=none"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    pip += ["--no-compile", "--no-deps", "--only-binary=:all:", f"--target={site}", *tags, *platforms]
    _run(*pip, f"--platform=manylinux2014_{machine}", "--require-hashes", "-r", package.lock)
    scripts = site / "bin"  # they begin with the path of this machine's Python
    shutil.rmtree(scripts, ignore_errors=True)
    _run(*pip, "--no-index", f"--find-links={wheel.parent}", f"vgroup=={wheel.name.split('-')[1]}")
    shutil.rmtree(scripts)
    binaries = folder / "bin"
    binaries.mkdir()
    (binaries / "python3").symlink_to(f"/usr/bin/python{PYTHON}")
    (folder / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON}\n", "utf-8"
    )
    script = f"#!/opt/{package.name}/bin/python3 -I\nfrom vgroup.__main__ import main\n\nmain()\n"
    _write(binaries / "vgroup", script, mode=0o755)
    return sorted(distributions(path=[str(site)]), key=lambda found: found.name.lower())


def _stage_system_files(package: Package, tree: Path, values: dict[str, str]) -> None:
    _write(tree / "usr/lib" / package.name / "vgroup", _fill("vgroup.sh", values), mode=0o755)
    for tier in package.tiers:
        unit = f"vgroup-{tier}.service"
        _write(tree / "lib/systemd/system" / unit, (ROOT / "deploy/systemd" / unit).read_text("utf-8"))
        _write(tree / "etc/vgroup" / f"{tier}.toml", settings(tier))
    _write(tree / "usr/share/lintian/overrides" / package.name, _fill("lintian-overrides", values))
    _write_compressed(tree / "usr/share/man/man1" / f"{package.name}.1.gz", _fill("vgroup.1", values))


def settings(tier: str) -> str:
    """The sample, with what a service needs from the start."""
    text = (ROOT / "deploy" / f"{tier}.sample.toml").read_text("utf-8")
    if tier == "slave":
        return text + SENSOR
    closed = '# host = "127.0.0.1"\n'
    if closed not in text:
        sys.exit(f"the {tier}'s sample has no host any more")
    return text.replace(closed, 'host = "*"\n' if tier == "master" else 'host = "0.0.0.0"\n')


def _stage_documents(package: Package, tree: Path, installed: list[Distribution], version: str) -> None:
    docs = tree / "usr/share/doc" / package.name
    for name in package.docs:
        _write(docs / name, (ROOT / "docs" / name).read_text("utf-8"))
    date = subprocess.run(
        ["date", "-u", "-R", "-d", f"@{commit_time_unix_s()}"], capture_output=True, text=True, check=True
    )
    entry = f"{package.name} ({version}) unstable; urgency=medium\n\n  * See CHANGELOG.md of the project.\n\n"
    _write_compressed(docs / "changelog.gz", f"{entry} -- {_maintainer()}  {date.stdout.strip()}\n")
    lines = [
        "vgroup",
        "Copyright: the vgroup authors",
        "License: Apache-2.0, /usr/share/common-licenses/Apache-2.0",
        "",
    ]
    lines.append(f"Below /opt/{package.name} are these packages, each with its licence in its .dist-info folder:")
    lines += [f"  {found.name} {found.version}: {_licence(found)}" for found in installed if found.name != "vgroup"]
    _write(docs / "copyright", "\n".join(lines) + "\n")


def _licence(found: Distribution) -> str:
    named = found.metadata["License-Expression"] or found.metadata["License"] or ""
    classifiers = [line.split(" :: ")[-1] for line in found.metadata.get_all("Classifier") or () if "License" in line]
    return named.splitlines()[0] if named else ", ".join(classifiers) or "see its folder"


def _stage_control(package: Package, tree: Path, arch: str, version: str, values: dict[str, str]) -> None:
    control = tree / "DEBIAN"
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    size_kib = sum(path.stat().st_size for path in files) // 1024
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}" for path in files]  # noqa: S324
    depends = f"adduser, python{PYTHON}, python3, libc6 (>= 2.36), libgcc-s1, libstdc++6"
    fields = f"""Package: {package.name}
Version: {version}
Architecture: {arch}
Maintainer: {_maintainer()}
Installed-Size: {size_kib}
Depends: {depends}
Recommends: systemd
Section: net
Priority: optional
Description: {package.summary}
 {package.description}
 .
 Everything it needs lies under /opt/{package.name}; nothing of the machine's own
 Python is used but the interpreter.
"""
    _write(control / "control", fields)
    _write(control / "conffiles", "".join(f"/etc/vgroup/{tier}.toml\n" for tier in package.tiers))
    _write(control / "md5sums", "\n".join(sums) + "\n")
    for name in ("postinst", "prerm", "postrm"):
        _write(control / name, _fill(f"{name}.sh", values), mode=0o755)


def _maintainer() -> str:
    return "The vgroup authors <vgroup@localhost>"


def _fill(template: str, values: dict[str, str]) -> str:
    text = (TEMPLATES / template).read_text("utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(mode)


def _write_compressed(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def _even_out(tree: Path) -> None:
    """Modes and times that do not depend on who builds, and when."""
    moment = commit_time_unix_s()
    for path in sorted(tree.rglob("*"), reverse=True):
        if not path.is_symlink():
            is_program = path.is_dir() or path.parent.name in {"bin", "DEBIAN"} or path.parts[-3:-2] == ("lib",)
            path.chmod(0o755 if is_program and (path.is_dir() or path.stat().st_mode & 0o111) else 0o644)
        os.utime(path, (moment, moment), follow_symlinks=False)


def commit_time_unix_s() -> int:
    """When the commit was made."""
    ended = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    return int(ended.stdout.strip() or os.environ.get("SOURCE_DATE_EPOCH", "0"))


def _run(*command: str | Path, environment: dict[str, str] | None = None) -> None:
    subprocess.run([str(word) for word in command], check=True, env=environment, stdout=subprocess.DEVNULL)


def main() -> int:
    """Build what the command line names; both packages by default."""
    parser = argparse.ArgumentParser(description="Build the Debian packages.")
    parser.add_argument("names", nargs="*", choices=[*PACKAGES, []], help="Packages; both by default.")
    parser.add_argument("--arch", choices=MACHINES, default="amd64")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--wheel", type=Path, help="Default: the one in dist/.")
    arguments = parser.parse_args()
    wheels = [arguments.wheel] if arguments.wheel else sorted((ROOT / "dist").glob("vgroup-*.whl"))
    if len(wheels) != 1:
        sys.exit("first build the wheel: make wheel")
    for name in arguments.names or PACKAGES:
        print(build(PACKAGES[name], wheels[0].resolve(), arguments.arch, arguments.out.resolve()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
