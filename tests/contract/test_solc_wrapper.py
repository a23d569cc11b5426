"""npm's compiler behind the command line of the native one."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from contracts import build

pytestmark = pytest.mark.solc
SOURCE = "pragma solidity 0.8.37; contract Answer { function answer() external pure returns (uint256) { return 42; } }"


def run_wrapper(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    path = f"{build.node_directory()}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [build.WRAPPER, *arguments],
        env=os.environ | {"PATH": path},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def test_version_is_all_that_is_printed_when_asked_for() -> None:
    done = run_wrapper("--version")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr, len(lines)) == (0, "", 2)
    assert lines[1].startswith("Version: 0.8.37+commit.")


def test_standard_json_goes_in_and_comes_out() -> None:
    request = {
        "language": "Solidity",
        "sources": {"Answer.sol": {"content": SOURCE}},
        "settings": {"outputSelection": {"*": {"*": ["evm.methodIdentifiers"]}}},
    }
    done = run_wrapper("--standard-json", stdin=json.dumps(request))
    compiled = json.loads(done.stdout)["contracts"]["Answer.sol"]["Answer"]
    assert compiled["evm"]["methodIdentifiers"] == {"answer()": "85bb7d69"}


def test_combined_json_gives_what_analysers_ask_for(tmp_path: Path) -> None:
    file = tmp_path / "Answer.sol"
    file.write_text(SOURCE, encoding="utf-8")
    done = run_wrapper(
        "--combined-json", "abi,ast,bin,bin-runtime,srcmap,srcmap-runtime,userdoc,devdoc,hashes", str(file)
    )
    answer = json.loads(done.stdout)
    contract = answer["contracts"][f"{file}:Answer"]
    assert contract["hashes"] == {"answer()": "85bb7d69"}
    assert contract["bin-runtime"]
    assert answer["sources"][str(file)]["AST"]["nodeType"] == "SourceUnit"
    assert answer["version"].startswith("0.8.37+commit.")


def test_combined_json_follows_imports_and_remappings() -> None:
    done = run_wrapper("--combined-json", "bin", str(build.ROOT / "contracts" / "src" / "VirtualGroups.sol"))
    assert done.returncode == 0, done.stderr
    assert any(name.endswith(":VirtualGroups") for name in json.loads(done.stdout)["contracts"])


@pytest.mark.parametrize(
    "arguments", [(), ("--help",), ("--combined-json", "assembly", "a.sol"), ("--combined-json", "abi")]
)
def test_anything_else_is_refused_on_stderr_alone(arguments: tuple[str, ...]) -> None:
    done = run_wrapper(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr


def test_source_that_does_not_compile_is_refused_with_the_compilers_words(tmp_path: Path) -> None:
    file = tmp_path / "Wrong.sol"
    file.write_text("pragma solidity 0.8.37; contract Wrong { uint256 x = y; }", encoding="utf-8")
    done = run_wrapper("--combined-json", "bin", str(file))
    assert done.returncode == 1
    assert "Undeclared identifier" in done.stderr
