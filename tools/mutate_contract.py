"""Put one small fault after another into the contract and see whether the tests notice: `make mutate-contract`.

`python -m tools.mutate_contract` tries every mutant and writes contracts/proofs/mutation.json; a run that was stopped
goes on where it was, as long as contract and tests are the same bytes. `--sample N --seed S` tries some and writes
nothing. A mutant that lives fails the run, unless contracts/proofs/equivalent_mutants.json says why it is no fault.
Each one meets the Solidity tests first, and those in Python only if it lives through them. What is measured or compared
byte for byte (gas, the artifact) is left out: it would notice anything.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from contracts import build
from tools.contract_mutants import Mutant, find_mutants

PROOFS = build.ROOT / "contracts" / "proofs"
EQUIVALENT = PROOFS / "equivalent_mutants.json"
RESULT = PROOFS / "mutation.json"
JOURNAL = build.ROOT / ".cache" / "contract_mutation.json"
COPIED = ("contracts", "group_protocol", "tests/contract", "pyproject.toml")
NOT_COPIED = shutil.ignore_patterns("__pycache__", "out", "cache", "proofs")
PYTHON_TESTS = (
    "associate",
    "create_group",
    "evidence",
    "membership",
    "signatures",
    "interface",
    "differential",
    "state_machine",
)
TIMEOUT_S = 600
DOES_NOT_COMPILE, KILLED_BY_FORGE, KILLED_BY_PYTHON, LIVES = "does not compile", "forge", "python", "lives"


@dataclass(frozen=True, slots=True)
class Workbench:
    """A copy of what the tests need, in which one source at a time is faulty.

    Args:
        folder: Where the copy is.
        originals: The sources' bytes without a fault, by their names.
    """

    folder: Path
    originals: Mapping[str, bytes]

    @classmethod
    def make(cls, folder: Path) -> "Workbench":
        """Copy the sources and the tests; the libraries are linked."""
        for name in COPIED:
            source, target = build.ROOT / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=NOT_COPIED)
            else:
                shutil.copy(source, target)
        (folder / "node_modules").symlink_to(build.ROOT / "node_modules")
        names = (path for path in build.read_sources() if path.startswith("contracts/src/"))
        return cls(folder, {name: (build.ROOT / name).read_bytes() for name in names})

    def fate(self, mutant: Mutant) -> str:
        """Try one mutant."""
        faulty = self.folder / mutant.source
        faulty.write_bytes(mutant.apply(self.originals[mutant.source]))
        try:
            return self._fate()
        finally:
            faulty.write_bytes(self.originals[mutant.source])

    def _fate(self) -> str:
        if self._forge("build").returncode:
            return DOES_NOT_COMPILE
        if not self.solidity_tests_pass():
            return KILLED_BY_FORGE
        return LIVES if self.python_tests_pass() else KILLED_BY_PYTHON

    def solidity_tests_pass(self) -> bool:
        """Run the tests in contracts/test."""
        return self._forge("test", "--fail-fast").returncode == 0

    def _forge(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        path = f"{build.node_directory()}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "FOUNDRY_PROFILE": "mutation"}
        return self._run(build.ROOT / "node_modules" / ".bin" / "forge", *arguments, where="contracts", env=environment)

    def python_tests_pass(self) -> bool:
        """Compile as it ships and run the tests on py-evm."""
        environment = os.environ | {"PYTHONPATH": str(self.folder)}
        if self._run(sys.executable, "-m", "contracts.build", env=environment).returncode:
            return False
        tests = [f"tests/contract/test_{name}.py" for name in PYTHON_TESTS]
        options = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")
        return self._run(sys.executable, "-m", "pytest", *options, *tests, env=environment).returncode == 0

    def _run(self, *command: str | Path, env: Mapping[str, str], where: str = ".") -> subprocess.CompletedProcess[str]:
        words = [str(word) for word in command]
        folder = self.folder / where
        try:
            return subprocess.run(
                words, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
            )
        except subprocess.TimeoutExpired:  # a fault that makes a test run for ever was noticed
            return subprocess.CompletedProcess(words, 1)


def known_equivalents() -> dict[str, str]:
    """Return the mutants that are no faults, with the reason of each."""
    known: dict[str, str] = json.loads(EQUIVALENT.read_text("utf-8"))
    return known


def sample(mutants: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """Choose some, always the same for one seed, none that is known to be no fault."""
    known = known_equivalents()
    return random.Random(seed).sample([one for one in mutants if one.name not in known], count)  # noqa: S311


class Journal:
    """The fates that an earlier run of the same contract and tests came to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._key = _digest()
        kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
        self.fates: dict[str, str] = kept["fates"] if kept.get("key") == self._key else {}

    def note(self, mutant: Mutant, fate: str) -> None:
        """Keep one."""
        self.fates[mutant.name] = fate
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replacing = self._path.with_suffix(".new")
        replacing.write_text(json.dumps({"key": self._key, "fates": self.fates}, indent=1), "utf-8")
        replacing.replace(self._path)


