"""Fuzz one target guided by coverage: ``python -m tests.fuzz.run TARGET --seconds 60 [--keep]``.

Begins from the kept corpus. A finding ends the run with its stack, and stands in ``.cache/fuzz/TARGET/``. ``--keep``
puts what widened the coverage back into the corpus, reduced to the fewest inputs that do.
"""

import argparse
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import atheris

from tests.fuzz.kept_inputs import load_corpus, save_corpus, unpack

INSTRUMENTED = ["group_protocol", "chain_gateway", "slave_client", "master_api", "measure", "system_ports"]
IS_CHILD = "VGROUP_FUZZ_CHILD"
if IS_CHILD in os.environ:
    with atheris.instrument_imports(include=[*INSTRUMENTED, "tests.fuzz.planted"]):
        from tests.fuzz.planted import take_planted
        from tests.fuzz.targets import TARGETS
else:
    from tests.fuzz.planted import take_planted
    from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
CONTROL = "planted"
"""Not one of all: it shows that a finding is found."""
INPUT_MAX_BYTES = 8_192
INPUT_TIMEOUT_S = 5


def fuzz(target: str, options: list[str]) -> None:
    """Hand over to libFuzzer, which ends the process."""
    # To merge, libFuzzer hands this to a shell with options behind it.
    myself = f"{sys.executable} -m tests.fuzz.run {target}"
    atheris.Setup([myself, *options], (TARGETS | {CONTROL: take_planted})[target])
    atheris.Fuzz()


def run(target: str, seconds: int, seed: int, *, keep: bool) -> int:
    """Fuzz in a child process; answers its exit code, 0 when nothing was found."""
    folder = ROOT / ".cache" / "fuzz" / target
    shutil.rmtree(folder / "kept", ignore_errors=True)
    unpack([b""] if target == CONTROL else load_corpus(target), folder / "kept")
    (folder / "found").mkdir(parents=True, exist_ok=True)
    limits = [f"-max_len={INPUT_MAX_BYTES}", f"-timeout={INPUT_TIMEOUT_S}", f"-artifact_prefix={folder}/"]
    length = [f"-seed={seed}", f"-max_total_time={seconds}"]
    code = _child(target, [*limits, *length, f"{folder / 'found'}", f"{folder / 'kept'}"])
    if keep and code == 0:
        shutil.rmtree(folder / "merged", ignore_errors=True)
        (folder / "merged").mkdir()
        code = _child(target, [*limits, "-merge=1", *(f"{folder / name}" for name in ("merged", "kept", "found"))])
        inputs = [path.read_bytes() for path in (folder / "merged").iterdir()]
        if inputs:
            say(f"{target}: {save_corpus(target, inputs)} inputs kept")
    return code


def _child(target: str, options: list[str]) -> int:
    command = [sys.executable, "-m", "tests.fuzz.run", target, *options]
    scratch = ROOT / ".cache" / "fuzz" / target / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {IS_CHILD: "1", "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        say(f"======== {target}\n{done.stdout}{done.stderr}")
    return done.returncode


def say(text: str) -> None:
    """Talk to a terminal."""
    print(text, flush=True)  # noqa: T201


def main() -> int:
    """Read the command line."""
    if IS_CHILD in os.environ:
        fuzz(sys.argv[1], sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, CONTROL, "all"])
    parser.add_argument("--seconds", type=int, default=60, help="for each target; one runs on each processor")
    parser.add_argument("--seed", type=int, default=0, help="the same inputs again; 0: others each time")
    parser.add_argument("--keep", action="store_true", help="put new inputs into the kept corpus")
    chosen = parser.parse_args()
    targets = list(TARGETS) if chosen.target == "all" else [chosen.target]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        codes = pool.map(lambda target: run(target, chosen.seconds, chosen.seed, keep=chosen.keep), targets)
        found = [target for target, code in zip(targets, codes, strict=True) if code]
    say(f"{len(targets)} targets fuzzed, findings in: " + (", ".join(found) or "none"))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
