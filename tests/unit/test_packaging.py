"""What the packaging promises: locked with hashes, no registry named, a core that touches nothing outside itself."""

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
CORE_FILES = sorted((ROOT / "group_protocol").rglob("*.py"))
BANNED_IN_CORE = {"aiohttp", "asyncio", "random", "secrets", "socket", "time", "web3"}
BANNED_CALLS_IN_CORE = {"os.urandom", "os.getrandom", "datetime.now", "datetime.utcnow", "date.today"}
# Put together here, so that this file does not name what it looks for.
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("piwheels", "org"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
    )
)
PINNED = re.compile(r"^[a-z0-9][a-z0-9._-]*==\S+", re.IGNORECASE)


# Which extras a package may lean on, besides the base install.
EXTRAS_OF = {
    "group_protocol": ["fast"],
    "slave_client": ["slave"],
    "system_ports": ["gateway"],  # aiohttp, for the server under every edge; a device loads it by itself
    "chain_gateway": ["gateway"],
    "master_api": ["master", "fast"],
    "contracts": ["build"],
    "measure": ["measure"],
    "vgroup": ["demo"],
    "benchmarks": ["dev"],
    "tests": ["dev"],
    "tools": ["dev"],
}


def tracked_files() -> list[Path]:
    """Every file that git would commit; the checkout's own list, so that caches are left out."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return [path for name in listing.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def requirements_of(lock: Path) -> list[str]:
    """The lock's requirements, each with its continuation lines joined and comments dropped."""
    lines = [line for line in lock.read_text("utf-8").splitlines() if not line.lstrip().startswith("#")]
    return [entry for entry in "\n".join(lines).replace("\\\n", " ").splitlines() if entry.strip()]


def pins_of(lock: Path) -> set[str]:
    return {entry.split(" ")[0] for entry in requirements_of(lock)}


def dotted(node: ast.expr) -> str:
    """`a.b.c` for a chain of attributes, as it is written."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def imported_modules(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def outside_reach(source: str) -> set[str]:
    """What a source imports or names that reaches the clock, the network or a source of randomness."""
    tree = ast.parse(source)
    imported = imported_modules(tree)
    named = {dotted(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return {name for name in imported if name.split(".")[0] in BANNED_IN_CORE} | {
        name
        for name in imported | named
        for banned in BANNED_CALLS_IN_CORE
        if name == banned or name.endswith("." + banned)
    }


def declared(extras: list[str]) -> set[str]:
    """Distributions that the base install and these extras name, extras of our own followed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names: set[str] = set()
    waiting = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    while waiting:
        for requirement in map(Requirement, waiting.pop()):
            if requirement.name == project["name"]:
                waiting += [project["optional-dependencies"][extra] for extra in requirement.extras]
            else:
                names.add(canonicalize_name(requirement.name))
    return names


def undeclared(package: str) -> set[str]:
    """Third-party modules that a package imports from distributions it does not declare."""
    trees = [ast.parse(path.read_text("utf-8")) for path in (ROOT / package).rglob("*.py")]
    modules = {name.split(".")[0] for tree in trees for name in imported_modules(tree)}
    foreign = modules - set(sys.stdlib_module_names) - set(EXTRAS_OF)
    owners = importlib.metadata.packages_distributions()
    allowed = declared(EXTRAS_OF[package])
    return {name for name in foreign if allowed.isdisjoint(map(canonicalize_name, owners.get(name, [])))}


def test_no_tracked_file_names_a_package_registry() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {host}"
        for path in tracked_files()
        for host in REGISTRY_HOSTS
        if host.encode() in path.read_bytes()
    ]

    assert found == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_requirement_of_a_lock_is_pinned_and_hashed(lock: Path) -> None:
    loose = [entry for entry in requirements_of(lock) if not PINNED.match(entry) or "--hash=sha256:" not in entry]

    assert loose == []
    assert "://" not in "\n".join(requirements_of(lock))


@pytest.mark.parametrize("name", ["demo", "dev", "master", "slave"])
def test_lock_exists(name: str) -> None:
    assert (ROOT / "requirements" / f"{name}.lock") in LOCKS


@pytest.mark.parametrize("part", ["demo", "master", "slave"])
def test_lock_of_a_part_holds_the_same_versions_as_the_dev_lock(part: str) -> None:
    assert pins_of(ROOT / "requirements" / f"{part}.lock") <= pins_of(ROOT / "requirements" / "dev.lock")


def test_device_lock_holds_no_chain_store_or_plots() -> None:
    names = {pin.split("==")[0] for pin in pins_of(ROOT / "requirements" / "slave.lock")}

    assert names.isdisjoint({"web3", "py-evm", "eth-account", "sqlalchemy", "py-solc-x", "numpy", "matplotlib"})


def test_npm_lock_holds_integrity_and_no_address() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]

    assert [
        name for name, entry in packages.items() if name and not entry.get("integrity", "").startswith("sha512-")
    ] == []
    assert [name for name, entry in packages.items() if "resolved" in entry] == []


def test_npm_versions_are_exact() -> None:
    manifest = json.loads((ROOT / "package.json").read_text("utf-8"))
    wanted = manifest["devDependencies"] | manifest["optionalDependencies"]

    assert [version for version in wanted.values() if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []


def test_every_package_is_typed_and_in_the_wheel() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]["packages"]
    not_shipped = {"benchmarks", "tests", "tools"}
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")} - not_shipped

    assert set(packages) == found
    assert [name for name in packages if not (ROOT / name / "py.typed").exists()] == []


@pytest.mark.parametrize("package", EXTRAS_OF)
def test_package_imports_only_what_its_extra_declares(package: str) -> None:
    assert undeclared(package) == set()


@pytest.mark.parametrize("path", CORE_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_core_reaches_no_clock_network_or_randomness(path: Path) -> None:
    assert outside_reach(path.read_text("utf-8")) == set()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import time", {"time"}),
        ("import asyncio.events", {"asyncio.events"}),
        ("from secrets import token_bytes", {"secrets", "secrets.token_bytes"}),
        ("from os import urandom", {"os.urandom"}),
        ("import os\nos.urandom(16)", {"os.urandom"}),
        ("import datetime\ndatetime.datetime.now()", {"datetime.datetime.now"}),
        ("def inside():\n    import web3", {"web3"}),
        ("import hashlib\nfrom group_protocol.wire import time_window", set()),
    ],
)
def test_scan_of_the_core_finds_each_way_out(source: str, found: set[str]) -> None:
    assert outside_reach(source) == found
