"""The artifact that ships, and the script that makes it."""

import json
from pathlib import Path
from typing import Any

import pytest

from contracts import ContractArtifact, build, load_artifact
from tests.contract.local_evm import LocalEvm

COMMITTED = build.ARTIFACT.read_bytes()


@pytest.fixture
def artifact() -> ContractArtifact:
    return load_artifact()


@pytest.fixture
def stored() -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(COMMITTED)
    return decoded


def test_artifact_names_the_pinned_compiler_and_settings(artifact: ContractArtifact) -> None:
    assert artifact.name == "VirtualGroups"
    assert artifact.compiler_version.startswith("0.8.37+commit.")
    assert artifact.settings == build.SETTINGS


def test_deployed_code_is_the_artifacts(artifact: ContractArtifact) -> None:
    deployed = LocalEvm().transact(b"", artifact.creation_bytecode)
    assert deployed.succeeded
    assert len(artifact.immutable_references) == 2  # the chain id and the domain separator
    assert artifact.matches_runtime(deployed.output)


def test_code_that_differs_in_one_byte_is_not_the_artifacts(artifact: ContractArtifact) -> None:
    deployed = LocalEvm().transact(b"", artifact.creation_bytecode).output
    assert not artifact.matches_runtime(deployed[:-1])
    assert not artifact.matches_runtime(b"")
    assert not artifact.matches_runtime(bytes([deployed[0] ^ 1]) + deployed[1:])


def test_code_stays_under_the_limit_of_eip_170(artifact: ContractArtifact) -> None:
    assert len(artifact.runtime_bytecode) <= 24_576


@pytest.mark.solc
def test_committed_artifact_is_what_the_sources_compile_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["--check"]) == 0, capsys.readouterr().err


def test_equal_artifact_has_no_differences(stored: dict[str, Any]) -> None:
    assert build.differences(COMMITTED, stored) == []


def test_check_names_what_differs(stored: dict[str, Any]) -> None:
    stored["bytecode"] += "00"
    stored["sources"]["contracts/src/VirtualGroups.sol"] = "another"
    stored["sources"]["contracts/src/New.sol"] = "another"
    assert build.differences(COMMITTED, stored) == [
        "source contracts/src/VirtualGroups.sol is not the one compiled",
        "source contracts/src/New.sol is new",
        "bytecode differs",
    ]


@pytest.mark.parametrize(
    ("committed", "complaint"),
    [
        (b"", "the committed file is not JSON"),
        (b"[]", "the committed file is not a JSON object"),
        (COMMITTED + b"\n", "the same values in other bytes (order or white space)"),
    ],
)
def test_check_says_when_the_file_itself_is_wrong(stored: dict[str, Any], committed: bytes, complaint: str) -> None:
    assert build.differences(committed, stored) == [complaint]


def test_build_with_a_compiler_that_is_not_there_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("SOLC", str(tmp_path / "solc"))
    assert build.main(["--check"]) == 1
    assert "cannot be started" in capsys.readouterr().err


def test_build_with_another_compiler_version_says_which_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    old = tmp_path / "solc"
    old.write_text("#!/bin/sh\necho 'Version: 0.8.30+commit.73712a01.Linux.g++'\n", encoding="utf-8")
    old.chmod(0o700)
    monkeypatch.setenv("SOLC", str(old))
    assert build.main(["--check"]) == 1
    assert "is 0.8.30+commit.73712a01; 0.8.37 is needed" in capsys.readouterr().err


def test_build_without_the_node_modules_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(build, "ROOT", tmp_path)
    assert build.main(["--check"]) == 1
    assert 'is missing: run "make dev"' in capsys.readouterr().err
