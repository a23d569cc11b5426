"""Put one small fault after another into the protocol core and see whether its tests notice: `make mutate-protocol`.

`python -m tools.mutate_protocol [MODULE…]` has mutmut try every mutant of these modules (`records`, `handshake.slave`;
of none: all of `[tool.mutmut]`). Slices add up in .cache/mutation as long as code and tests stay the same bytes. Tests
that run out of time may only have met a busy machine: those mutants are tried again, alone, and named. Whoever lives
fails the run, unless tests/unit/group_protocol/equivalent_mutants.json says why nobody can notice it. Once every module
was tried, the table goes into docs/protocol_proofs.md.
"""

import argparse
import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
BENCH: Final = ROOT / ".cache" / "mutation"
COPIED: Final = ("group_protocol", "tests", "pyproject.toml")
MUTMUT: Final = Path(sys.executable).with_name("mutmut")
EQUIVALENT: Final = ROOT / "tests" / "unit" / "group_protocol" / "equivalent_mutants.json"
PAGE: Final = ROOT / "docs" / "protocol_proofs.md"
TABLE: Final = re.compile(r"(?<=<!-- mutation table -->\n).*(?=<!-- end of it -->)", re.DOTALL)
KILLED, TIMED_OUT, LIVES, NO_TEST, NOT_TRIED = "killed", "timed out", "lives", "no test", "not tried"
_FATES: Final = {1: KILLED, 3: KILLED, 0: LIVES, 5: NO_TEST, 33: NO_TEST, None: NOT_TRIED}
_TIMEOUTS: Final = (-24, 24, 36, 152, 255)
_MUTANT: Final = re.compile(r"group_protocol\.(?P<module>[\w.]+)\.(?P<function>[^.]+)__mutmut_\d+")


def fate_of(exit_code: int | None) -> str:
    """What mutmut's number means; one that it does not explain (a signal, say) is shown as it is."""
    return TIMED_OUT if exit_code in _TIMEOUTS else _FATES.get(exit_code, f"ended with {exit_code}")


def module_of(mutant: str) -> str:
    """``handshake.slave`` of ``group_protocol.handshake.slave.x_f__mutmut_3``."""
    found = _MUTANT.fullmatch(mutant)
    if found is None:
        raise ValueError(f"{mutant!r} is no mutant's name")
    return found["module"]


def describe(mutant: str, diff: str) -> str:
    """A mutant by its module, function and changed lines: mutmut's numbers move with every line that comes in."""
    found = _MUTANT.fullmatch(mutant)
    if found is None:
        raise ValueError(f"{mutant!r} is no mutant's name")
    function = found["function"].removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
    lines = [line for line in diff.splitlines() if line.startswith(("-", "+")) and line[:3] not in {"---", "+++"}]
    return f"{found['module']}.{function}: " + " ".join(re.sub(r"^(.)\s*", r"\1 ", line) for line in lines)


def table(fates: Mapping[str, str], commit: str, day: str) -> str:
    """The page's table."""
    modules = sorted({module_of(mutant) for mutant in fates})
    lines = [
        f"Commit `{commit}`, {day}:",
        "",
        "| module | mutants | killed | timed out | left |",
        "|---|--:|--:|--:|--:|",
    ]
    for module in [*modules, None]:
        counts = Counter(fate for mutant, fate in fates.items() if module in {None, module_of(mutant)})
        total, killed, late, untried = counts.total(), counts[KILLED], counts[TIMED_OUT], counts[NOT_TRIED]
        if untried == total:
            continue
        left = f"{total - killed - late - untried}" + (f", and {untried} not tried" if untried else "")
        name = "**all**" if module is None else f"`{module}`"
        lines.append(f"| {name} | {total:,} | {killed:,} | {late} | {left} |")
    return "\n".join(lines) + "\n"