def _digest() -> str:
    """Of the contract, its tests and the compiler. The protocol core only signs for some of them."""
    digest = hashlib.sha256()
    for name in ("contracts", "tests/contract", "package-lock.json"):
        top = build.ROOT / name
        for path in sorted(top.rglob("*.*")) if top.is_dir() else [top]:
            where = path.relative_to(build.ROOT)
            if path.is_file() and not {"__pycache__", "out", "cache", "proofs"} & set(where.parts):
                digest.update(f"{where}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def digest_of_sources() -> str:
    """Of the contract alone: which contract a published score is of."""
    digest = hashlib.sha256()
    for path in sorted((build.ROOT / "contracts" / "src").rglob("*.sol")):
        digest.update(f"{path.name}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def try_all(mutants: list[Mutant], journal: Journal | None = None) -> dict[str, str]:
    """Try mutants one after another, tell of each, and return their fates by their names.

    Args:
        mutants: To try.
        journal: What it holds is not tried again, what is tried goes into it.

    Raises:
        RuntimeError: The tests fail without any fault, so that nothing could be concluded.
    """
    fates: dict[str, str] = {}
    known = journal.fates if journal else {}
    is_python_sound = False
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        bench = Workbench.make(Path(folder))
        if not bench.solidity_tests_pass():
            raise RuntimeError("the Solidity tests fail on the contract as it is")
        for number, mutant in enumerate(mutants, 1):
            if mutant.name in known:
                fates[mutant.name] = known[mutant.name]
                continue
            began = time.monotonic()
            fates[mutant.name] = fate = bench.fate(mutant)
            if fate == KILLED_BY_PYTHON and not is_python_sound:
                is_python_sound = bench.python_tests_pass()
                if not is_python_sound:
                    raise RuntimeError("the Python tests fail on the contract as it is")
            if journal:
                journal.note(mutant, fate)
            took = f"{time.monotonic() - began:.0f} s"
            print(f"{number}/{len(mutants)} {fate} ({took}): line {mutant.line}, {mutant.name}", flush=True)
    return fates


def survivors(fates: Mapping[str, str]) -> list[str]:
    """Return who lives and is not known to be no fault."""
    known = known_equivalents()
    return [name for name, fate in fates.items() if fate == LIVES and name not in known]


def summary(fates: Mapping[str, str]) -> dict[str, int]:
    """Count the fates; what does not compile does not count as a mutant."""
    counts = Counter(fates.values())
    known = known_equivalents()
    equivalent = sum(fate == LIVES and name in known for name, fate in fates.items())
    return {
        "mutants": len(fates) - counts[DOES_NOT_COMPILE],
        "killed by forge": counts[KILLED_BY_FORGE],
        "killed by the Python tests": counts[KILLED_BY_PYTHON],
        "equivalent": equivalent,
        "living": len(survivors(fates)),
    }


def _commit() -> str:
    words = ("git", "describe", "--always", "--dirty")
    return subprocess.run(words, cwd=build.ROOT, check=True, capture_output=True, text=True).stdout.strip()


def main(arguments: list[str] | None = None) -> int:
    """Try the mutants; 0 if none lives that should not."""
    parser = argparse.ArgumentParser(description="Mutation testing of the contract.")
    parser.add_argument("--sample", type=int, default=0, help="try so many instead of all")
    parser.add_argument("--seed", type=int, default=1, help="chooses the sample")
    options = parser.parse_args(arguments)
    mutants = find_mutants()
    if options.sample:
        fates = try_all(sample(mutants, options.sample, options.seed))
    else:
        fates = try_all(mutants, Journal(JOURNAL))
    counts = summary(fates)
    print(json.dumps(counts, indent=2))
    if not options.sample:
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        ended = {"of the sources": digest_of_sources(), "at commit": _commit(), "on": day}
        RESULT.write_text(json.dumps(counts | ended, indent=2) + "\n", encoding="utf-8")
    for name in survivors(fates):
        print(f"lives: {name}")
    return 1 if survivors(fates) else 0


if __name__ == "__main__":
    sys.exit(main())