def reasons(left: Mapping[str, str], known: Mapping[str, str]) -> str:
    """The page's second table: why those that no test killed are let live."""
    counts = Counter(known.get(change, "**not answered**") for change in left.values())
    lines = ["| not killed | why |", "|--:|---|", *(f"| {count} | {why} |" for why, count in counts.most_common())]
    return "\n".join(lines) + "\n"


class Bench:
    """The copy in which mutmut works, and what it found there."""

    def __init__(self, folder: Path, children: int) -> None:
        self._folder = folder
        self._children = children

    def prepare(self) -> None:
        """Copy code and tests anew, unless what lies there is of the same bytes."""
        stamp, now = self._folder / "stamp", _digest(COPIED)
        if stamp.exists() and stamp.read_text("ascii").split()[0] == now:
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, self._folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, self._folder)
        stamp.write_text(f"{now} {_git('describe', '--always', '--dirty')} {datetime.now(UTC):%Y-%m-%d}\n", "ascii")

    def commit_and_day(self) -> tuple[str, str]:
        """Of the code that lies there."""
        _, commit, day = (self._folder / "stamp").read_text("ascii").split()
        return commit, day

    def try_mutants(self, patterns: Sequence[str]) -> None:
        """Try these; those that run out of time once more, with nothing beside them."""
        self._mutmut("run", "--max-children", str(self._children), *patterns)
        late = [
            mutant
            for mutant, fate in self.fates().items()
            if fate == TIMED_OUT and (not patterns or any(fnmatch.fnmatch(mutant, pattern) for pattern in patterns))
        ]
        if late:
            self._mutmut("run", "--max-children", "1", *late)

    def fates(self) -> dict[str, str]:
        """Of every mutant, by its name."""
        found: dict[str, str] = {}
        for path in sorted((self._folder / "mutants").rglob("*.meta")):
            codes = json.loads(path.read_text("utf-8"))["exit_code_by_key"]
            found |= {mutant: fate_of(code) for mutant, code in codes.items()}
        return found

    def describe(self, mutants: Iterable[str]) -> dict[str, str]:
        """What each changes, by its name."""
        return {mutant: describe(mutant, self._mutmut("show", mutant)) for mutant in mutants}

    def _mutmut(self, *words: str) -> str:
        shown = words[0] == "show"
        done = subprocess.run(
            [MUTMUT, *words], cwd=self._folder, check=True, text=True, stdout=subprocess.PIPE if shown else None
        )
        return done.stdout or ""


def _digest(names: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        top = ROOT / name
        for path in sorted(top.rglob("*.*")) if top.is_dir() else [top]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(ROOT)}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def main(arguments: list[str] | None = None) -> int:
    """Try the mutants; 0 if none lives that somebody could notice."""
    parser = argparse.ArgumentParser(description="Mutation testing of the protocol core.")
    parser.add_argument("modules", nargs="*", help="try these only, such as records or handshake.slave")
    parser.add_argument("--children", type=int, default=os.cpu_count() or 1, help="processes at a time")
    options = parser.parse_args(arguments)
    bench = Bench(BENCH, options.children)
    bench.prepare()
    bench.try_mutants([f"group_protocol.{module}.*" for module in options.modules])
    fates = bench.fates()
    known: dict[str, str] = json.loads(EQUIVALENT.read_text("utf-8"))
    left = bench.describe(mutant for mutant, fate in fates.items() if fate not in {KILLED, NOT_TRIED})
    text = f"{table(fates, *bench.commit_and_day())}\n{reasons(left, known)}"
    print(text)
    if NOT_TRIED not in fates.values():
        PAGE.write_text(TABLE.sub(lambda _: text, PAGE.read_text("utf-8")), "utf-8")
    strangers = [mutant for mutant, change in left.items() if change not in known]
    for mutant in strangers:
        print(f"{fates[mutant]}: {left[mutant]}")
    return 1 if any(fates[mutant] != TIMED_OUT for mutant in strangers) else 0


if __name__ == "__main__":
    sys.exit(main())
